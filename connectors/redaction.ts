/** Takes an account's credential out of text that came from elsewhere: who answers may say again what it was asked with. */

export type Redact = (text: string) => string;

/** As many of the secret's first characters are taken out by themselves: a text may be cut within it. */
const LEAST_CHARACTERS = 12;
const BOT_TOKEN = new RegExp(`^(\\d+):(.{${LEAST_CHARACTERS},})$`);
/** A pattern for a whole private key would be too large: V8 ends the process over it. */
const PIECE_CHARACTERS = 256;

/**
 * Replaces a credential wherever it stands, each of its characters as it is, percent-encoded any number of times, or as an
 * HTML reference. Of a bot token, `<bot id>:<secret>`, the secret is enough. The time it takes grows with the text's length only.
 */
export function createRedaction(token: string): Redact {
  if (token === '') return (text) => text;
  const [, id = '', secret = token] = BOT_TOKEN.exec(token) ?? [];
  // Between the two, a colon in whatever form.
  const before = id === '' ? '' : `(?:${inAnyForm([...id]).join('')}.{0,16}?)?`;
  const pieces = piecesOf([...secret]).map((piece) => inAnyForm(piece));
  // Whole pieces first: the beginning of one may stand within another.
  const patterns = [...pieces.map((piece) => piece.join('')), ...pieces.map(beginningOf)].map(
    (piece, place) => new RegExp((place % pieces.length === 0 ? before : '') + piece, 'gi'),
  );
  return (text) =>
    patterns
      .reduce((rest, pattern) => rest.replace(pattern, '<token>'), text)
      .replace(/(?:<token>){2,}/g, '<token>');
}

/** Of nearly the same length: a last one of two characters would be found in any text. */
function piecesOf(secret: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(secret.length / PIECE_CHARACTERS);
  const at = (piece: number) => Math.floor((piece * secret.length) / count);
  return Array.from({ length: count }, (_, piece) => secret.slice(at(piece), at(piece + 1)));
}

/** Matches the least characters of a piece and as many of the others as follow. */
function beginningOf(characters: readonly string[]): string {
  const least = characters.slice(0, LEAST_CHARACTERS).join('');
  const rest = characters.slice(LEAST_CHARACTERS);
  return least + rest.reduceRight((after, character) => `(?:${character}${after})?`, '');
}

function inAnyForm(characters: readonly string[]): readonly string[] {
  return characters.map((character) => {
    const code = character.codePointAt(0) ?? 0;
    const units = character.split('').map((unit) => `\\u${hexOf(unit.charCodeAt(0), 4)}`);
    const bytes = [...Buffer.from(character)].map((byte) => `%(?:25)*${hexOf(byte, 2)}`);
    return `(?:${units.join('')}|${bytes.join('')}|&#(?:x${code.toString(16)}|${code});)`;
  });
}

function hexOf(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

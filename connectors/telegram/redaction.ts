/** Takes a bot token out of text that came from elsewhere: the path of a call holds it, and who answers may say the path again. */

export type Redact = (text: string) => string;

/** As many of the secret's first characters are taken out by themselves: a text may be cut within it. */
const LEAST_CHARACTERS = 12;
const BOT_TOKEN = new RegExp(`^(\\d+):(.{${LEAST_CHARACTERS},})$`);

/**
 * Replaces an ASCII token wherever it stands, each of its characters as it is, percent-encoded any number of times, or as an
 * HTML reference. Of a bot token, `<bot id>:<secret>`, the secret is enough. The time it takes grows with the text's length only.
 */
export function createRedaction(token: string): Redact {
  if (token === '') return (text) => text;
  const [, id = '', secret = token] = BOT_TOKEN.exec(token) ?? [];
  // Between the two, a colon in whatever form.
  const before = id === '' ? '' : `(?:${inAnyForm(id).join('')}.{0,16}?)?`;
  const characters = inAnyForm(secret);
  const least = characters.slice(0, LEAST_CHARACTERS).join('');
  const rest = characters.slice(LEAST_CHARACTERS);
  const more = rest.reduceRight((after, character) => `(?:${character}${after})?`, '');
  const pattern = new RegExp(`${before}${least}${more}`, 'gi');
  return (text) => text.replace(pattern, '<token>');
}

function inAnyForm(text: string): readonly string[] {
  return Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    const hex = code.toString(16).padStart(2, '0');
    return `(?:\\x${hex}|%(?:25)*${hex}|&#(?:x${hex}|${code});)`;
  });
}

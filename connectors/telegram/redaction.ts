/** Takes a bot token out of text that came from elsewhere: the path of a call holds it, and who answers may say the path again. */

export type Redact = (text: string) => string;

/** Replaces an ASCII token wherever it stands, each of its characters as it is or percent-encoded. */
export function createRedaction(token: string): Redact {
  if (token === '') return (text) => text;
  const inAnyForm = Array.from(token, (character) => {
    const hex = character.charCodeAt(0).toString(16).padStart(2, '0');
    return `(?:\\x${hex}|%${hex})`;
  });
  const pattern = new RegExp(inAnyForm.join(''), 'gi');
  return (text) => text.replace(pattern, '<token>');
}

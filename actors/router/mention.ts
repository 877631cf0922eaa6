/** Whether a text mentions one of a channel's patterns: substrings with boundaries, not regular expressions. */

const WORD = /[a-z0-9_.-]/;
const MASS_MENTIONS = ['@everyone', '@here'] as const;

/**
 * Case-insensitive; the characters either side must not be letters, digits, `_`, `.` or `-`, so that an address which
 * contains the pattern is no mention. `*` matches any text that is not blank, yet never a bare mass mention: those
 * count only where a pattern spells them.
 */
export function matchMention(patterns: readonly string[], text: string): boolean {
  if (patterns.length === 0) return false;
  const wanted = patterns.map((pattern) => pattern.trim().toLowerCase()).filter((p) => p !== '');
  const isMassWanted = MASS_MENTIONS.some((mention) => wanted.includes(mention));
  const lower = text.toLowerCase();
  const subject = isMassWanted || !lower.includes('@') ? lower : blankMassMentions(lower);
  return wanted.some((pattern) =>
    pattern === '*' ? subject.trim() !== '' : hasWhole(subject, pattern),
  );
}

function blankMassMentions(text: string): string {
  return MASS_MENTIONS.reduce((left, mention) => left.replaceAll(mention, ' '), text);
}

function hasWhole(text: string, pattern: string): boolean {
  for (let at = text.indexOf(pattern); at !== -1; at = text.indexOf(pattern, at + 1)) {
    const before = text.charAt(at - 1);
    const after = text.charAt(at + pattern.length);
    if (!WORD.test(before) && !WORD.test(after)) return true;
  }
  return false;
}

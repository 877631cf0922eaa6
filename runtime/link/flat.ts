/** Which payloads the platform's own copy and ours make the same of: alone, such a message needs no frame. */

const FIELDS = 16;
const LONGEST_TEXT = 256;

/** A short primitive, or a plain object of a few. */
export function isFlat(payload: unknown): boolean {
  if (isPlain(payload)) return true;
  if (typeof payload !== 'object' || Object.getPrototypeOf(payload) !== Object.prototype)
    return false;
  let fields = 0;
  for (const field in payload) {
    fields += 1;
    const isKnown = fields <= FIELDS && field !== '__proto__' && isText(field);
    if (!isKnown || !isPlain((payload as Record<string, unknown>)[field])) return false;
  }
  return true;
}

function isPlain(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      return isText(value);
    case 'number':
      return !Object.is(value, -0);
    case 'boolean':
      return true;
    default:
      return value === null;
  }
}

/** Half a character becomes another one in UTF-8; long texts cross faster in a frame. */
function isText(value: string): boolean {
  return value.length <= LONGEST_TEXT && value.isWellFormed();
}

/** Cuts a text into the pieces that Telegram's length limit asks for, code fences kept whole. Pure. */

/** "Text of the message to be sent, 1-4096 characters after entities parsing": UTF-16 units. */
export const MESSAGE_LIMIT_UNITS = 4_096;

/** An opened code fence: the marks that close it, the line that opens it again, and where in the rest it and its code begin. */
interface Fence {
  readonly marks: string;
  readonly opener: string;
  /** -1 when an earlier piece opened it. */
  readonly openedAt: number;
  readonly codeAt: number;
}

/** What is still to be cut, and the state of the text where it begins. */
interface Rest {
  readonly text: string;
  readonly fence: Fence | undefined;
  /** false: it goes on in the middle of a line, which therefore is no fence line. */
  readonly isLineStart: boolean;
}

/** What reopens a fence, and what closes it, has this room in every piece: a longer line is reopened as its bare marks. */
const FENCE_ROOM_UNITS = 40;
/** A longer run of marks is plain text. */
const FENCE_LINE = /^ {0,3}(`{3,12}(?!`)|~{3,12}(?!~))([^\n]*)$/;
/**
 * A border before this part of the room makes needlessly short pieces. It is farther in than `FENCE_ROOM_UNITS`: no border
 * falls among the marks of a fence line.
 */
const LEAST_FILL = 0.5;

/**
 * Pieces of at most `limitUnits` UTF-16 units (at least 256), in order; at least one. Joined, and without the fence lines
 * put in at their borders, they are the text, except that a piece of nothing but white space is left out. A border is
 * sought between paragraphs, then lines, then words, and never inside a surrogate pair.
 */
export function splitText(text: string, limitUnits: number = MESSAGE_LIMIT_UNITS): string[] {
  const pieces: string[] = [];
  let rest: Rest = { text, fence: undefined, isLineStart: true };
  while (rest.text !== '') {
    const prefix = rest.fence === undefined ? '' : `${rest.fence.opener}\n`;
    if (prefix.length + rest.text.length <= limitUnits) {
      pieces.push(prefix + rest.text);
      break;
    }
    const { at, fence } = findCut(rest, limitUnits - prefix.length);
    pieces.push(prefix + close(rest.text.slice(0, at), fence));
    rest = {
      text: rest.text.slice(at),
      fence: fence === undefined ? undefined : { ...fence, openedAt: -1, codeAt: -1 },
      isLineStart: rest.text[at - 1] === '\n',
    };
  }
  const visible = pieces.filter((piece) => piece.trim() !== '');
  return visible.length > 0 ? visible : [text.slice(0, limitUnits)];
}

function findCut(rest: Rest, roomUnits: number): { at: number; fence: Fence | undefined } {
  // A newline and the closing marks must fit behind any cut.
  const most = roomUnits - 1 - FENCE_ROOM_UNITS;
  const at = boundary(rest.text, most);
  const fence = fenceAt(rest, at);
  if (fence === undefined) return { at, fence };
  if (fence.openedAt > 0 && at <= fence.codeAt) return { at: fence.openedAt, fence: undefined };
  const next = lineFrom(rest.text, at);
  if (rest.text[at - 1] !== '\n' || !closes(readFenceLine(next), fence)) return { at, fence };
  // What does not fit of a closing line is white space.
  const end = at + Math.min(next.length, FENCE_ROOM_UNITS) + 1;
  return { at: Math.min(end, rest.text.length), fence: undefined };
}

/** The best border at or before `most`: after a blank line, else after a line, else after a word, else anywhere. */
function boundary(text: string, most: number): number {
  const least = Math.floor(most * LEAST_FILL);
  const window = text.slice(0, most);
  for (const mark of ['\n\n', '\n', ' ']) {
    const end = window.lastIndexOf(mark) + mark.length;
    if (end >= mark.length && end > least) return end;
  }
  return isBetweenSurrogates(text, most) ? most - 1 : most;
}

/** The fence that is open at a cut. */
function fenceAt(rest: Rest, at: number): Fence | undefined {
  let { fence } = rest;
  let start = rest.isLineStart ? 0 : rest.text.indexOf('\n') + 1 || at;
  while (start < at) {
    const line = lineFrom(rest.text, start);
    const found = readFenceLine(line);
    if (found !== undefined) {
      if (fence === undefined) fence = openedBy(line, found.marks, start);
      else if (closes(found, fence)) fence = undefined;
    }
    start += line.length + 1;
  }
  return fence;
}

function openedBy(line: string, marks: string, at: number): Fence {
  const opener = line.length > FENCE_ROOM_UNITS ? marks : line;
  return { marks, opener, openedAt: at, codeAt: at + line.length + 1 };
}

interface FenceLine {
  readonly marks: string;
  readonly info: string;
}

function readFenceLine(line: string): FenceLine | undefined {
  const found = FENCE_LINE.exec(line);
  if (found === null) return undefined;
  const marks = found[1] ?? '';
  const info = (found[2] ?? '').trim();
  return marks.startsWith('`') && info.includes('`') ? undefined : { marks, info };
}

function closes(line: FenceLine | undefined, fence: Fence): boolean {
  return line !== undefined && line.info === '' && line.marks.startsWith(fence.marks);
}

function close(body: string, fence: Fence | undefined): string {
  if (fence === undefined) return body;
  return `${body}${body.endsWith('\n') ? '' : '\n'}${fence.marks}`;
}

function lineFrom(text: string, start: number): string {
  const end = text.indexOf('\n', start);
  return text.slice(start, end < 0 ? text.length : end);
}

function isBetweenSurrogates(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}

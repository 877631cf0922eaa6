/** Finds the line on which a key of a TOML document stands. It expects text that the TOML parser has taken; it checks nothing. */

export type KeyPath = readonly (string | number)[];

/**
 * The line (from 1) of the key at a path such as `['webhooks', 0, 'reply_to', 'connector']`; of the nearest part of
 * the path that is written down where the key itself is not; 1 where nothing of it is.
 */
export function locateKeys(source: string): (path: KeyPath) => number {
  const lines = new Scanner(source).scan();
  return (path) => {
    for (let length = path.length; length > 0; length -= 1) {
      const line = lines.get(keyOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  };
}

function keyOf(path: KeyPath): string {
  return JSON.stringify(path);
}

/** One pass over the text; it goes into arrays and inline tables, and over strings and comments. */
class Scanner {
  readonly #source: string;
  readonly #lines = new Map<string, number>();
  /** Last index of each array of tables. */
  readonly #arrays = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(source: string) {
    this.#source = source;
  }

  scan(): ReadonlyMap<string, number> {
    let table: KeyPath = [];
    for (;;) {
      this.#skipBlank();
      if (this.#at >= this.#source.length) return this.#lines;
      if (this.#peek() === '[') table = this.#header();
      else this.#pair(table);
    }
  }

  #header(): KeyPath {
    const isArray = this.#source.startsWith('[[', this.#at);
    this.#at += isArray ? 2 : 1;
    const line = this.#line;
    const parts = this.#key();
    this.#skipTo('\n');
    let path: KeyPath = [];
    for (const [index, part] of parts.entries()) {
      path = [...path, part];
      this.#note(path, line);
      const isLast = index === parts.length - 1;
      const id = keyOf(path);
      const reached = this.#arrays.get(id);
      if (isArray && isLast) {
        const next = (reached ?? -1) + 1;
        this.#arrays.set(id, next);
        path = [...path, next];
        this.#note(path, line);
      } else if (reached !== undefined) {
        path = [...path, reached];
      }
    }
    return path;
  }

  #pair(table: KeyPath): void {
    const line = this.#line;
    let path = table;
    for (const part of this.#key()) {
      path = [...path, part];
      this.#note(path, line);
    }
    this.#skipTo('=');
    this.#at += 1;
    this.#value(path);
  }

  /** The first place wins: `[a]` and later `[a.b]` both name `a`. */
  #note(path: KeyPath, line: number): void {
    const id = keyOf(path);
    if (!this.#lines.has(id)) this.#lines.set(id, line);
  }

  #key(): string[] {
    const parts: string[] = [];
    for (;;) {
      this.#skipSpaces();
      const quote = this.#peek();
      if (quote === '"' || quote === "'") {
        parts.push(this.#quoted());
      } else {
        const start = this.#at;
        while (/[A-Za-z0-9_-]/.test(this.#peek())) this.#at += 1;
        parts.push(this.#source.slice(start, this.#at));
      }
      this.#skipSpaces();
      if (this.#peek() !== '.') return parts;
      this.#at += 1;
    }
  }

  #value(path: KeyPath): void {
    this.#skipBlank();
    const first = this.#peek();
    if (first === '[') this.#array(path);
    else if (first === '{') this.#inlineTable(path);
    else if (first === '"' || first === "'") this.#quoted();
    else this.#skipScalar();
  }

  #array(path: KeyPath): void {
    this.#at += 1;
    for (let index = 0; ; index += 1) {
      this.#skipSeparators();
      if (this.#at >= this.#source.length) return;
      if (this.#peek() === ']') {
        this.#at += 1;
        return;
      }
      this.#note([...path, index], this.#line);
      this.#value([...path, index]);
    }
  }

  #inlineTable(path: KeyPath): void {
    this.#at += 1;
    for (;;) {
      this.#skipSeparators();
      if (this.#at >= this.#source.length) return;
      if (this.#peek() === '}') {
        this.#at += 1;
        return;
      }
      this.#pair(path);
    }
  }

  /** A string of any of the four kinds; its decoded text where it may be a key. */
  #quoted(): string {
    const quote = this.#peek();
    const fence = this.#source.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote;
    const start = this.#at;
    this.#at += fence.length;
    while (this.#at < this.#source.length && !this.#source.startsWith(fence, this.#at)) {
      if (this.#peek() === '\\' && quote === '"') this.#step();
      this.#step();
    }
    this.#at += fence.length;
    // Up to two quotes may stand before the closing fence of a multi-line string.
    while (fence.length === 3 && this.#peek() === quote) this.#at += 1;
    const raw = this.#source.slice(start, this.#at);
    return quote === '"' && fence.length === 1 ? decoded(raw) : raw.slice(1, -1);
  }

  /** A number, date or boolean; a date may hold a space. */
  #skipScalar(): void {
    while (this.#at < this.#source.length && !/[\n,\]}#]/.test(this.#peek())) this.#at += 1;
  }

  #skipSeparators(): void {
    this.#skipBlank();
    while (this.#peek() === ',') {
      this.#at += 1;
      this.#skipBlank();
    }
  }

  #skipBlank(): void {
    for (;;) {
      const character = this.#peek();
      if (character === '#') this.#skipTo('\n');
      else if (character !== '' && /\s/.test(character)) this.#step();
      else return;
    }
  }

  #skipSpaces(): void {
    while (this.#peek() === ' ' || this.#peek() === '\t') this.#at += 1;
  }

  #skipTo(character: string): void {
    while (this.#at < this.#source.length && this.#peek() !== character) this.#step();
  }

  #step(): void {
    if (this.#peek() === '\n') this.#line += 1;
    this.#at += 1;
  }

  #peek(): string {
    return this.#source.charAt(this.#at);
  }
}

function decoded(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}

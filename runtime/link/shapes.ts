/** Which shapes of object the other end of a link knows by number. */

/** As many as one byte can name. */
const MOST_SHAPES = 64;
/** An object with more fields is no record but a table: its next one has others. */
const MOST_FIELDS = 64;

export interface Shape {
  readonly number: number;
  readonly fields: readonly string[];
  /** The other end has yet to be told. */
  isNew: boolean;
}

export class Shapes {
  /** By number; a new one takes the place of the oldest. */
  readonly #all: Shape[] = [];
  readonly #byFirstField = new Map<string, Shape[]>();
  #next = 0;
  /** Of the object before: most come one like the other. */
  #last: Shape | undefined = undefined;
  /** Of the object that is looked at. */
  readonly #fields: string[] = [];

  /** Undefined where an object has no fields, or too many for a shape. */
  of(object: object): Shape | undefined {
    if (this.#last !== undefined && hasShape(object, this.#last)) return this.#last;
    const fields = this.#fields;
    let count = 0;
    // Messages are plain data: `for in` sees their own fields, and makes no list of them.
    for (const field in object) {
      if (count === MOST_FIELDS) return undefined;
      fields[count] = field;
      count += 1;
    }
    if (count === 0) return undefined;
    this.#last = this.#find(count) ?? this.#add(fields.slice(0, count));
    return this.#last;
  }

  #find(count: number): Shape | undefined {
    const alike = this.#byFirstField.get(this.#fields[0] as string);
    if (alike === undefined) return undefined;
    for (const shape of alike) if (isSame(shape.fields, this.#fields, count)) return shape;
    return undefined;
  }

  #add(fields: readonly string[]): Shape {
    const number = this.#next;
    this.#next = (number + 1) % MOST_SHAPES;
    const oldest = this.#all[number];
    if (oldest !== undefined) this.#remove(oldest);
    const shape = { number, fields, isNew: true };
    this.#all[number] = shape;
    const [first] = fields as [string];
    const alike = this.#byFirstField.get(first);
    if (alike === undefined) this.#byFirstField.set(first, [shape]);
    else alike.push(shape);
    return shape;
  }

  #remove(shape: Shape): void {
    const [first] = shape.fields as [string];
    const left = this.#byFirstField.get(first)?.filter((other) => other !== shape) ?? [];
    if (left.length === 0) this.#byFirstField.delete(first);
    else this.#byFirstField.set(first, left);
  }
}

function hasShape(object: object, { fields }: Shape): boolean {
  let count = 0;
  for (const field in object) {
    if (field !== fields[count]) return false;
    count += 1;
  }
  return count === fields.length;
}

function isSame(known: readonly string[], fields: readonly string[], count: number): boolean {
  if (known.length !== count) return false;
  for (let i = 0; i < count; i += 1) if (known[i] !== fields[i]) return false;
  return true;
}

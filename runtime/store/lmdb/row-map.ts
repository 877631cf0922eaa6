/** Something for each of many rows of several tables. No name is made of a table and a key for it. */
export class RowMap<T> {
  readonly #tables = new Map<string, Map<string, T>>();

  get(table: string, key: string): T | undefined {
    return this.#tables.get(table)?.get(key);
  }

  set(table: string, key: string, value: T): void {
    this.of(table).set(key, value);
  }

  /** Those of the table, by key. */
  of(table: string): Map<string, T> {
    let rows = this.#tables.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#tables.set(table, rows);
    }
    return rows;
  }

  /** All of the other, in the place of what it has for the same rows. */
  setAll(other: RowMap<T>): void {
    other.#tables.forEach((rows, table) => {
      const own = this.#tables.get(table);
      if (own === undefined) this.#tables.set(table, new Map(rows));
      else {
        rows.forEach((value, key) => {
          own.set(key, value);
        });
      }
    });
  }

  /** In no order. */
  keys(table: string): Iterable<string> {
    return this.#tables.get(table)?.keys() ?? [];
  }

  /** Table by table. */
  forEach(visit: (value: T) => void): void {
    this.#tables.forEach((rows) => {
      rows.forEach(visit);
    });
  }

  get size(): number {
    let size = 0;
    for (const rows of this.#tables.values()) size += rows.size;
    return size;
  }

  clear(): void {
    this.#tables.clear();
  }
}

import type { Version } from '../../kv/store.ts';
import type { EncodedKey, EncodedRange } from '../../kv/tuple.ts';
import { encodedKeyOf, keyBytes, type StoredRow } from './row.ts';
import type { Session } from './session.ts';
import type { Statements } from './statements.ts';

/** Where rows are read: a session with its snapshot, opened when it is first needed. */
export interface RowSource {
  readonly sql: Statements;
  /** Whether a row that was read stays what it is for this transaction. */
  readonly isStable: boolean;
  session(): Promise<Session>;
  /** @throws what the caller is told of an error */
  failed(error: unknown): Promise<Error>;
}

/**
 * Reads rows, and remembers what was asked for by its key, for the next time; of a scan, which may go on and on, it remembers no more than
 * the first versions.
 */
export class RowReader {
  readonly #source: RowSource;
  readonly #rows = new Map<EncodedKey, StoredRow | undefined>();
  readonly #versions = new Map<EncodedKey, Version | undefined>();
  /** What was read before the transaction, together with a lock. Where rows do not stay, it serves one read. */
  readonly #foretold = new Map<EncodedKey, StoredRow | undefined>();
  readonly #unsure = new Set<EncodedKey>();
  readonly ranges: EncodedRange[] = [];

  constructor(source: RowSource) {
    this.#source = source;
  }

  /** What was read, by key: for telling later what has changed. */
  get versions(): ReadonlyMap<EncodedKey, Version | undefined> {
    return this.#versions;
  }

  async row(key: EncodedKey): Promise<StoredRow | undefined> {
    const [row] = await this.many([key]);
    return row;
  }

  async many(keys: readonly EncodedKey[]): Promise<readonly (StoredRow | undefined)[]> {
    const found = new Map<EncodedKey, StoredRow | undefined>();
    const missing = keys.filter((key) => {
      const known = this.#known(key);
      if (known !== unknown) found.set(key, known);
      return known === unknown;
    });
    if (missing.length > 0) for (const [key, row] of await this.#fetch(missing)) found.set(key, row);
    return keys.map((key) => found.get(key));
  }

  /** Of a range, from either end, at most `count`. */
  async chunk(range: EncodedRange, count: number, reverse: boolean): Promise<readonly StoredRow[]> {
    const { sql } = this.#source;
    const end = range.end === undefined ? null : keyBytes(range.end);
    const rows = await this.#query(reverse ? sql.backward : sql.forward, [keyBytes(range.start), end, count]);
    for (const row of rows) this.#note(encodedKeyOf(row), row);
    return rows;
  }

  scanned(range: EncodedRange): void {
    if (this.ranges.length < rangesNotedMax) this.ranges.push(range);
  }

  #note(key: EncodedKey, row: StoredRow | undefined): void {
    if (this.#versions.size < versionsNotedMax) this.#versions.set(key, row?.version);
  }

  #keep(key: EncodedKey, row: StoredRow | undefined): void {
    this.#rows.set(key, row);
    this.#note(key, row);
  }

  /** A row that was read outside of the transaction, which has to make sure of it before it commits. */
  foretell(key: EncodedKey, row: StoredRow | undefined): void {
    this.#foretold.set(key, row);
    this.#unsure.add(key);
    this.#keep(key, row);
  }

  /** What was foretold, and is not made sure of by the writes, which create no key that is there. */
  unsure(created: (key: EncodedKey) => boolean): readonly EncodedKey[] {
    return [...this.#unsure].filter((key) => this.#rows.get(key) !== undefined || !created(key));
  }

  foretoldAbsent(key: EncodedKey): boolean {
    return this.#unsure.has(key) && this.#rows.get(key) === undefined;
  }

  /** Reads again, in the transaction, what was foretold. Answers what is not so. */
  async verify(keys: readonly EncodedKey[]): Promise<readonly EncodedKey[]> {
    const before = new Map(keys.map((key) => [key, this.#rows.get(key)?.version]));
    for (const key of keys) {
      this.#unsure.delete(key);
      this.#foretold.delete(key);
    }
    const rows = await this.#fetch(keys);
    return keys.filter((key) => rows.get(key)?.version !== before.get(key));
  }

  #known(key: EncodedKey): StoredRow | undefined | typeof unknown {
    if (this.#source.isStable) return this.#rows.has(key) ? this.#rows.get(key) : unknown;
    if (!this.#foretold.has(key)) return unknown;
    const row = this.#foretold.get(key);
    this.#foretold.delete(key);
    return row;
  }

  async #fetch(keys: readonly EncodedKey[]): Promise<ReadonlyMap<EncodedKey, StoredRow | undefined>> {
    const rows = await this.#query(this.#source.sql.get, [keys.map(keyBytes)]);
    const byKey = new Map(rows.map((row) => [encodedKeyOf(row), row]));
    const fetched = new Map(keys.map((key) => [key, byKey.get(key)] as const));
    for (const [key, row] of fetched) this.#keep(key, row);
    return fetched;
  }

  async #query(text: string, values: readonly unknown[]): Promise<readonly StoredRow[]> {
    const session = await this.#source.session();
    try {
      const { rows } = await session.query(text, values);
      return rows as StoredRow[];
    } catch (error) {
      throw await this.#source.failed(error);
    }
  }
}

const unknown = Symbol('not read yet');

/** A conflict is looked for among so many, and not beyond. */
const versionsNotedMax = 10_000;
const rangesNotedMax = 100;

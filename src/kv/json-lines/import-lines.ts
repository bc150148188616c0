import { CommitUnknownError, describe, SemelError } from '../errors.ts';
import type { Key } from '../key.ts';
import type { Store } from '../store.ts';
import { tell } from '../tell.ts';
import { encodeKey } from '../tuple.ts';
import { storeValue, type Value } from '../value.ts';
import { isJsonArray, type Json } from './json-codec.ts';
import { type ExportHeader, LinesChecksum } from './line-format.ts';
import { parseEntry, parseHeader, parseLine, parseTrailer } from './parse-line.ts';

export interface ImportOptions {
  /** Told after every transaction. What it throws is dropped. */
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImportProgress {
  /** Entries that are in the store, durably. */
  readonly entries: number;
}

export interface ImportResult extends ExportHeader {
  readonly entries: number;
}

/**
 * Why an import ended early: the store holds entries already (`not-empty`), a line is none of an export or not that which was
 * exported (`malformed`), or the store, the source of the lines or the caller's signal ended it (`failed`, with the `cause`).
 *
 * The store then holds the first `entries` entries of the export and nothing else; where `unsure` is not 0, perhaps also the
 * next so many, all of them or none.
 */
export class ImportError extends Error {
  readonly code: 'not-empty' | 'malformed' | 'failed';
  /** The last line that was read, from 1; 0 where none was. */
  readonly line: number;
  readonly entries: number;
  readonly unsure: number;

  constructor(code: ImportError['code'], reason: string, state: ImportState, options?: ErrorOptions) {
    super(`${reason}; ${inWords(code, state)}`, options);
    this.name = 'ImportError';
    this.code = code;
    this.line = state.line;
    this.entries = state.entries;
    this.unsure = state.unsure;
  }
}

interface ImportState {
  readonly line: number;
  readonly entries: number;
  readonly unsure: number;
}

/**
 * Puts the lines of an export, without their ends, into an empty store, in transactions of a bounded size. Nobody else may
 * write to the store meanwhile. The last transaction commits only when the trailer has been read and is right, so a small
 * export is imported as a whole or not at all; a large one may be left in part, of which the error tells how much.
 *
 * Each entry gets a version of this store's.
 *
 * @throws ImportError
 */
export async function importLines(
  store: Store,
  lines: AsyncIterable<string> | Iterable<string>,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const importing = new Importing(store, options);
  try {
    for await (const line of lines) {
      options.signal?.throwIfAborted();
      await importing.take(line);
    }
    // Where the signal has ended the source of the lines, too.
    options.signal?.throwIfAborted();
    return await importing.finish();
  } catch (error) {
    throw importing.failure(error);
  }
}

/** Small beside what a transaction may have, so that others get their turn, and large beside what a commit costs. */
const batchMax = Object.freeze({ entries: 1_000, bytes: 4_194_304 });

class Importing {
  readonly #store: Store;
  readonly #options: ImportOptions;
  readonly #checksum = new LinesChecksum();
  #header: ExportHeader | undefined;
  #isComplete = false;
  #line = 0;
  /** Of all lines; `#entries` are those of committed batches. */
  #count = 0;
  #entries = 0;
  #unsure = 0;
  #lastKey = '';
  #batch: { readonly key: Key; readonly value: Value }[] = [];
  #batchBytes = 0;
  #hasBegun = false;

  constructor(store: Store, options: ImportOptions) {
    this.#store = store;
    this.#options = options;
  }

  async take(line: string): Promise<void> {
    this.#line += 1;
    if (this.#isComplete) throw this.#malformed(`the export ended before ${describe(line)}`);
    const json = this.#parsed(() => parseLine(line));
    if (this.#header === undefined) {
      this.#header = this.#parsed(() => parseHeader(json));
    } else if (isJsonArray(json)) {
      await this.#takeEntry(json);
    } else {
      this.#checkTrailer(json);
      this.#isComplete = true;
      return;
    }
    this.#checksum.add(line);
  }

  async finish(): Promise<ImportResult> {
    if (this.#header === undefined) throw this.#malformed('there is no line, not even a header');
    if (!this.#isComplete) throw this.#malformed('the lines end without a trailer: the export was cut');
    await this.#commit();
    return { ...this.#header, entries: this.#entries };
  }

  failure(error: unknown): ImportError {
    if (error instanceof ImportError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return new ImportError('failed', reason, this.#state(), { cause: error });
  }

  async #takeEntry(json: readonly Json[]): Promise<void> {
    const { key, value, encoded, bytes } = this.#parsed(() => {
      const { key, value } = parseEntry(json);
      return { key, value, encoded: encodeKey(key), bytes: storeValue(value).bytes };
    });
    if (encoded <= this.#lastKey) throw this.#malformed(`key ${describe(key)} does not come after the one before it`);
    this.#lastKey = encoded;
    const entryBytes = encoded.length + bytes;
    const isFull = this.#batch.length === batchMax.entries || this.#batchBytes + entryBytes > batchMax.bytes;
    if (isFull && this.#batch.length > 0) await this.#commit();
    this.#batch.push({ key, value });
    this.#batchBytes += entryBytes;
    this.#count += 1;
  }

  #checkTrailer(json: Json): void {
    const { entries, sha256 } = this.#parsed(() => parseTrailer(json));
    if (entries !== this.#count) {
      throw this.#malformed(`the trailer counts ${entries} entries, but ${this.#count} were read`);
    }
    if (sha256 !== this.#checksum.finish()) {
      throw this.#malformed('the checksum is wrong: a line before this one is not as it was exported');
    }
  }

  async #commit(): Promise<void> {
    const batch = this.#batch;
    const isFirst = !this.#hasBegun;
    const { signal } = this.#options;
    try {
      const isEmpty = await this.#store.transact(
        async (tx) => {
          if (isFirst) for await (const _ of tx.scan({}, { limit: 1 })) return false;
          for (const { key, value } of batch) tx.set(key, value);
          return true;
        },
        signal === undefined ? {} : { signal },
      );
      if (!isEmpty) throw new ImportError('not-empty', 'the store is not empty', this.#state());
    } catch (error) {
      if (error instanceof CommitUnknownError) this.#unsure = batch.length;
      throw error;
    }
    this.#hasBegun = true;
    this.#entries += batch.length;
    this.#batch = [];
    this.#batchBytes = 0;
    tell(this.#options.onProgress, { entries: this.#entries });
  }

  #parsed<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof SemelError)) throw error;
      throw this.#malformed(error.message, error);
    }
  }

  #malformed(reason: string, cause?: unknown): ImportError {
    return new ImportError('malformed', `line ${this.#line}: ${reason}`, this.#state(), { cause });
  }

  #state(): ImportState {
    return { line: this.#line, entries: this.#entries, unsure: this.#unsure };
  }
}

function inWords(code: ImportError['code'], { entries, unsure }: ImportState): string {
  if (code === 'not-empty') return 'it was left as it is; import into a new one';
  if (entries === 0 && unsure === 0) return 'nothing was imported';
  const sure = `the store holds the first ${entries} entries of the export`;
  const known = unsure === 0 ? sure : `${sure}, and perhaps the next ${unsure}`;
  return `${known}, and no more; import again into a new one`;
}

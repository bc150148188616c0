import type { Key } from '../key.ts';
import type { ReadTransaction, Store } from '../store.ts';
import { tell } from '../tell.ts';
import { entryLine, type ExportHeader, headerLine, LinesChecksum, trailerLine } from './line-format.ts';

export interface ExportOptions {
  /** Only the keys that begin with these whole parts. Default: everything. */
  readonly prefix?: Key;
  /** Told after every thousand entries or so, and at the end. What it throws is dropped. */
  readonly onProgress?: (progress: ExportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ExportProgress {
  readonly entries: number;
  /** Of the lines up to now, in UTF-16 units: as many bytes where all is ASCII. */
  readonly characters: number;
}

/**
 * A store's entries as lines of JSON, without their ends, all from one snapshot, which is held until the last line is taken
 * or the iteration is left. docs/backup.md has the format. Versions are not in it: they belong to the store.
 *
 * @throws AbortedError, InvalidArgumentError, StoreClosedError, or what the engine's reads answer
 */
export async function* exportLines(store: Store, options: ExportOptions = {}): AsyncGenerator<string, void, undefined> {
  const { prefix, onProgress, signal } = options;
  const begun = Promise.withResolvers<ReadTransaction>();
  const ended = Promise.withResolvers<void>();
  const reading = store.read(
    (tx) => {
      begun.resolve(tx);
      return ended.promise;
    },
    signal === undefined ? {} : { signal },
  );
  reading.catch(begun.reject);
  try {
    const tx = await begun.promise;
    const entries = tx.scan(prefix === undefined ? {} : { prefix });
    yield* linesOf({ now: tx.now, prefix }, entries, onProgress);
  } finally {
    ended.resolve();
    // Where the snapshot ended early, its reason says more than the read that came too late.
    await reading;
  }
}

/** Header, entries and trailer. The entries have to be in the order of their keys. */
export async function* linesOf(
  header: ExportHeader,
  entries: AsyncIterable<LineEntry> | Iterable<LineEntry>,
  onProgress?: (progress: ExportProgress) => void,
): AsyncGenerator<string, void, undefined> {
  const checksum = new LinesChecksum();
  const progress = { entries: 0, characters: 0 };
  const take = (line: string): string => {
    checksum.add(line);
    progress.characters += line.length + 1;
    return line;
  };
  yield take(headerLine(header));
  let toldAt = 0;
  for await (const { key, value } of entries) {
    yield take(entryLine(key, value));
    progress.entries += 1;
    if (progress.entries % progressEntries !== 0 && progress.characters - toldAt < progressCharacters) continue;
    toldAt = progress.characters;
    tell(onProgress, { ...progress });
  }
  yield trailerLine({ entries: progress.entries, sha256: checksum.finish() });
  tell(onProgress, { ...progress });
}

/** Often enough for somebody who watches, whether entries are small or large; seldom enough to cost nothing. */
const progressEntries = 1_000;
const progressCharacters = 8_388_608;

interface LineEntry {
  readonly key: Key;
  readonly value: Parameters<typeof entryLine>[1];
}

import type { Key } from '../../kv/key.ts';
import { decodeKey, type EncodedKey } from '../../kv/tuple.ts';
import type { Value } from '../../kv/value.ts';
import { decodeEntry, type LogEntry } from './commit-codec.ts';
import type { FileKind } from './file-header.ts';
import { bufferOf, type FileInspection, inspectStore, type ReadableDisk } from './inspect-store.ts';
import { entriesOf } from './log-format.ts';
import { numberIn } from './log-segment.ts';
import { type Gap, missingGroups, readRecords } from './records-reading.ts';

export interface Salvaged {
  /** The newest time that the store's clock is known to have shown. */
  readonly now: number;
  /** What cannot be read, in words; empty where nothing is damaged. */
  readonly missing: readonly string[];
  /** In the order of keys. */
  readonly entries: Iterable<{ readonly key: Key; readonly value: Value }>;
}

/**
 * What is whole of a store or a backup, damaged or not. Groups are whole or missing, so no transaction is there by half; but
 * behind a gap, what the missing ones wrote is missing or older than it was, and the whole need never have been a state of the
 * store. `untilDamage` stops before the first loss: that is a state that was, and everything acknowledged later is missing; of
 * a damaged checkpoint or backup, which is one state in pieces, that is nothing.
 */
export async function salvageStore(
  disk: ReadableDisk,
  { untilDamage }: { readonly untilDamage: boolean },
): Promise<Salvaged> {
  const { files } = await inspectStore(disk);
  const replay = new Replay();
  const missing: string[] = [];
  let before = 0;
  for (const file of inOrder(files)) {
    const losses = lossesOf(file);
    const end = untilDamage ? losses[0]?.from : undefined;
    if (file.kind !== 'missing' && (end === undefined || file.kind === 'log')) {
      const bytes = bufferOf(await disk.read(file.name));
      const { groups, lastGroup } = readRecords(file.kind as FileKind, numberOf(file), bytes, before);
      for (const group of groups) {
        if (end !== undefined && group.offset >= end) break;
        for (const entry of entriesOf(bytes, group)) replay.take(decodeEntry(entry));
      }
      // The records of a state are a chain of their own.
      if (file.kind === 'log') before = lastGroup;
    }
    if (end !== undefined) {
      missing.push(`everything from byte ${file.kind === 'log' ? end : 0} of ${file.name} on`);
      break;
    }
    missing.push(...losses.map(({ words }) => `${file.name}: ${words}`));
  }
  return { now: replay.now, missing, entries: replay.entries() };
}

/** As opening reads them: the state, then the log. */
function inOrder(files: readonly FileInspection[]): readonly FileInspection[] {
  const judged = files.filter(({ verdict }) => verdict !== undefined);
  const rank = ({ kind }: FileInspection): number => (kind === 'log' || kind === 'missing' ? 1 : 0);
  return judged.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

function numberOf({ kind, name }: FileInspection): number {
  return kind === 'log' || kind === 'checkpoint' ? (numberIn(kind, name) ?? 1) : 1;
}

interface Loss {
  /** Where the file stops to be whole; `undefined` where it does not. */
  readonly from: number | undefined;
  readonly words: string;
}

function lossesOf({ verdict, content }: FileInspection): readonly Loss[] {
  if (verdict?.kind !== 'rotten') return [];
  const gaps = (content?.gaps ?? []).filter((gap) => missingGroups(gap) !== undefined);
  if (gaps.length > 0) return gaps.map((gap) => ({ from: gap.from, words: inWords(gap) }));
  if (content === undefined)
    return [{ from: 0, words: `${verdict.reason}: what was written in it is missing, or older than it was` }];
  return [
    { from: undefined, words: `nothing, as far as can be told, although ${verdict.reason}, at byte ${verdict.offset}` },
  ];
}

function inWords(gap: Gap): string {
  return `bytes ${gap.from} to ${gap.to} cannot be read, ${missingGroups(gap)}: what was written there is missing, or older than it was`;
}

class Replay {
  now = 0;
  readonly #state = new Map<EncodedKey, Value>();

  take(entry: LogEntry): void {
    switch (entry.kind) {
      case 'commit':
        this.now = Math.max(this.now, entry.now);
        for (const { key, stored } of entry.writes) {
          if (stored === undefined) this.#state.delete(key);
          else this.#state.set(key, stored.value);
        }
        break;
      case 'portion':
        for (const { key, stored } of entry.entries) this.#state.set(key, stored.value);
        break;
      case 'mark':
        this.now = Math.max(this.now, entry.now);
        break;
      case 'incarnation':
        break;
    }
  }

  *entries(): Generator<{ readonly key: Key; readonly value: Value }> {
    for (const key of [...this.#state.keys()].toSorted((a, b) => (a < b ? -1 : 1))) {
      const value = this.#state.get(key);
      if (value !== undefined) yield { key: decodeKey(key), value };
    }
  }
}

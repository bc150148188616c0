import { assert } from '../../kv/assert.ts';
import { entryBytesInGroup } from './log-format.ts';

/** Entries that are written and synced together. */
export interface Group {
  readonly entries: Uint8Array[];
  payloadBytes: number;
  /** The index of its last entry. */
  lastIndex: number;
  /** One promise for all who wait; made when the first does. */
  durable: PromiseWithResolvers<void> | undefined;
}

/**
 * A group is no longer, but for a single entry that is: putting it together keeps the thread, and a longer one would hardly make a
 * sync cheaper for each.
 */
const groupBytesMax = 4_194_304;

/** What waits to be written, in groups. */
export class GroupQueue {
  readonly #groups: Group[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(entry: Uint8Array, index: number): void {
    const payloadBytes = entryBytesInGroup(entry);
    this.#bytes += payloadBytes;
    const last = this.#groups.at(-1);
    if (last !== undefined && last.payloadBytes + payloadBytes <= groupBytesMax) {
      last.entries.push(entry);
      last.payloadBytes += payloadBytes;
      last.lastIndex = index;
    } else {
      this.#groups.push({ entries: [entry], payloadBytes, lastIndex: index, durable: undefined });
    }
  }

  shift(): Group | undefined {
    const group = this.#groups.shift();
    this.#bytes -= group?.payloadBytes ?? 0;
    return group;
  }

  /** The group with the entry of this index, which waits. */
  groupOf(index: number): Group {
    const group = this.#groups.find((candidate) => index <= candidate.lastIndex);
    assert(group !== undefined, 'an entry that is not durable is in a group');
    return group;
  }

  /** Nothing of it will be written. */
  reject(fault: Error): void {
    for (const group of this.#groups.splice(0)) group.durable?.reject(fault);
    this.#bytes = 0;
  }
}

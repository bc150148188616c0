import { assert } from '../../kv/assert.ts';
import { entryBytesInGroup, payloadBytesMax } from './log-format.ts';

/** Entries that are written and synced together. */
export interface Group {
  readonly entries: Uint8Array[];
  payloadBytes: number;
  /** The index of its last entry. */
  lastIndex: number;
  /** One promise for all who wait; made when the first does. */
  durable: PromiseWithResolvers<void> | undefined;
}

/** What waits to be written, in groups no longer than a record may be. */
export class GroupQueue {
  readonly #groups: Group[] = [];

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  push(entry: Uint8Array, index: number): void {
    const payloadBytes = entryBytesInGroup(entry);
    const last = this.#groups.at(-1);
    if (last !== undefined && last.payloadBytes + payloadBytes <= payloadBytesMax) {
      last.entries.push(entry);
      last.payloadBytes += payloadBytes;
      last.lastIndex = index;
    } else {
      this.#groups.push({ entries: [entry], payloadBytes, lastIndex: index, durable: undefined });
    }
  }

  shift(): Group | undefined {
    return this.#groups.shift();
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
  }
}

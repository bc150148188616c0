import { isDeepStrictEqual } from 'node:util';
import { keysText, valueText } from './history-text.ts';
import type { Operation, RecordedTransaction } from './transaction-history.ts';

export interface SerialOrderViolation {
  /**
   * `read`: it saw what was not so at its place. `real-time`: its place is before that of one that was over when it began.
   * `no-place`: it claimed none, and there is none at which all that it read held. `same-place`: two have written there.
   */
  readonly name: 'read' | 'real-time' | 'no-place' | 'same-place';
  readonly transaction: RecordedTransaction;
  /** Whose write it should have seen, or who stands in its way. */
  readonly other: RecordedTransaction | undefined;
  readonly message: string;
}

/** One thing that somebody read. */
export interface Point {
  readonly key: string;
  readonly value: unknown;
  readonly version?: RecordedTransaction['version'];
}

/** What a key has held, from which place in the order on. */
interface Held {
  readonly place: number;
  readonly value: unknown;
  readonly writer: RecordedTransaction | undefined;
}

interface KeyPast {
  /** In the order of their places. It begins with nothing, at place 0. */
  readonly held: Held[];
  /** Positions in `held`, by what a read of it looks like. */
  readonly like: Map<string, number[]>;
}

/** The map as it is when transactions run one at a time, and as it was. The first of them is at place 1. */
export class SerialReplay {
  readonly #pasts = new Map<string, KeyPast>();
  #place = 0;
  #previousWriter: RecordedTransaction | undefined;

  *run(transaction: RecordedTransaction): Generator<SerialOrderViolation> {
    this.#place += 1;
    for (const operation of transaction.operations) {
      switch (operation.act) {
        case 'append': {
          const { value } = this.#newest(operation.key);
          const list = value instanceof GrowingList ? value : new GrowingList([], 0);
          this.#set(operation.key, list.with(operation.element), transaction);
          break;
        }
        case 'write': {
          const value: unknown = operation.value;
          this.#set(
            operation.key,
            Array.isArray(value) ? new GrowingList([...value], value.length) : value,
            transaction,
          );
          break;
        }
        default:
          yield* this.#judge(transaction, operation);
      }
    }
    if (!transaction.operations.some(writes)) return;
    const before = this.#previousWriter;
    this.#previousWriter = transaction;
    if (before?.position !== transaction.position) return;
    const message = `${before?.name} and ${transaction.name} have both written at the place ${String(transaction.position)}`;
    yield { name: 'same-place', transaction, other: before, message };
  }

  /** The first place from `place` on at which somebody else reads this. */
  firstPlaceOf(reader: RecordedTransaction, point: Point, place: number): number | undefined {
    const { held, like } = this.#pastOf(point.key);
    const alike = like.get(likeness(point.value)) ?? [];
    const endOf = (at: number): number => (held[at + 1]?.place ?? Infinity) - 1;
    // Those that ended before are passed over by halves. What was overwritten at its own place ended before it began.
    let [low, high] = [0, alike.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(alike[middle] as number) < place) low = middle + 1;
      else high = middle;
    }
    for (; low < alike.length; low++) {
      const one = held[alike[low] as number] as Held;
      if (agrees(one, reader, point)) return Math.max(one.place, place);
    }
    return undefined;
  }

  *#judge(transaction: RecordedTransaction, operation: Operation): Generator<SerialOrderViolation> {
    for (const point of pointsOf(operation)) {
      const held = this.#newest(point.key);
      if (agrees(held, transaction, point)) continue;
      const { writer } = held;
      const act = operation.act === 'range' ? `found in ${keysText(operation.keys)}` : 'read';
      const version = point.version === undefined ? '' : ` (version ${String(point.version)})`;
      const whose = writer === undefined ? '' : ` of ${writer.name}`;
      const message =
        `${transaction.name} ${act} ${point.key} = ${valueText(point.value)}${version}, and at its place ` +
        `(${String(transaction.position)}) there is ${valueText(plain(held.value))}${whose}`;
      yield { name: 'read', transaction, other: writer === transaction ? undefined : writer, message };
    }
  }

  #newest(key: string): Held {
    return this.#pastOf(key).held.at(-1) as Held;
  }

  #pastOf(key: string): KeyPast {
    const known = this.#pasts.get(key);
    if (known !== undefined) return known;
    const past = {
      held: [{ place: 0, value: undefined, writer: undefined }],
      like: new Map([[likeness(undefined), [0]]]),
    };
    this.#pasts.set(key, past);
    return past;
  }

  #set(key: string, value: unknown, writer: RecordedTransaction): void {
    const { held, like } = this.#pastOf(key);
    const alike = likeness(value);
    const places = like.get(alike) ?? [];
    like.set(alike, places);
    places.push(held.length);
    held.push({ place: this.#place, value, writer });
  }
}

export function writes({ act }: Operation): boolean {
  return act === 'append' || act === 'write';
}

export function* pointsOf(operation: Operation): Generator<Point> {
  if (operation.act === 'read') yield operation;
  if (operation.act === 'range') for (const key of operation.keys) yield { key, value: operation.found.get(key) };
}

/** Equal for equal values of one key. */
export function sighting(key: string, value: unknown): string {
  // Far cheaper than JSON, and what most values are.
  if (typeof value === 'number' || typeof value === 'string') return `${key.length} ${key} ${typeof value} ${value}`;
  const text = JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));
  return JSON.stringify([key, typeof value, text]);
}

/** A list as it was at one time, without a copy for each: those that grew out of each other share their items. */
class GrowingList {
  readonly #items: unknown[];
  readonly length: number;

  constructor(items: unknown[], length: number) {
    this.#items = items;
    this.length = length;
  }

  get last(): unknown {
    return this.#items[this.length - 1];
  }

  with(element: unknown): GrowingList {
    this.#items.push(element);
    return new GrowingList(this.#items, this.length + 1);
  }

  toArray(): readonly unknown[] {
    return this.#items.slice(0, this.length);
  }
}

/** Equal for equal values, and cheap. Of lists the length and the end, which tell apart those that grow. */
function likeness(value: unknown): string {
  if (value === null || value === undefined) return 'absent';
  if (value instanceof GrowingList) return sighting(String(value.length), value.last);
  // A list that nobody has appended to is absent, and some databases answer an empty one.
  if (Array.isArray(value)) return value.length === 0 ? 'absent' : sighting(String(value.length), value.at(-1));
  return sighting('', value);
}

function agrees({ value, writer }: Held, reader: RecordedTransaction, point: Point): boolean {
  // What one has written itself has no version before the commit.
  const isSameWrite = point.version === undefined || writer === reader || writer?.version === point.version;
  return isSameWrite && likeness(value) === likeness(point.value) && isEqual(plain(value), point.value);
}

function isEqual(value: unknown, seen: unknown): boolean {
  return likeness(seen) === 'absent' || isDeepStrictEqual(value, seen);
}

function plain(value: unknown): unknown {
  return value instanceof GrowingList ? value.toArray() : value;
}

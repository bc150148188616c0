import { operationText } from './history-text.ts';
import { type Point, pointsOf, type SerialOrderViolation, type SerialReplay } from './serial-replay.ts';
import type { RecordedTransaction } from './transaction-history.ts';

interface Placement {
  readonly replay: SerialReplay;
  readonly strict: boolean;
  /** Grows. */
  readonly violations: SerialOrderViolation[];
}

/**
 * Gives each reader without a place the first one at which all that it read held, and answers the whole order. In the
 * order in which they began this is as good as any: an earlier place never leaves less room for those that come later.
 */
export function placeReaders(
  placed: readonly RecordedTransaction[],
  readers: readonly RecordedTransaction[],
  { replay, strict, violations }: Placement,
): readonly RecordedTransaction[] {
  const behind = new Map<number, RecordedTransaction[]>();
  const bounds = new RealTimeBounds(placed, readers);
  for (const reader of readers.toSorted((one, other) => one.invoked - other.invoked)) {
    const [low, high] = strict ? bounds.around(reader) : [0, placed.length];
    const place = firstPlace(replay, reader, low);
    if (place === undefined || place > high) {
      const reads = reader.operations.map(operationText).join('; ');
      const where = strict ? 'no place that respects real time' : 'no place';
      const message = `${reader.name}, which wrote nothing, has ${where} at which all of this held: ${reads}`;
      violations.push({ name: 'no-place', transaction: reader, other: undefined, message });
      continue;
    }
    bounds.place(reader, place);
    const there = behind.get(place) ?? [];
    behind.set(place, there);
    there.push(reader);
  }
  return [undefined, ...placed].flatMap((transaction, place) => [
    ...(transaction === undefined ? [] : [transaction]),
    ...(behind.get(place) ?? []),
  ]);
}

/** Whose answer never came may have taken effect at any later time. */
export function endOf({ outcome, completed }: RecordedTransaction): number {
  return outcome === 'committed' ? completed : Infinity;
}

function firstPlace(replay: SerialReplay, reader: RecordedTransaction, low: number): number | undefined {
  const points: readonly Point[] = reader.operations.flatMap((operation) => [...pointsOf(operation)]);
  let place = low;
  for (let agreed = 0; agreed < points.length;) {
    agreed = 0;
    for (const point of points) {
      const next = replay.firstPlaceOf(reader, point, place);
      if (next === undefined) return undefined;
      if (next === place) agreed += 1;
      place = next;
    }
  }
  return place;
}

/** Between which places one stands that began and was answered when it did. Asked in the order in which they began. */
class RealTimeBounds {
  readonly #places: Map<RecordedTransaction, number>;
  readonly #byEnd: readonly RecordedTransaction[];
  readonly #begun: readonly number[];
  /** The least place of those that begin at this one of `#begun` or later. */
  readonly #leastFrom: readonly number[];
  #ended = 0;
  #low = 0;

  constructor(placed: readonly RecordedTransaction[], readers: readonly RecordedTransaction[]) {
    this.#places = new Map(placed.map((transaction, at) => [transaction, at + 1]));
    this.#byEnd = [...placed, ...readers].sort((one, other) => endOf(one) - endOf(other));
    const byBegin = placed.toSorted((one, other) => one.invoked - other.invoked);
    this.#begun = byBegin.map(({ invoked }) => invoked);
    let least = Infinity;
    this.#leastFrom = byBegin
      .toReversed()
      .map((transaction) => (least = Math.min(least, this.#places.get(transaction) ?? Infinity)))
      .reverse();
  }

  place(reader: RecordedTransaction, place: number): void {
    this.#places.set(reader, place);
  }

  around({ invoked, completed }: RecordedTransaction): readonly [number, number] {
    for (; this.#ended < this.#byEnd.length; this.#ended++) {
      const one = this.#byEnd[this.#ended] as RecordedTransaction;
      if (endOf(one) >= invoked) break;
      this.#low = Math.max(this.#low, this.#places.get(one) ?? 0);
    }
    let [low, high] = [0, this.#begun.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#begun[middle] as number) <= completed) low = middle + 1;
      else high = middle;
    }
    return [this.#low, (this.#leastFrom[low] ?? Infinity) - 1];
  }
}

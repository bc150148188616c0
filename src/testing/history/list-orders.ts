import { ReadModifyWrites } from './read-modify-writes.ts';
import { listReads, listSteps } from './list-reads.ts';
import {
  MalformedHistoryError,
  type History,
  type ListElement,
  type RecordedTransaction,
} from './transaction-history.ts';

/**
 * In which order the elements came into each list. A list remembers its whole past, so the longest one that was read tells
 * it: that is what makes a black box checkable in linear time. Kingsbury and Alvaro, *Elle* (VLDB 2020), section 4.2.3.
 */
export interface ListOrders {
  readonly transactions: readonly RecordedTransaction[];
  /** Who took effect: whoever committed, and whoever left without an answer and had a write seen. */
  readonly tookEffect: readonly boolean[];
  readonly orders: ReadonlyMap<string, ListOrder>;
  readonly updates: ReadModifyWrites;
  readonly appendOf: (key: string, element: ListElement) => ListAppend | undefined;
}

export interface ListOrder {
  readonly key: string;
  /** The longest list that was read. */
  readonly elements: readonly ListElement[];
  /** Who read it; `undefined` if nobody read anything. */
  readonly witness: number | undefined;
  /** Who appended each of `elements`; -1 where that never took effect. */
  readonly writers: Int32Array;
  /**
   * Who appended something, and took effect, that nobody saw. It came after all of `elements`: but for what may have been
   * overwritten, because two wrote back one list that both had read. That is an anomaly by itself, and proves no order.
   */
  readonly unseen: readonly number[];
}

export interface ListAppend {
  readonly writer: number;
  /** Nothing of the same transaction followed it in this list. */
  isLast: boolean;
  seen: boolean;
}

export function inferListOrders({ transactions }: History): ListOrders {
  const appends = indexAppends(transactions);
  const tookEffect = transactions.map(({ outcome }) => outcome === 'committed');
  const longest = new Map<string, { readonly elements: readonly ListElement[]; readonly witness: number }>();

  const effective = [...transactions.keys()].filter((index) => tookEffect[index] === true);
  // It grows on the way: what somebody without an answer wrote and had seen makes that one's reads count as well.
  for (const index of effective) {
    for (const { key, elements } of listReads(transactions[index] as RecordedTransaction)) {
      for (const element of elements) {
        const append = appends.get(key)?.get(element);
        if (append === undefined) continue;
        append.seen = true;
        if (tookEffect[append.writer] === true || transactions[append.writer]?.outcome !== 'unknown') continue;
        tookEffect[append.writer] = true;
        effective.push(append.writer);
      }
      const known = longest.get(key);
      const isLongest = known === undefined || elements.length > known.elements.length;
      if (isLongest && new Set(elements).size === elements.length) longest.set(key, { elements, witness: index });
    }
  }

  const updates = new ReadModifyWrites(transactions, tookEffect);
  const orders = new Map<string, ListOrder>();
  for (const key of new Set([...longest.keys(), ...appends.keys()])) {
    const { elements = [], witness } = longest.get(key) ?? {};
    const ofKey = appends.get(key) ?? new Map<ListElement, ListAppend>();
    const writers = Int32Array.from(elements, (element) => {
      const writer = ofKey.get(element)?.writer ?? -1;
      return tookEffect[writer] === true ? writer : -1;
    });
    const unseen = new Set<number>();
    for (const { seen, writer } of ofKey.values()) {
      if (!seen && tookEffect[writer] === true && !updates.hasRival(key, writer)) unseen.add(writer);
    }
    orders.set(key, { key, elements, witness, writers, unseen: [...unseen] });
  }
  return { transactions, tookEffect, orders, updates, appendOf: (key, element) => appends.get(key)?.get(element) };
}

function indexAppends(transactions: readonly RecordedTransaction[]): Map<string, Map<ListElement, ListAppend>> {
  const appends = new Map<string, Map<ListElement, ListAppend>>();
  for (const [writer, transaction] of transactions.entries()) {
    const last = new Map<string, ListAppend>();
    for (const step of listSteps(transaction)) {
      if (!('appended' in step)) continue;
      const { key, appended } = step;
      const ofKey = appends.get(key) ?? new Map<ListElement, ListAppend>();
      appends.set(key, ofKey);
      const other = ofKey.get(appended);
      if (other !== undefined) {
        const names = [...new Set([other.writer, writer])].map((index) => transactions[index]?.name).join(' and ');
        throw new MalformedHistoryError(
          `${names} append ${String(appended)} to ${key} twice, so who was seen is unknown`,
        );
      }
      const before = last.get(key);
      if (before !== undefined) before.isLast = false;
      const append = { writer, isLast: true, seen: false };
      last.set(key, append);
      ofKey.set(appended, append);
    }
  }
  return appends;
}

/** How many of the elements `read` shares with the order from the beginning on. All of them, unless the reads contradict. */
export function sharedLength(read: readonly ListElement[], order: readonly ListElement[]): number {
  const length = Math.min(read.length, order.length);
  for (let position = 0; position < length; position++) if (read[position] !== order[position]) return position;
  return length;
}

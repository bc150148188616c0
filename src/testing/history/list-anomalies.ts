import type { Anomaly, AnomalyName, Dependency } from './anomaly.ts';
import { forbiddenBy, from } from './forbidden-by.ts';
import { valueText } from './history-text.ts';
import { sharedLength, type ListOrder, type ListOrders } from './list-orders.ts';
import { listReads, listSteps, type ListRead } from './list-reads.ts';
import type { ListElement, RecordedTransaction } from './transaction-history.ts';

/** Whatever is wrong with single reads and single lists, before anything is put in order. */
export function* findListAnomalies(orders: ListOrders): Generator<Anomaly> {
  const { transactions, tookEffect } = orders;
  for (const [index, transaction] of transactions.entries()) {
    if (tookEffect[index] !== true) continue;
    yield* findInternal(orders, index, transaction);
    for (const read of listReads(transaction)) yield* judgeRead(orders, index, read);
  }
  for (const order of orders.orders.values()) yield* findDirtyUpdates(orders, order);
  yield* findLostUpdates(orders);
}

function anomaly(
  name: AnomalyName,
  title: string,
  transactions: readonly RecordedTransaction[],
  dependencies: readonly Dependency[] = [],
): Anomaly {
  const unique = [...new Set(transactions)];
  return { name, title, forbiddenBy: forbiddenBy(name, false), transactions: unique, dependencies };
}

function* judgeRead(
  { transactions, tookEffect, orders, updates, appendOf }: ListOrders,
  index: number,
  { key, elements }: ListRead,
): Generator<Anomaly> {
  const reader = transactions[index] as RecordedTransaction;
  // Texts are made where they are told: most reads are right.
  const list = (): string => `${key} = ${valueText(elements)}`;
  const seenBy = (from: RecordedTransaction, why: string): Dependency[] =>
    from === reader ? [] : [{ kind: 'wr', from, to: reader, key, phantom: false, why }];
  const known = new Set<ListElement>();
  for (const [position, element] of elements.entries()) {
    const append = appendOf(key, element);
    if (known.has(element)) {
      yield anomaly('duplicate-element', `${reader.name} read ${list()}, which holds ${valueText(element)} twice.`, [
        reader,
      ]);
      continue;
    }
    known.add(element);
    if (append === undefined) {
      yield anomaly(
        'garbage-element',
        `${reader.name} read ${list()}, and nobody ever appended ${valueText(element)}.`,
        [reader],
      );
      continue;
    }
    const writer = transactions[append.writer] as RecordedTransaction;
    if (tookEffect[append.writer] !== true) {
      const why = `${reader.name} read ${list()}, and ${valueText(element)} is of ${writer.name}, which was rolled back`;
      yield anomaly('G1a', 'A read of what was rolled back (aborted read).', [writer, reader], seenBy(writer, why));
    } else if (position === elements.length - 1 && !append.isLast && writer !== reader) {
      const why = `${reader.name} read ${list()}, and ${writer.name} appended more after ${valueText(element)}`;
      yield anomaly(
        'G1b',
        'A read from amid a transaction (intermediate read).',
        [writer, reader],
        seenBy(writer, why),
      );
    }
  }
  const order = orders.get(key);
  if (order?.witness === undefined || known.size < elements.length) return;
  const shared = sharedLength(elements, order.elements);
  if (shared === elements.length) return;
  const [one, other] = [elements[shared], order.elements[shared]].map((element) =>
    element === undefined ? -1 : (appendOf(key, element)?.writer ?? -1),
  );
  if (updates.areRivals(key, one ?? -1, other ?? -1)) return;
  const witness = transactions[order.witness] as RecordedTransaction;
  const title = `${reader.name} read ${list()} and ${witness.name} read ${valueText(order.elements)}: no list grows into both.`;
  yield anomaly('incompatible-order', title, [reader, witness]);
}

/** Definition of INT in Cerone, Bernardi and Gotsman, *A Framework for Transactional Consistency Models* (CONCUR 2015). */
function* findInternal({ appendOf }: ListOrders, index: number, transaction: RecordedTransaction): Generator<Anomaly> {
  interface Past {
    seen: readonly ListElement[] | undefined;
    /** Appended since then. */
    own: ListElement[];
    readonly all: ListElement[];
  }
  const pasts = new Map<string, Past>();
  for (const step of listSteps(transaction)) {
    const { key } = step;
    const past: Past = pasts.get(key) ?? { seen: undefined, own: [], all: [] };
    pasts.set(key, past);
    if ('appended' in step) {
      past.own.push(step.appended);
      past.all.push(step.appended);
      continue;
    }
    const { elements } = step;
    const { seen, own, all } = past;
    past.seen = elements;
    past.own = [];
    const list = (): string => `${key} = ${valueText(elements)}`;
    const early = elements.find((element) => appendOf(key, element)?.writer === index && !all.includes(element));
    if (early !== undefined) {
      const title = `${transaction.name} read ${list()} before it appended ${valueText(early)} itself.`;
      yield anomaly('internal', title, [transaction]);
    } else if (!endsWith(elements, all)) {
      const title = `${transaction.name} read ${list()} after it had appended ${valueText(all)} itself.`;
      yield anomaly('internal', title, [transaction]);
    } else if (seen !== undefined && !isSum(elements, seen, own)) {
      const mine = own.length === 0 ? '' : `, had appended ${valueText(own)},`;
      const title = `${transaction.name} had read ${key} = ${valueText(seen)}${mine} and then read ${list()} (non-repeatable read).`;
      yield { ...anomaly('internal', title, [transaction]), forbiddenBy: from('repeatable-read') };
    }
  }
}

function endsWith(elements: readonly ListElement[], end: readonly ListElement[]): boolean {
  const offset = elements.length - end.length;
  return offset >= 0 && end.every((element, position) => elements[offset + position] === element);
}

function isSum(elements: readonly ListElement[], begin: readonly ListElement[], end: readonly ListElement[]): boolean {
  const length = begin.length + end.length;
  return elements.length === length && sharedLength(begin, elements) === begin.length && endsWith(elements, end);
}

function* findDirtyUpdates(orders: ListOrders, { key, elements }: ListOrder): Generator<Anomaly> {
  const { transactions, tookEffect, appendOf } = orders;
  let rolledBack: ListElement | undefined;
  for (const element of elements) {
    const writer = appendOf(key, element)?.writer;
    if (writer === undefined) continue;
    if (tookEffect[writer] !== true) {
      rolledBack ??= element;
    } else if (rolledBack !== undefined) {
      const aborted = transactions[appendOf(key, rolledBack)?.writer ?? -1] as RecordedTransaction;
      const to = transactions[writer] as RecordedTransaction;
      const why = `${to.name} appended ${valueText(element)} to a list with ${valueText(rolledBack)} of ${aborted.name}, which was rolled back`;
      const title = `What was rolled back was built upon: ${key} = ${valueText(elements)}.`;
      const built: Dependency = { kind: 'ww', from: aborted, to, key, phantom: false, why };
      yield anomaly('dirty-update', title, [aborted, to], [built]);
      return;
    }
  }
}

/** P4 of Berenson et al., *A Critique of ANSI SQL Isolation Levels* (SIGMOD 1995). */
function* findLostUpdates({ transactions, updates }: ListOrders): Generator<Anomaly> {
  for (const [key, byBase] of updates.groups) {
    for (const [base, [one = -1, other = -1]] of byBase) {
      const [first, second] = [transactions[one], transactions[other]];
      if (first === undefined || second === undefined) continue;
      const state = base === undefined ? 'was empty' : `ended in ${valueText(base)}`;
      const why = (from: RecordedTransaction, to: RecordedTransaction): Dependency => ({
        kind: 'rw',
        from,
        to,
        key,
        phantom: false,
        why: `${from.name} read ${key} when it ${state}, without what ${to.name} appended to that very state`,
      });
      const title = `Two changed ${key} from one state, each as if alone (lost update, P4).`;
      yield anomaly('lost-update', title, [first, second], [why(first, second), why(second, first)]);
    }
  }
}

import type { Dependency } from './anomaly.ts';
import { type DependencyGraph, edgeKinds } from './dependency-graph.ts';
import { keysText, valueText } from './history-text.ts';
import type { ListOrder, ListOrders } from './list-orders.ts';
import { listSteps } from './list-reads.ts';
import type { CycleEdge } from './shortest-cycle.ts';
import { at } from './strongly-connected.ts';
import type { ListElement, RecordedTransaction } from './transaction-history.ts';

const dependencyKinds = ['ww', 'wr', 'rw', 'rw', 'session', 'realtime'] as const;

/** An edge of the graph as a sentence about what two transactions did. */
export function explainEdge(orders: ListOrders, graph: DependencyGraph, { from, to, edge }: CycleEdge): Dependency {
  const [earlier, later] = [orders.transactions[from], orders.transactions[to]] as RecordedTransaction[];
  const kind = at(graph.kinds, edge);
  const named = { kind: dependencyKinds[kind], from: earlier, to: later } as Dependency;
  if (kind === edgeKinds.session) {
    const why = `${named.from.name} came before ${named.to.name} in the session ${named.from.session}`;
    return { ...named, key: undefined, phantom: false, why };
  }
  if (kind === edgeKinds.realtime) {
    const why = `${named.from.name} was answered before ${named.to.name} began`;
    return { ...named, key: undefined, phantom: false, why };
  }
  const key = graph.keys[at(graph.keyOf, edge)] as string;
  const order = orders.orders.get(key) as ListOrder;
  const known = { named, order, orders, from, to, position: at(graph.positions, edge) };
  const explain = kind === edgeKinds.ww ? explainOverwrite : kind === edgeKinds.wr ? explainSeen : explainMissed;
  return { ...named, key, phantom: kind === edgeKinds.phantom, why: explain(known) };
}

interface KeyEdge {
  readonly named: Dependency;
  readonly order: ListOrder;
  readonly orders: ListOrders;
  readonly from: number;
  readonly to: number;
  /** Of the list where what `from` knew ends, and what `to` appended comes, if it was seen. */
  readonly position: number;
}

function explainOverwrite({ named: { from, to }, order, orders, ...edge }: KeyEdge): string {
  const { key, elements, writers, witness } = order;
  const reader = orders.transactions[witness ?? -1] as RecordedTransaction;
  const before = elements[writers.lastIndexOf(edge.from, edge.position - 1)];
  const read = `${reader.name} read ${key} = ${valueText(elements)}`;
  if (edge.position === elements.length) {
    return `${read} with ${valueText(before)} of ${from.name}, and not yet what ${to.name} appended`;
  }
  const after = elements[edge.position];
  return `${to.name} appended ${valueText(after)} after ${valueText(before)} of ${from.name}: ${read}`;
}

function explainSeen({ named: { from, to }, order, position }: KeyEdge): string {
  const elements = order.elements.slice(0, position);
  const element = elements[order.writers.subarray(0, position).findLastIndex((writer) => writer !== -1)];
  return `${to.name} read ${order.key} = ${valueText(elements)}, and ${valueText(element)} is of ${from.name}`;
}

function explainMissed({ named, order, orders, to, position }: KeyEdge): string {
  const { from } = named;
  const { key, elements, writers } = order;
  const next = writers.indexOf(to, position);
  const element = next === -1 ? unseenOf(orders, order, named.to) : elements[next];
  const added = `${named.to.name} then appended ${valueText(element)}`;
  const range = position > 0 ? undefined : from.operations.find((one) => one.act === 'range' && one.keys.includes(key));
  const absent = range?.act === 'range' && !range.found.has(key);
  if (absent) return `${from.name} read ${keysText(range.keys)} and found no ${key}, to which ${added}`;
  return `${from.name} read ${key} = ${valueText(elements.slice(0, position))}, to which ${added}`;
}

function unseenOf(
  { appendOf }: ListOrders,
  { key }: ListOrder,
  transaction: RecordedTransaction,
): ListElement | undefined {
  for (const step of listSteps(transaction)) {
    if ('appended' in step && step.key === key && appendOf(key, step.appended)?.seen === false) return step.appended;
  }
  return undefined;
}

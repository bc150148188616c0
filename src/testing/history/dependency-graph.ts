import { sharedLength, type ListOrder, type ListOrders } from './list-orders.ts';
import { listReads } from './list-reads.ts';
import { at, type EdgeRows } from './strongly-connected.ts';
import { MalformedHistoryError, type RecordedTransaction } from './transaction-history.ts';

/** What an edge stands for. `pass` leads on from a node that is no transaction. */
export const edgeKinds = { ww: 0, wr: 1, rw: 2, phantom: 3, session: 4, realtime: 5, pass: 6 } as const;
export type EdgeKind = (typeof edgeKinds)[keyof typeof edgeKinds];

/**
 * Who comes before whom. The first nodes are the transactions. The others save edges: where each of many comes before each
 * of many others, they lead through nodes in between, so that the graph is no larger than the history.
 */
export interface DependencyGraph extends EdgeRows {
  readonly transactionCount: number;
  readonly kinds: Uint8Array;
  /** Of `ww`, `wr` and the two of `rw`: the key, as a position in `keys`. */
  readonly keyOf: Int32Array;
  /** Of these too: the position in the list where the earlier one ends. */
  readonly positions: Int32Array;
  readonly keys: readonly string[];
}

export function buildDependencyGraph(orders: ListOrders): DependencyGraph {
  const graph = new GraphBuilder(orders.transactions.length);
  for (const order of orders.orders.values()) addWriteOrder(graph, order);
  const tails = new Map([...orders.orders.values()].map((order) => [order.key, new Tail(graph, order)]));
  for (const [index, transaction] of orders.transactions.entries()) {
    if (orders.tookEffect[index] === true) addReads(graph, orders, tails, index, transaction);
  }
  addSessions(graph, orders);
  addRealTime(graph, orders);
  return graph.build();
}

function addWriteOrder(graph: GraphBuilder, { key, writers }: ListOrder): void {
  let before = -1;
  for (const [position, writer] of writers.entries()) {
    if (writer === -1) continue;
    if (before !== -1 && before !== writer) graph.add(before, writer, edgeKinds.ww, key, position);
    before = writer;
  }
}

function addReads(
  graph: GraphBuilder,
  { orders }: ListOrders,
  tails: ReadonlyMap<string, Tail>,
  reader: number,
  transaction: RecordedTransaction,
): void {
  for (const { key, elements, absentInRange } of listReads(transaction)) {
    const order = orders.get(key);
    // What contradicts the order is reported by itself, and says nothing about the rest of it.
    if (order === undefined || sharedLength(elements, order.elements) < elements.length) continue;
    const { writers } = order;
    let last = elements.length - 1;
    while (last >= 0 && writers[last] === -1) last -= 1;
    const writer = last < 0 ? -1 : at(writers, last);
    // Of what one wrote oneself, the order of the writes says it all.
    if (writer === reader) continue;
    if (writer !== -1) graph.add(writer, reader, edgeKinds.wr, key, elements.length);
    let next = elements.length;
    while (next < writers.length && writers[next] === -1) next += 1;
    const missed = absentInRange ? edgeKinds.phantom : edgeKinds.rw;
    if (next === writers.length) tails.get(key)?.enter(reader, missed);
    else if (writers[next] !== reader) graph.add(reader, at(writers, next), missed, key, elements.length);
  }
}

/**
 * The end of a list: what nobody saw came after all that anybody saw. Whoever read the longest list comes before each of
 * those, but for itself. So there are two chains over them, one each way, and each may enter both beside its own place.
 */
class Tail {
  readonly #graph: GraphBuilder;
  readonly #order: ListOrder;
  readonly #places: ReadonlyMap<number, number>;
  readonly #forwards: number[] = [];
  readonly #backwards: number[] = [];

  constructor(graph: GraphBuilder, order: ListOrder) {
    this.#graph = graph;
    this.#order = order;
    this.#places = new Map(order.unseen.map((writer, place) => [writer, place]));
    if (order.unseen.length === 0 || order.witness === undefined) return;
    for (const writer of order.unseen) {
      for (const chain of [this.#forwards, this.#backwards]) {
        const node = graph.addNode();
        graph.add(node, writer, edgeKinds.pass);
        chain.push(node);
      }
    }
    for (let place = 1; place < order.unseen.length; place++) {
      const [f, b] = [this.#forwards, this.#backwards];
      graph.add(f[place - 1] as number, f[place] as number, edgeKinds.pass);
      graph.add(b[place] as number, b[place - 1] as number, edgeKinds.pass);
    }
    const last = order.writers.findLast((writer) => writer !== -1);
    if (last !== undefined) this.enter(last, edgeKinds.ww);
  }

  enter(from: number, kind: EdgeKind): void {
    const place = this.#places.get(from);
    const doors = place === undefined ? [this.#forwards[0]] : [this.#forwards[place + 1], this.#backwards[place - 1]];
    const { key, elements } = this.#order;
    for (const door of doors) if (door !== undefined) this.#graph.add(from, door, kind, key, elements.length);
  }
}

function addSessions(graph: GraphBuilder, { transactions, tookEffect }: ListOrders): void {
  const lastOf = new Map<string, number>();
  const newestOf = new Map<string, RecordedTransaction>();
  for (const index of byTime(transactions, 'invoked')) {
    const transaction = transactions[index] as RecordedTransaction;
    const { session, outcome, invoked, name } = transaction;
    const newest = newestOf.get(session);
    if (newest !== undefined && newest.completed > invoked) {
      throw new MalformedHistoryError(`session ${session} runs ${newest.name} and ${name} at once`);
    }
    newestOf.set(session, transaction);
    if (tookEffect[index] !== true) continue;
    const before = lastOf.get(session);
    if (before !== undefined) graph.add(before, index, edgeKinds.session);
    // What was never answered may take effect long after its session has gone on.
    if (outcome === 'committed') lastOf.set(session, index);
  }
}

/** A node for each answer, in the order of the clock: whoever was answered enters it, whoever begins comes from the newest. */
function addRealTime(graph: GraphBuilder, { transactions, tookEffect }: ListOrders): void {
  const answered = byTime(transactions, 'completed').filter((index) => transactions[index]?.outcome === 'committed');
  let newest: number | undefined;
  let count = 0;
  for (const index of byTime(transactions, 'invoked')) {
    if (tookEffect[index] !== true) continue;
    const { invoked } = transactions[index] as RecordedTransaction;
    for (; count < answered.length; count++) {
      const before = answered[count] as number;
      if ((transactions[before] as RecordedTransaction).completed >= invoked) break;
      const node = graph.addNode();
      graph.add(before, node, edgeKinds.realtime);
      if (newest !== undefined) graph.add(newest, node, edgeKinds.pass);
      newest = node;
    }
    if (newest !== undefined) graph.add(newest, index, edgeKinds.pass);
  }
}

function byTime(transactions: readonly RecordedTransaction[], when: 'invoked' | 'completed'): readonly number[] {
  const timeOf = (index: number): number => (transactions[index] as RecordedTransaction)[when];
  return [...transactions.keys()].sort((one, other) => timeOf(one) - timeOf(other));
}

class GraphBuilder {
  readonly #transactionCount: number;
  readonly #edges: number[] = [];
  readonly #keys = new Map<string, number>();
  #nodes: number;

  constructor(transactionCount: number) {
    this.#transactionCount = this.#nodes = transactionCount;
  }

  addNode(): number {
    return this.#nodes++;
  }

  add(from: number, to: number, kind: EdgeKind, key?: string, position = -1): void {
    let keyIndex = -1;
    if (key !== undefined) {
      keyIndex = this.#keys.get(key) ?? this.#keys.size;
      this.#keys.set(key, keyIndex);
    }
    this.#edges.push(from, to, kind, keyIndex, position);
  }

  build(): DependencyGraph {
    const fields = 5;
    const count = this.#edges.length / fields;
    const field = (edge: number, which: number): number => this.#edges[edge * fields + which] as number;
    const starts = new Int32Array(this.#nodes + 1);
    for (let edge = 0; edge < count; edge++) {
      const from = field(edge, 0);
      starts[from + 1] = at(starts, from + 1) + 1;
    }
    for (let node = 0; node < this.#nodes; node++) starts[node + 1] = at(starts, node + 1) + at(starts, node);
    const free = starts.slice();
    const [targets, keyOf, positions] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
    const kinds = new Uint8Array(count);
    for (let edge = 0; edge < count; edge++) {
      const from = field(edge, 0);
      const place = at(free, from);
      free[from] = place + 1;
      targets[place] = field(edge, 1);
      kinds[place] = field(edge, 2);
      keyOf[place] = field(edge, 3);
      positions[place] = field(edge, 4);
    }
    const keys = [...this.#keys.keys()];
    return { transactionCount: this.#transactionCount, starts, targets, kinds, keyOf, positions, keys };
  }
}

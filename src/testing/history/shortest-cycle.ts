import { assert } from '../../kv/assert.ts';
import { anyShape, type CycleShape, type EdgeChoice, isChosen, isOrderEdge, shapeEdge } from './cycle-shapes.ts';
import { type DependencyGraph, edgeKinds } from './dependency-graph.ts';
import { at } from './strongly-connected.ts';

/** One edge from transaction to transaction, however many nodes in between it leads through. */
export interface CycleEdge {
  readonly from: number;
  readonly to: number;
  /** In the graph; the first of them, if there are several. */
  readonly edge: number;
}

/**
 * A search gives up after so many edges and answers the shortest cycle so far. Small components never come near it; of one
 * with thousands of transactions in one knot, every cycle is as good as the shortest.
 */
export const searchStepsMax = 2_000_000;

/**
 * The shortest cycle of a shape within a strongly connected component: from each of its transactions breadth first over
 * pairs of a node and what the shape has read so far. Nodes in between cost nothing.
 */
export function shortestCycle(
  component: Component,
  shape: CycleShape,
  choice: EdgeChoice,
  stepsMax = searchStepsMax,
): readonly CycleEdge[] | undefined {
  const search = new CycleSearch(component, shape, choice, stepsMax);
  let best: readonly CycleEdge[] | undefined;
  for (const start of component.transactions) {
    best = search.from(start, (best?.length ?? Infinity) - 1) ?? best;
    if (best?.length === 2 || search.steps > stepsMax) break;
  }
  return best;
}

/** Some cycle of a component, the shortest through its first transaction, however large it is. There always is one. */
export function anyCycle(component: Component, choice: EdgeChoice): readonly CycleEdge[] {
  const first = component.transactions[0];
  assert(first !== undefined, 'what lies between transactions leads on to one');
  const cycle = new CycleSearch(component, anyShape, choice, Infinity).from(first, Infinity);
  assert(cycle !== undefined, 'each node of a component is on a cycle');
  return cycle;
}

/** The nodes of a component, numbered from 0, with the edges that stay within it. */
export class Component {
  readonly graph: DependencyGraph;
  readonly nodes: readonly number[];
  readonly local: ReadonlyMap<number, number>;
  /** Its transactions, by their local numbers. */
  readonly transactions: readonly number[];

  constructor(graph: DependencyGraph, nodes: readonly number[]) {
    this.graph = graph;
    // In the order of the history, so that of cycles of one length the earliest is found.
    this.nodes = nodes.toSorted((one, other) => one - other);
    this.local = new Map(this.nodes.map((node, local) => [node, local]));
    this.transactions = this.nodes.flatMap((node, local) => (node < graph.transactionCount ? [local] : []));
  }
}

class CycleSearch {
  steps = 0;
  readonly #component: Component;
  readonly #shape: CycleShape;
  readonly #choice: EdgeChoice;
  readonly #stepsMax: number;
  /** Phases of the shape, times whether an edge of the order was taken. */
  readonly #phases: number;
  readonly #visitedBy: Int32Array;
  readonly #parentState: Int32Array;
  readonly #parentEdge: Int32Array;
  #visit = 0;

  constructor(component: Component, shape: CycleShape, choice: EdgeChoice, stepsMax: number) {
    this.#stepsMax = stepsMax;
    this.#component = component;
    this.#shape = shape;
    this.#choice = choice;
    this.#phases = shape.phases * 2;
    const states = component.nodes.length * this.#phases;
    this.#visitedBy = new Int32Array(states);
    this.#parentState = new Int32Array(states);
    this.#parentEdge = new Int32Array(states);
  }

  /** The shortest cycle through `start` of at most so many edges. */
  from(start: number, lengthMax: number): readonly CycleEdge[] | undefined {
    this.#visit += 1;
    const first = start * this.#phases;
    this.#visitedBy[first] = this.#visit;
    this.#parentState[first] = -1;
    let level: number[] = [first];
    for (let length = 0; length < lengthMax && level.length > 0 && this.steps <= this.#stepsMax; length++) {
      const next: number[] = [];
      for (const state of level) {
        const found = this.#expand(state, start, next);
        if (found !== undefined) return found;
      }
      // What is entered in between leads on at once. The list grows on the way.
      for (const state of next) {
        const found = this.#isTransaction(state) ? undefined : this.#expand(state, start, next);
        if (found !== undefined) return found;
      }
      level = next.filter((state) => this.#isTransaction(state));
    }
    return undefined;
  }

  #expand(state: number, start: number, next: number[]): readonly CycleEdge[] | undefined {
    const { graph, nodes, local } = this.#component;
    const from = nodes[Math.floor(state / this.#phases)] as number;
    for (let edge = at(graph.starts, from); edge < at(graph.starts, from + 1); edge++) {
      this.steps += 1;
      const to = local.get(at(graph.targets, edge));
      const phase = to === undefined ? -1 : this.#step(state % this.#phases, at(graph.kinds, edge));
      if (to === undefined || phase === -1) continue;
      const cycle = to === start && this.#accepts(phase) ? this.#trace(state, edge) : undefined;
      if (cycle !== undefined) return cycle;
      const reached = to * this.#phases + phase;
      if (this.#visitedBy[reached] === this.#visit) continue;
      this.#visitedBy[reached] = this.#visit;
      this.#parentState[reached] = state;
      this.#parentEdge[reached] = edge;
      next.push(reached);
    }
    return undefined;
  }

  #step(phase: number, kind: number): number {
    if (kind === edgeKinds.pass) return phase;
    if (!isChosen(kind, this.#choice)) return -1;
    const ordered = isOrderEdge(kind) ? 1 : phase % 2;
    const next = this.#shape.step(Math.floor(phase / 2), shapeEdge(kind));
    return next === -1 ? -1 : next * 2 + ordered;
  }

  #accepts(phase: number): boolean {
    const ordered = phase % 2 === 1;
    return ordered === (this.#choice.order !== undefined) && this.#shape.accepts(Math.floor(phase / 2));
  }

  #isTransaction(state: number): boolean {
    return (this.#component.nodes[Math.floor(state / this.#phases)] as number) < this.#component.graph.transactionCount;
  }

  /** Backwards from the last edge; `undefined` for a walk that meets itself, whose parts are cycles of other names. */
  #trace(lastState: number, lastEdge: number): readonly CycleEdge[] | undefined {
    const { graph, nodes } = this.#component;
    const edges: CycleEdge[] = [];
    let [state, edge, to] = [lastState, lastEdge, at(graph.targets, lastEdge)];
    while (state !== -1) {
      const from = nodes[Math.floor(state / this.#phases)] as number;
      if (from < graph.transactionCount) {
        edges.push({ from, to, edge });
        to = from;
      }
      edge = at(this.#parentEdge, state);
      state = at(this.#parentState, state);
    }
    const unique = new Set(edges.map(({ from }) => from));
    return unique.size === edges.length ? edges.reverse() : undefined;
  }
}

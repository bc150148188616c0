import type { Anomaly, AnomalyName, CycleName, Dependency } from './anomaly.ts';
import { cycleShapes, type EdgeChoice, isChosen } from './cycle-shapes.ts';
import { type DependencyGraph, edgeKinds } from './dependency-graph.ts';
import { explainEdge } from './explain-edge.ts';
import { forbiddenBy } from './forbidden-by.ts';
import type { ListOrders } from './list-orders.ts';
import { anyCycle, Component, type CycleEdge, searchStepsMax, shortestCycle } from './shortest-cycle.ts';
import { at, stronglyConnected } from './strongly-connected.ts';

/** The orders that a cycle may need, each looked for only where there is no cycle without it. */
const orderSuffixes = { session: '-session', realtime: '-realtime' } as const;

/** Of each knot of transactions the shortest cycle of every name that it has. */
export function* findCycles(
  orders: ListOrders,
  graph: DependencyGraph,
  within: readonly ('session' | 'realtime')[],
  stepsMax = searchStepsMax,
): Generator<Anomaly> {
  const knotted = new Set<number>();
  for (const order of [undefined, ...within]) {
    const choice = { order: order === undefined ? undefined : edgeKinds[order], phantoms: true };
    const components = stronglyConnected(graph, (edge) => isChosen(at(graph.kinds, edge), choice));
    const found = components.filter((nodes) => !nodes.some((node) => knotted.has(node)));
    for (const nodes of found) {
      for (const node of nodes) knotted.add(node);
      for (const { name, cycle } of cyclesOf(new Component(graph, nodes), choice, stepsMax)) {
        yield describeCycle(orders, graph, order === undefined ? name : `${name}${orderSuffixes[order]}`, cycle);
      }
    }
  }
}

interface NamedCycle {
  readonly name: CycleName;
  readonly cycle: readonly CycleEdge[];
}

function cyclesOf(component: Component, choice: EdgeChoice, stepsMax: number): readonly NamedCycle[] {
  const found = cycleShapes.flatMap((shape): NamedCycle[] => {
    const ofItems = shortestCycle(component, shape, { ...choice, phantoms: false }, stepsMax);
    const cycle = ofItems ?? shortestCycle(component, shape, choice, stepsMax);
    if (cycle === undefined) return [];
    return [{ name: shape.name === 'G2' && ofItems !== undefined ? 'G2-item' : shape.name, cycle }];
  });
  if (found.length > 0) return found;
  // The searches gave up in a knot that is too large for them; a cycle it has nevertheless.
  const cycle = anyCycle(component, choice);
  return [{ name: nameOf(component.graph, cycle), cycle }];
}

function nameOf({ kinds }: DependencyGraph, cycle: readonly CycleEdge[]): CycleName {
  const ofKind = (kind: number): number => cycle.filter(({ edge }) => kinds[edge] === kind).length;
  const phantoms = ofKind(edgeKinds.phantom);
  const missed = ofKind(edgeKinds.rw) + phantoms;
  if (missed > 1) return phantoms > 0 ? 'G2' : 'G2-item';
  return missed === 1 ? 'G-single' : ofKind(edgeKinds.wr) > 0 ? 'G1c' : 'G0';
}

const titles: Readonly<Record<CycleName, string>> = {
  G0: 'Each overwrote another (write cycle).',
  G1c: 'Each rests on another (circular information flow).',
  'G-single': 'One saw another in part (read skew).',
  'G-nonadjacent': 'Several saw one another in part.',
  'G2-item': 'Each missed what another wrote (write skew).',
  G2: 'Each missed what another wrote, and one a key that its range would have found (phantom).',
};

function titleOf(name: AnomalyName): string {
  if (name.endsWith('-session')) return 'They fit into an order, but into none that goes on as each session did.';
  if (name.endsWith('-realtime')) return 'They fit into an order, but into none that respects real time.';
  return titles[name as CycleName];
}

function describeCycle(
  orders: ListOrders,
  graph: DependencyGraph,
  name: AnomalyName,
  cycle: readonly CycleEdge[],
): Anomaly {
  const dependencies: readonly Dependency[] = cycle.map((edge) => explainEdge(orders, graph, edge));
  const phantom = dependencies.some((dependency) => dependency.phantom);
  return {
    name,
    title: titleOf(name),
    forbiddenBy: forbiddenBy(name, phantom),
    transactions: dependencies.map(({ from }) => from),
    dependencies,
  };
}

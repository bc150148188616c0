import type { CycleName } from './anomaly.ts';
import { edgeKinds, type EdgeKind } from './dependency-graph.ts';

/**
 * What a cycle must be made of to be called by a name, as a machine that reads its edges: phases are small numbers, 0 the
 * first; `step` answers the next one, or -1 where the edge does not belong. A cycle can be read from any of its edges on,
 * and where it matters which of them follow each other, the machine demands to begin at a certain one.
 */
export interface CycleShape {
  readonly phases: number;
  step(phase: number, edge: 'dependency' | 'wr' | 'rw'): number;
  accepts(phase: number): boolean;
}

/** Adya (1999), definitions 4.2.1, 4.2.5, 4.3; `G-nonadjacent` after Cerone and Gotsman, *Analysing Snapshot Isolation* (2016). */
export const cycleShapes: readonly (CycleShape & { readonly name: CycleName })[] = [
  { name: 'G0', phases: 1, step: (_, edge) => (edge === 'dependency' ? 0 : -1), accepts: () => true },
  {
    name: 'G1c',
    phases: 2,
    step: (phase, edge) => (edge === 'rw' ? -1 : edge === 'wr' ? 1 : phase),
    accepts: (phase) => phase === 1,
  },
  {
    name: 'G-single',
    phases: 2,
    step: (phase, edge) => (edge !== 'rw' ? phase : phase === 0 ? 1 : -1),
    accepts: (phase) => phase === 1,
  },
  {
    // 1: the first one, an rw. 2: after another edge. 3: a further rw. 4: and after another edge again.
    name: 'G-nonadjacent',
    phases: 5,
    step: (phase, edge) => {
      if (edge === 'rw') return phase === 0 ? 1 : phase === 2 || phase === 4 ? 3 : -1;
      return phase === 0 ? -1 : phase < 3 ? 2 : 4;
    },
    accepts: (phase) => phase === 4,
  },
  {
    name: 'G2',
    phases: 3,
    step: (phase, edge) => (phase === 2 ? 2 : edge === 'rw' ? phase + 1 : -1),
    accepts: (phase) => phase === 2,
  },
];

/** Every cycle. */
export const anyShape: CycleShape = { phases: 1, step: () => 0, accepts: () => true };

/** Which edges a search may take besides ww, wr and rw, and whether the cycle has to take one of the order. */
export interface EdgeChoice {
  readonly order: typeof edgeKinds.session | typeof edgeKinds.realtime | undefined;
  readonly phantoms: boolean;
}

export function isChosen(kind: number, { order, phantoms }: EdgeChoice): boolean {
  if (kind === edgeKinds.phantom) return phantoms;
  return kind < edgeKinds.phantom || kind === edgeKinds.pass || kind === order;
}

export function shapeEdge(kind: number): 'dependency' | 'wr' | 'rw' {
  const { wr, rw, phantom } = edgeKinds;
  return kind === wr ? 'wr' : kind === rw || kind === phantom ? 'rw' : 'dependency';
}

export function isOrderEdge(kind: number): kind is EdgeKind {
  return kind === edgeKinds.session || kind === edgeKinds.realtime;
}

import { isolationLevels, type AnomalyName, type IsolationLevel } from './anomaly.ts';

/**
 * Which levels forbid what. `repeatable-read` is PL-2.99 of Adya (1999): what was read by its key rests, what a range found
 * does not. `snapshot` forbids each cycle but those with two anti-dependencies in a row: Fekete et al., *Making Snapshot
 * Isolation Serializable* (2005).
 */
export function forbiddenBy(name: AnomalyName, phantom: boolean): readonly IsolationLevel[] {
  if (name.endsWith('-realtime')) return from('strict-serializable');
  if (name.endsWith('-session')) return from('strict-session-serializable');
  switch (name) {
    case 'G1a':
    case 'G1b':
    case 'G1c':
    case 'dirty-update':
      return from('read-committed');
    case 'lost-update':
    case 'G-single':
    case 'G-nonadjacent':
      return phantom ? from('snapshot') : from('repeatable-read');
    case 'G2-item':
      return ['repeatable-read', ...from('serializable')];
    case 'G2':
      return from('serializable');
    default:
      return isolationLevels;
  }
}

export function from(weakest: IsolationLevel): readonly IsolationLevel[] {
  return isolationLevels.slice(isolationLevels.indexOf(weakest));
}

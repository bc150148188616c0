import { isolationLevels, type Anomaly, type IsolationLevel } from './anomaly.ts';
import { findCycles } from './cycle-anomalies.ts';
import { buildDependencyGraph } from './dependency-graph.ts';
import { findListAnomalies } from './list-anomalies.ts';
import { inferListOrders } from './list-orders.ts';
import { MalformedHistoryError, type History } from './transaction-history.ts';

export interface SerializabilityOptions {
  /** What the history is held to. Default `strict-serializable`. */
  readonly level?: IsolationLevel;
  /** How many anomalies of one name are told. Default 10. */
  readonly examplesMax?: number;
}

export interface SerializabilityReport {
  /** Nothing was found that the level forbids. */
  readonly ok: boolean;
  readonly level: IsolationLevel;
  /** All that was found, the ones that the level lets through among them. */
  readonly anomalies: readonly Anomaly[];
  /** The levels that this history has not kept. */
  readonly ruledOut: readonly IsolationLevel[];
}

/**
 * Whether the transactions of a history can have happened one at a time, known from nothing but the lists that they
 * appended to and read: Kingsbury and Alvaro, *Elle: Inferring Isolation Anomalies from Experimental Observations* (VLDB
 * 2020). What a range found, or did not find, is inferred from as well.
 *
 * It convicts a history if no order explains it, and no other: of what nobody saw, any order will do. What it cannot know is
 * what the clients did not ask; a history in which little is read acquits many databases. The time is nearly linear.
 *
 * A transaction whose outcome is unknown happened if somebody saw what it wrote, at any time since it began. Otherwise it
 * is taken not to have happened, which cannot be told from having happened last.
 */
export function checkSerializability(history: History, options: SerializabilityOptions = {}): SerializabilityReport {
  const { level = 'strict-serializable', examplesMax = 10 } = options;
  assertClock(history);
  const orders = inferListOrders(history);
  const graph = buildDependencyGraph(orders);
  const rank = (of: IsolationLevel): number => isolationLevels.indexOf(of);
  const within = (['session', 'realtime'] as const).filter(
    (order) => rank(level) >= rank(order === 'session' ? 'strict-session-serializable' : 'strict-serializable'),
  );

  const anomalies: Anomaly[] = [];
  const ruledOut = new Set<IsolationLevel>();
  const counts = new Map<string, number>();
  for (const found of [findListAnomalies(orders), findCycles(orders, graph, within)]) {
    for (const anomaly of found) {
      for (const forbidding of anomaly.forbiddenBy) ruledOut.add(forbidding);
      const count = (counts.get(anomaly.name) ?? 0) + 1;
      counts.set(anomaly.name, count);
      if (count <= examplesMax) anomalies.push(anomaly);
    }
  }
  return {
    ok: !ruledOut.has(level),
    level,
    anomalies,
    ruledOut: isolationLevels.filter((one) => ruledOut.has(one)),
  };
}

function assertClock({ transactions }: History): void {
  const backwards = transactions.find(({ invoked, completed }) => !(invoked <= completed));
  if (backwards !== undefined) throw new MalformedHistoryError(`${backwards.name} was completed before it was invoked`);
}

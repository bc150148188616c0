import type { Report } from './report.ts';
import { twoWriters } from './workload.ts';

/** For each writer the last operation that has to be there, and the last that may be. They are the same or one apart. */
export interface Account {
  readonly sure: ReadonlyMap<string, number>;
  readonly possible: ReadonlyMap<string, number>;
  /** What the reports themselves show to be wrong. */
  readonly violations: readonly string[];
}

/**
 * What the reports oblige the store to. A session begins where the store says that its writers are, so its first `begun` also
 * tells what it has found of the session before.
 */
export function accountOf(reports: readonly Report[], operationsBefore: number): Account {
  const sure = new Map(twoWriters.map((writer) => [writer, operationsBefore]));
  const possible = new Map(sure);
  const violations: string[] = [];
  for (const report of reports) {
    switch (report.type) {
      case 'begun': {
        const { writer, operation } = report;
        const found = operation - 1;
        const name = `operation ${found} of ${writer}`;
        if (found < (sure.get(writer) ?? 0)) violations.push(`${writer}'s last acknowledged operation is gone`);
        if (found > (possible.get(writer) ?? 0)) violations.push(`${name} is there, which had failed for certain`);
        sure.set(writer, found);
        possible.set(writer, operation);
        break;
      }
      case 'acknowledged':
        sure.set(report.writer, report.operation);
        break;
      case 'failed':
        if (report.fault.effect === 'did-not-happen') possible.set(report.writer, report.operation - 1);
        if (report.fault.effect === undefined)
          violations.push(`transact threw what says no effect: ${report.fault.message}`);
        break;
      case 'refused':
        if (report.fault.code === 'damaged')
          violations.push(`opening took a fault for damage: ${report.fault.message}`);
        break;
      case 'opened':
      case 'event':
      case 'checkpointed':
      case 'closed':
        break;
    }
  }
  return { sure, possible, violations };
}

import type { Workload, WorkloadOptions } from '../workload.ts';
import { Additions } from './additions.ts';
import { Locks } from './locks.ts';
import { Backups } from './backups.ts';
import { IdempotentOperations } from './operations.ts';
import { Phantoms } from './phantoms.ts';
import { Ring } from './ring.ts';
import { Serial } from './serial.ts';
import { Transfers } from './transfers.ts';
import { Visible } from './visible.ts';

export const workloadNames = [
  'ring',
  'transfers',
  'operations',
  'additions',
  'locks',
  'phantoms',
  'serial',
  'visible',
  'backups',
] as const;

export type WorkloadName = (typeof workloadNames)[number];

export function createWorkload(name: WorkloadName, options: WorkloadOptions): Workload {
  switch (name) {
    case 'ring':
      return new Ring(options);
    case 'transfers':
      return new Transfers(options);
    case 'operations':
      return new IdempotentOperations(options);
    case 'additions':
      return new Additions(options);
    case 'locks':
      return new Locks(options);
    case 'phantoms':
      return new Phantoms(options);
    case 'serial':
      return new Serial(options);
    case 'visible':
      return new Visible(options);
    case 'backups':
      return new Backups(options);
  }
}

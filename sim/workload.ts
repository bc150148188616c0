import type { ReadTransaction, Transaction } from '../src/kv/store.ts';
import type { Client } from './client.ts';
import type { Marks } from './marks.ts';
import type { Seeded } from './seeded.ts';

/**
 * Something that clients do with a store, and an invariant of it that is too small to doubt. It lives as long as the run, and
 * remembers over the deaths of processes what was acknowledged to its clients.
 */
export interface Workload {
  /** The beginning, in one transaction. */
  setup(tx: Transaction): Promise<void>;
  /** One operation of one client. It is started again and again, by several clients at once. */
  start(client: Client): Promise<void>;
  /** Holds of every state that anybody can see; at an opening, and meanwhile. @throws CheckFailed */
  check(tx: ReadTransaction, circumstances: Circumstances): Promise<void>;
}

export interface Circumstances {
  /**
   * `opened`: no client has begun, so what is found is what the run goes on from. `under-load`: clients are at work.
   * `copied`: it is the store as it was a while ago.
   * `rotten`: the medium has rotted, and the end of the log was cut off, so what was acknowledged may be gone, and nothing else.
   */
  readonly when: 'opened' | 'under-load' | 'copied' | 'rotten';
  /** How many operations of each client may be gone though they were acknowledged. */
  readonly mayLose: number;
  /** Lets others go on. */
  readonly rest: () => Promise<void>;
}

export interface WorkloadOptions {
  readonly clients: number;
  readonly random: Seeded;
  readonly marks: Marks;
}

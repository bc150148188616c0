import type { FastifyBaseLogger } from 'fastify';
import type { Store, World } from 'semel';
import type { Metrics } from './metrics.ts';
import type { Problem } from './problem.ts';

/** All that the service knows of where its data are, beside the contract of `kv`: what differs from one engine to another. */
export interface Storage {
  readonly store: Store;
  /** Where the snapshots between pages are held open, and how many of them. */
  readonly snapshots: { readonly store: Store; readonly max: number };
  /** Why whoever writes now would be refused; `undefined` where nothing is known that speaks against it. Bounded. */
  unreadiness(): Promise<Problem | undefined>;
  close(): Promise<void>;
}

/** What a storage tells its facts to, and lives in. */
export interface StorageContext {
  readonly world: World;
  readonly metrics: Metrics;
  readonly log: FastifyBaseLogger;
}

import { InvalidArgumentError, StoreClosedError } from '../kv/errors.ts';
import type { Store } from '../kv/store.ts';
import { tell } from '../kv/tell.ts';
import { realWorld, type World } from '../kv/world.ts';
import { reap, type Reaped } from '../layers/idempotency/idempotency.ts';

export interface ReaperOptions {
  /** Records a batch. Default 100. */
  readonly batchSize?: number;
  /** The pause when nothing is due. Default a minute. */
  readonly pauseMs?: number;
  /** Ends the worker, as `stop` does. */
  readonly signal?: AbortSignal;
  readonly world?: World;
  /** Told of each batch after its commit, and of each failure. What it throws, or rejects with, is dropped. */
  readonly onEvent?: (event: ReaperEvent) => void;
}

export type ReaperEvent =
  | ({ readonly type: 'reaped' } & Reaped)
  /** The batch committed nothing. The worker pauses and goes on. */
  | { readonly type: 'failed'; readonly error: unknown };

export interface Reaper {
  /** Takes up no further batch; resolves when the one under way has ended. */
  stop(): Promise<void>;
}

/** A batch of 100 is a few milliseconds of work, the longest that anybody waits for because of it. */
const defaultBatchSize = 100;
/** Nothing waits for the reaper but space: what expired this minute may stay until the next. */
const defaultPauseMs = 60_000;

/**
 * Removes what the idempotency layer need not keep any longer.
 *
 * It is *working* while a batch comes back full, one transaction after another, and lets everything else that is runnable run in
 * between. When nothing more is due, or a batch fails, it is *pausing*. `stop`, or the signal, or the store's end, make it
 * *stopped*, for good. A failed batch committed nothing, so the next one finds the same records due.
 */
export function startReaper(store: Store, options: ReaperOptions = {}): Reaper {
  const { batchSize = defaultBatchSize, pauseMs = defaultPauseMs } = options;
  requireWhole('batchSize', batchSize, 1_000);
  requireWhole('pauseMs', pauseMs, 2 ** 31 - 1);
  const stopping = new AbortController();
  const signals = options.signal === undefined ? [stopping.signal] : [stopping.signal, options.signal];
  const stopped = work(store, batchSize, pauseMs, AbortSignal.any(signals), options);
  return {
    stop(): Promise<void> {
      stopping.abort();
      return stopped;
    },
  };
}

async function work(
  store: Store,
  batchSize: number,
  pauseMs: number,
  signal: AbortSignal,
  { world = realWorld, onEvent }: ReaperOptions,
): Promise<void> {
  while (!signal.aborted) {
    let more = false;
    try {
      const reaped = await store.transact((tx) => reap(tx, { limit: batchSize }), { label: 'reap' });
      ({ more } = reaped);
      tell(onEvent, { type: 'reaped', ...reaped });
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      tell(onEvent, { type: 'failed', error });
    }
    if (more) await new Promise<void>((resolve) => world.defer(resolve));
    else await pause(world, pauseMs, signal);
  }
}

function pause(world: World, pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      cancelTimer();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancelTimer = world.after(pauseMs, end);
    signal.addEventListener('abort', end, { once: true });
  });
}

function requireWhole(field: string, value: number, maximum: number): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > maximum) {
    throw new InvalidArgumentError(field, value, `a whole number from 1 to ${maximum}`);
  }
}

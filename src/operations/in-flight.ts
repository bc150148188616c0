import { AbortedError } from '../kv/errors.ts';
import type { World } from '../kv/world.ts';
import { sameFingerprint, type Fingerprint, type Identity } from '../layers/idempotency/idempotency.ts';
import type { OperationName } from '../layers/idempotency/record.ts';

/**
 * The operations that this process has in progress on one store. Duplicates queue here, where they hold no transaction. It
 * is an economy: what keeps an operation from executing twice is its record, and the lock on the record's key.
 *
 * A name is *free*, or it has a *flight*: one owner, who executes, and waiters of the same fingerprint in the order of their arrival.
 *
 * - `board` makes the first comer the owner. Who comes later with another fingerprint is told at once; with the same
 *   one, may wait.
 * - The owner ends by `share`: every waiter gets the outcome, and the name is free;
 * - or by `pass`, when nothing was kept or nobody can tell: the first waiter becomes the owner, in the same turn of the
 *   event loop, and the others wait on. Without a waiter the name is free.
 * - A waiter whose time is up, or whose signal fires, leaves the queue in that moment: ownership is never given to someone who has gone.
 * - Who only watches learns of the owner's end, however it ends, and never becomes one.
 */
export class InFlight<Shared> {
  readonly #flights = new Map<string, Flight<Shared>>();
  #waiting = 0;

  get size(): number {
    return this.#flights.size;
  }

  get waiting(): number {
    return this.#waiting;
  }

  find(name: OperationName): Flight<Shared> | undefined {
    return this.#flights.get(flightName(name));
  }

  board(identity: Identity, startedAt: number): Boarding<Shared> {
    const flight = this.find(identity);
    if (flight !== undefined) {
      const same = sameFingerprint(flight.fingerprint, identity.fingerprint);
      return { place: same ? 'behind' : 'mismatch', flight };
    }
    const fresh = new Flight<Shared>(flightName(identity), identity.fingerprint, startedAt);
    this.#flights.set(fresh.name, fresh);
    return { place: 'owner', flight: fresh };
  }

  async wait(flight: Flight<Shared>, patience: Patience): Promise<Turn<Shared>> {
    this.#waiting += 1;
    try {
      return await queue(flight.waiters, { turn: 'late' }, patience);
    } finally {
      this.#waiting -= 1;
    }
  }

  watch(flight: Flight<Shared>, patience: Patience): Promise<'ended' | 'late'> {
    return queue(flight.watchers, 'late', patience);
  }

  share(flight: Flight<Shared>, shared: Shared): void {
    this.#flights.delete(flight.name);
    for (const take of flight.waiters) take({ turn: 'shared', shared });
    flight.tellWatchers();
  }

  pass(flight: Flight<Shared>): void {
    const [first] = flight.waiters;
    if (first === undefined) this.#flights.delete(flight.name);
    else first({ turn: 'owner' });
    flight.tellWatchers();
  }
}

export interface Boarding<Shared> {
  readonly place: 'owner' | 'behind' | 'mismatch';
  readonly flight: Flight<Shared>;
}

export type Turn<Shared> =
  | { readonly turn: 'shared'; readonly shared: Shared }
  | { readonly turn: 'owner' }
  | { readonly turn: 'late' };

export interface Patience {
  readonly world: World;
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

type Take<T> = (turn: T) => void;

export class Flight<Shared> {
  readonly name: string;
  readonly fingerprint: Fingerprint;
  /** By the wall clock, for people. */
  readonly startedAt: number;
  readonly waiters = new Set<Take<Turn<Shared>>>();
  readonly watchers = new Set<Take<'ended' | 'late'>>();

  constructor(name: string, fingerprint: Fingerprint, startedAt: number) {
    this.name = name;
    this.fingerprint = fingerprint;
    this.startedAt = startedAt;
  }

  tellWatchers(): void {
    for (const take of this.watchers) take('ended');
  }
}

/** Whatever comes first decides, and takes the place out of the line before anything else can reach it. */
function queue<T>(line: Set<Take<T>>, late: T, { world, waitMs, signal }: Patience): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      line.delete(take);
      cancelTimer();
      signal?.removeEventListener('abort', abort);
    };
    const take = (turn: T): void => {
      leave();
      resolve(turn);
    };
    const abort = (): void => {
      leave();
      reject(new AbortedError({ cause: signal?.reason }));
    };
    const cancelTimer = world.after(waitMs, () => take(late));
    signal?.addEventListener('abort', abort, { once: true });
    line.add(take);
    if (signal?.aborted) abort();
  });
}

/** Of each operation another one: a key consists of visible characters, so the first space ends it. */
function flightName({ scope, key }: OperationName): string {
  return `${key} ${scope}`;
}

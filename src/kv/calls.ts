import { Bound } from './bound.ts';
import { StoreClosedError } from './errors.ts';
import { limits } from './limits.ts';
import type { CallOptions } from './store.ts';
import type { Attempt } from './transact.ts';
import type { World } from './world.ts';
import { Link } from './ring.ts';

/**
 * The calls that run on a store. *Open* → *closing*, when new ones are refused and those that run may finish → *closed*,
 * when none is left, or when the patience of who closes has ended and what was left is fenced.
 */
export class Calls {
  readonly #running = new Link();
  #closing = false;
  #onIdle: (() => void) | undefined;

  /** @throws StoreClosedError */
  requireOpen(): void {
    if (this.#closing) throw new StoreClosedError();
  }

  /** Runs a call that closing may end before its time. */
  run<C extends Call, T>(call: C, act: (call: C) => Promise<T>): Promise<T> {
    // Not `Promise.race`, which makes more promises, and this is done for each call.
    return new Promise((resolve, reject) => {
      this.requireOpen();
      call.reject = reject;
      call.enterBefore(this.#running);
      act(call).then(
        (result) => {
          this.#end(call);
          resolve(result);
        },
        (error: unknown) => {
          this.#end(call);
          // oxlint-disable-next-line prefer-promise-reject-errors -- whatever the call was rejected with
          reject(error);
        },
      );
    });
  }

  #end(call: Call): void {
    call.leave();
    if (this.#running.isAlone) this.#onIdle?.();
  }

  /** A signal that has fired already is patience that has ended: it closes all the same. */
  async close(world: World, options: CallOptions = {}): Promise<void> {
    this.#closing = true;
    let bound: Bound | undefined;
    try {
      bound = new Bound(world, { timeoutMs: limits.closeTimeoutMs, ...options });
      if (!this.#running.isAlone) await bound.race(new Promise<void>((resolve) => (this.#onIdle = resolve)));
    } catch {
      for (let link = this.#running.next; link instanceof Call; link = link.next) link.fence(new StoreClosedError());
    } finally {
      bound?.close();
    }
  }
}

export class Call extends Link {
  /** The attempt under way, where it is one of `transact`. */
  attempt: Attempt<unknown> | undefined;
  reject: ((fault: StoreClosedError) => void) | undefined;

  /** Ends what it does just now, unless that may have happened already. */
  fence(fault: StoreClosedError): void {
    this.attempt?.abandon(fault);
    if (this.attempt?.installed !== true) this.reject?.(fault);
  }
}

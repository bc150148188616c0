import { Bound } from '../../kv/bound.ts';
import { StoreClosedError } from '../../kv/errors.ts';
import { limits } from '../../kv/limits.ts';
import type { ReadOptions } from '../../kv/store.ts';
import type { World } from '../../kv/world.ts';

/**
 * The calls that run on a store. *Open* → *closing*, when new ones are refused and those that run may finish → *closed*,
 * when none is left, or when the patience of who closes has ended and what was left is fenced.
 */
export class Calls {
  readonly #running = new Set<Call>();
  #closing = false;
  #onIdle: (() => void) | undefined;

  /** @throws StoreClosedError */
  requireOpen(): void {
    if (this.#closing) throw new StoreClosedError();
  }

  /** Runs a call that closing may end before its time. */
  run<T>(act: (call: Call) => Promise<T>): Promise<T> {
    // Not `Promise.race`, which makes more promises, and this is done for each call.
    return new Promise((resolve, reject) => {
      this.requireOpen();
      const call: Call = { fence: undefined, reject };
      this.#running.add(call);
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
    this.#running.delete(call);
    if (this.#running.size === 0) this.#onIdle?.();
  }

  /** A signal that has fired already is patience that has ended: it closes all the same. */
  async close(world: World, options: ReadOptions = {}): Promise<void> {
    this.#closing = true;
    let bound: Bound | undefined;
    try {
      bound = new Bound(world, { timeoutMs: limits.closeTimeoutMs, ...options });
      if (this.#running.size > 0) await bound.race(new Promise<void>((resolve) => (this.#onIdle = resolve)));
    } catch {
      for (const { fence, reject } of this.#running) {
        const fault = new StoreClosedError();
        if (fence?.(fault) === true) reject(fault);
      }
    } finally {
      bound?.close();
    }
  }
}

export interface Call {
  /** Ends what it does just now; answers whether that is then sure not to happen. */
  fence: ((fault: StoreClosedError) => boolean) | undefined;
  readonly reject: (fault: StoreClosedError) => void;
}

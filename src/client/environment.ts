/**
 * Everything that is not a function of its arguments: time, timers and randomness. It is injected, so that tests move the
 * clock instead of sleeping. Web standards alone, unlike the world of the rest of the library: the client also runs in
 * browsers and workers, and takes nothing from there.
 */
export interface Environment {
  /** Wall clock, whole milliseconds since the Unix epoch. It may jump both ways. */
  now(): number;
  /** Milliseconds since an arbitrary origin; never goes back. For measuring and for deadlines. */
  monotonicMs(): number;
  /** Calls `act` once, no sooner than `delayMs` from now. The answer cancels it. */
  after(delayMs: number, act: () => void): () => void;
  /** A fraction, 0 <= n < 1. */
  random(): number;
  /** Unpredictable bytes. */
  randomBytes(count: number): Uint8Array;
}

export const realEnvironment: Environment = Object.freeze({
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, act: () => void): () => void {
    const timer = setTimeout(act, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
});

/** What a timer can hold: beyond it, browsers and Node.js fire at once. */
export const timerMsMax = 2 ** 31 - 1;

/**
 * Runs `work` with a signal that fires when the caller's does, or when the time is over, and ends then itself, whether or not `work`
 * heeds it. It cannot be relied on to: a signal made of others, and that of a Request, may be collected as garbage
 * while somebody listens to it, and never fire. What `work` leaves behind, such as the body of a response, stays under the
 * caller's signal and is free of the timer.
 */
export async function within<Result>(
  environment: Environment,
  timeoutMs: number,
  caller: AbortSignal,
  work: (signal: AbortSignal) => Result | Promise<Result>,
): Promise<Result> {
  // A signal that has fired fires no more.
  caller.throwIfAborted();
  const timer = new AbortController();
  const ended = Promise.withResolvers<never>();
  const onAbort = (): void => ended.reject(reasonOf(caller));
  const cancel = environment.after(Math.max(0, timeoutMs), () => {
    timer.abort(new DOMException(`not done within ${Math.round(timeoutMs)} ms`, 'TimeoutError'));
    ended.reject(reasonOf(timer.signal));
  });
  caller.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([ended.promise, work(AbortSignal.any([caller, timer.signal]))]);
  } finally {
    caller.removeEventListener('abort', onAbort);
    cancel();
  }
}

/** @throws the reason of the caller's signal, at once when it fires */
export function pause(environment: Environment, delayMs: number, caller: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    caller.throwIfAborted();
    const onAbort = (): void => {
      cancel();
      reject(reasonOf(caller));
    };
    const cancel = environment.after(delayMs, () => {
      caller.removeEventListener('abort', onAbort);
      resolve();
    });
    caller.addEventListener('abort', onAbort, { once: true });
  });
}

/** Whoever aborts may give any value as the reason, and fetch rejects with that very value. */
function reasonOf(signal: AbortSignal): Error {
  return signal.reason as Error;
}

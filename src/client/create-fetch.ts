import { InvalidArgumentError } from './client-error.ts';
import { deliver, type Label, type Sender } from './deliver.ts';
import { realEnvironment, timerMsMax, type Environment } from './environment.ts';
import { RetryBudget, type BudgetOptions } from './retry-budget.ts';
import { settle, type OperationsUrl, type Settlement } from './settle.ts';
import { uuidV7Source } from './uuid-v7.ts';
import { judgeKeyed, judgeSafe } from './verdict.ts';

export interface ClientOptions {
  /** What sends. It must not send again by itself. Default: the platform's `fetch`. */
  readonly fetch?: (request: Request) => Promise<Response>;
  /**
   * A key that outlives this process, for callers that do not: store it with what it is for, before it is sent. `undefined`
   * leaves it to the client. A request that has the header already is not asked about. It may read the body: the
   * request is a copy.
   */
  readonly key?: (request: Request) => string | undefined | Promise<string | undefined>;
  /** Where `settle` goes: the URL under which each operation has its key (`…/v1/operations`), or a function of the key. */
  readonly operations?: OperationsUrl;
  /** Attempts of a call, the first included. Default 6. */
  readonly attemptsMax?: number;
  /** Default 10 s. */
  readonly attemptTimeoutMs?: number;
  /** Of a whole call, its pauses included. Default 60 s. */
  readonly deadlineMs?: number;
  /** Ceiling of the first pause; each further one has twice the ceiling. Default 250. */
  readonly pauseMs?: number;
  /** The ceiling's ceiling. Default 10 s. */
  readonly pauseMsMax?: number;
  readonly budget?: BudgetOptions;
  /** Larger request bodies are refused, for they are kept in memory to be sent again. Default 1 MiB. */
  readonly bodyBytesMax?: number;
  /** Answers to unsafe requests are read up to here before they count. 0 hands them out as they come. Default 1 MiB. */
  readonly responseBytesMax?: number;
  /** Clock, timers and randomness. Default: the real ones. */
  readonly environment?: Environment;
}

/** `fetch`, with one key for each call over all its attempts. */
export interface OnceFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /**
   * What became of an operation, or that it never will be. `init` has what the endpoint needs (`headers`, `credentials`) and the
   * caller's `signal`.
   */
  settle(key: string, init?: RequestInit): Promise<Settlement>;
}

type Bounds = Pick<
  Sender,
  'attemptsMax' | 'attemptTimeoutMs' | 'deadlineMs' | 'pauseMs' | 'pauseMsMax' | 'bodyBytesMax'
> & {
  readonly responseBytesMax: number;
};

export const defaults: Bounds = Object.freeze({
  /** With the default pauses they span some 4 s on average, 8 s at most: the restart of a server. */
  attemptsMax: 6,
  /** Twice the 5 s that a duplicate waits at a Semel server, so that a retry that waits there is not cut short. */
  attemptTimeoutMs: 10_000,
  /** Twice the 30 s that an operation may take at a Semel server, so that one that needs them is still seen to end. */
  deadlineMs: 60_000,
  /** Less is no relief for a server that has just failed, and more would be noticed by people. */
  pauseMs: 250,
  pauseMsMax: 10_000,
  /** What a Semel server takes unless told otherwise. */
  bodyBytesMax: 1_048_576,
  /** More than the 1,000,000 bytes that a Semel server keeps of an answer. */
  responseBytesMax: 1_048_576,
});

/** @throws InvalidArgumentError for options that cannot be meant */
export function createFetch(options: ClientOptions = {}): OnceFetch {
  const { key, operations, environment = realEnvironment } = options;
  const bounds = checkBounds(options);
  const sender: Sender = {
    // Called without a receiver, as browsers demand, and looked up late, so that what instruments it may come later.
    fetch: options.fetch ?? ((request) => globalThis.fetch(request)),
    environment,
    budget: new RetryBudget(environment, checkBudget(options.budget)),
    ...bounds,
  };
  const freshKey = uuidV7Source(environment);

  async function send(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    // Not copied without need: Node.js's copies lose the referrer's policy.
    const request = input instanceof Request && init === undefined ? input : new Request(input, init);
    if (safeMethods.has(request.method)) {
      const label = (): Label => ({ headers: request.headers, key: undefined });
      return deliver(sender, { request, label, responseBytesMax: 0, judge: judgeSafe });
    }
    return deliver(sender, { request, label, responseBytesMax: bounds.responseBytesMax, judge: judgeKeyed });
  }

  async function label(request: Request): Promise<Label> {
    const headers = new Headers(request.headers);
    const given = headers.get(keyField);
    const field = given ?? checkKey(await key?.(request)) ?? freshKey();
    if (given === null) headers.set(keyField, field);
    return { headers, key: bareKey(field) };
  }

  return Object.freeze(
    Object.assign(send, {
      settle: (operation: string, init: RequestInit = {}) => settle(sender, operations, operation, init),
    }),
  );
}

const keyField = 'idempotency-key';

/** RFC 9110, section 9.2.1, but for TRACE, which fetch does not send. Whatever else there may be is taken for unsafe. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

const keyCharsMax = 255;

function checkKey(key: string | undefined): string | undefined {
  if (key === undefined) return undefined;
  const isString = typeof key === 'string';
  if (isString && key.length <= keyCharsMax && /^[\x21-\x7e]+$/.test(key)) return key;
  const found = isString ? `a string of ${key.length} characters` : 'no string';
  throw new InvalidArgumentError('key', found, `1 to ${keyCharsMax} visible ASCII characters`);
}

/** The key without the quotes that the header may have: `"k"` and `k` are one key (RFC 9651, section 3.3.3, Strings). */
function bareKey(field: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\["\\])*)"$/.exec(field) ?? [];
  return quoted === undefined ? field : quoted.replace(/\\(.)/g, '$1');
}

function checkBounds(options: ClientOptions): Bounds {
  const bounds = {
    attemptsMax: options.attemptsMax ?? defaults.attemptsMax,
    attemptTimeoutMs: options.attemptTimeoutMs ?? defaults.attemptTimeoutMs,
    deadlineMs: options.deadlineMs ?? defaults.deadlineMs,
    pauseMs: options.pauseMs ?? defaults.pauseMs,
    pauseMsMax: options.pauseMsMax ?? defaults.pauseMsMax,
    bodyBytesMax: options.bodyBytesMax ?? defaults.bodyBytesMax,
    responseBytesMax: options.responseBytesMax ?? defaults.responseBytesMax,
  };
  const atLeastOne = ['attemptsMax', 'attemptTimeoutMs', 'deadlineMs'];
  for (const [field, value] of Object.entries(bounds)) {
    const minimum = atLeastOne.includes(field) ? 1 : 0;
    if (!Number.isSafeInteger(value) || value < minimum || value > timerMsMax) {
      throw new InvalidArgumentError(field, String(value), `a whole number from ${minimum} to ${timerMsMax}`);
    }
  }
  return bounds;
}

function checkBudget(budget: BudgetOptions = {}): BudgetOptions {
  for (const [field, value] of Object.entries(budget)) {
    if (typeof value !== 'number' || !(value >= 0)) {
      throw new InvalidArgumentError(`budget.${field}`, String(value), 'a number from 0');
    }
  }
  return budget;
}

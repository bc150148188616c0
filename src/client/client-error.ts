/**
 * Faults of the client. As everywhere in Semel each has a literal `code` to branch on, and the `effect`:
 *
 * - `did-not-happen`: nothing took effect; the request may be sent again.
 * - `unknown`: it may or may not have taken effect; only asking again under the same key, or settling it, can tell.
 *
 * The names and codes that `semel` has as well mean the same, but the classes are the client's own: it carries nothing of
 * the rest into a browser. No message has a URL, a header, a key or a body in it.
 */
export abstract class ClientError extends Error {
  abstract readonly code: 'invalid-argument' | 'limit-exceeded' | 'not-sent' | 'unknown';
  abstract readonly effect: 'did-not-happen' | 'unknown';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A value that the caller gave cannot be used. Nothing was sent. */
export class InvalidArgumentError extends ClientError {
  readonly code = 'invalid-argument';
  readonly effect = 'did-not-happen';
  readonly field: string;
  /** In words, for a key may be a secret. */
  readonly found: string;
  readonly expected: string;

  constructor(field: string, found: string, expected: string) {
    super(`${field} is ${found}; expected ${expected}`);
    this.field = field;
    this.found = found;
    this.expected = expected;
  }
}

/** The request body is larger than a named limit allows. Nothing was sent. */
export class LimitExceededError extends ClientError {
  readonly code = 'limit-exceeded';
  readonly effect = 'did-not-happen';
  readonly limit: string;
  readonly maximum: number;
  /** As far as it was read. */
  readonly found: number;

  constructor(limit: string, maximum: number, found: number) {
    super(`${limit} is ${maximum}, found at least ${found}`);
    this.limit = limit;
    this.maximum = maximum;
    this.found = found;
  }
}

/** No attempt got as far as a connection, so the server has seen nothing of the request. `cause` is the last failure. */
export class NotSentError extends ClientError {
  readonly code = 'not-sent';
  readonly effect = 'did-not-happen';
  readonly attempts: number;
  readonly stoppedBy: StoppedBy;

  constructor(facts: { readonly attempts: number; readonly stoppedBy: StoppedBy }, options: ErrorOptions) {
    super(`the request was not sent: ${inWords(facts)}`, options);
    this.attempts = facts.attempts;
    this.stoppedBy = facts.stoppedBy;
  }
}

/**
 * Why there was no further attempt: `attemptsMax`, `deadlineMs`, the retry budget, or an answer after which another
 * attempt makes no sense, but which does not tell what became of the earlier ones (401, say).
 */
export type StoppedBy = 'attempts' | 'deadline' | 'budget' | 'answer';

export interface UnknownFacts {
  readonly key: string;
  readonly attempts: number;
  readonly stoppedBy: StoppedBy;
  readonly response: Response | undefined;
}

/**
 * At least one attempt may have taken effect, and none was answered with what became of it. Send the same request again
 * under `key`, or settle it. Giving up here, or going on under another key, is how things happen twice or not at all.
 */
export class OperationUnknownError extends ClientError {
  readonly code = 'unknown';
  readonly effect = 'unknown';
  readonly key: string;
  readonly attempts: number;
  readonly stoppedBy: StoppedBy;
  /** The last attempt's answer, unread, where it got one. Where it failed instead, `cause` is that failure. */
  readonly response: Response | undefined;

  constructor(facts: UnknownFacts, options: ErrorOptions) {
    super(`the request may or may not have taken effect: ${inWords(facts)}`, options);
    this.key = facts.key;
    this.attempts = facts.attempts;
    this.stoppedBy = facts.stoppedBy;
    this.response = facts.response;
    // So that logging the error does not log the key: whoever has the key can ask for the stored answer.
    Object.defineProperty(this, 'key', { enumerable: false });
    Object.defineProperty(this, 'response', { enumerable: false });
  }
}

function inWords({ attempts, stoppedBy }: { readonly attempts: number; readonly stoppedBy: StoppedBy }): string {
  return `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}, ${stopWords[stoppedBy]}`;
}

const stopWords: Readonly<Record<StoppedBy, string>> = {
  attempts: 'as many as allowed',
  deadline: 'then the deadline left no time for another',
  budget: 'then the retry budget was used up',
  answer: 'the last was answered with a refusal that does not tell of the others',
};

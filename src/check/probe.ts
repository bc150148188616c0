import { pause, type Environment } from '../client/environment.ts';
import { retryAfterMs } from '../client/retry-after.ts';
import { CannotRunError, NotTriedError } from './check-error.ts';
import type { CountSoFar, EffectMeter } from './effects/effect-meter.ts';
import type { EndpointProcess } from './restart/endpoint-process.ts';
import type { Limits } from './limits.ts';
import type { Pace } from './pace.ts';
import type { Seeded } from './seeded.ts';
import type { Target } from './request/target.ts';
import type { Variation } from './request/variations.ts';
import { bytesOf, connect, reasonOf, type Answer, type Connection, type Exchange, type Message } from './wire.ts';
import { describeExchange, type Settled } from './wording.ts';

export type { Settled } from './wording.ts';

/** What is sent: one of the two payloads, under the values of the key's field as they go over the wire; none is no field. */
export interface Sending {
  readonly keys: readonly string[];
  readonly payload: 'given' | 'other';
  /** Sent in the place of the given request; with that payload, unless it has a body of its own. */
  readonly variation?: Variation;
}

/** Something that a check did to the endpoint, so that its report can tell how to do it again. */
export type Act =
  | { readonly act: 'send'; readonly sending: Sending; readonly copies: number }
  | {
      readonly act: 'cut-request';
      readonly sending: Sending;
      readonly bytes: number;
      readonly ofBytes: number;
      readonly where: CutPlace['within'];
    }
  | { readonly act: 'hang-up'; readonly sending: Sending; readonly when: string }
  | { readonly act: 'send-in-turn'; readonly sending: Sending; readonly atMs: readonly number[] }
  | { readonly act: 'send-and-strike'; readonly sending: Sending; readonly moment: Moment; readonly script: string }
  | { readonly act: 'restart'; readonly script: string }
  | { readonly act: 'wait'; readonly durationMs: number };

/** When the process is struck: so many milliseconds after the request was sent, or when it has been answered. */
export type Moment = number | 'answered';

export interface CutPlace {
  /** The key is what its field has; what is behind it is still of the head. */
  readonly within: 'head' | 'key' | 'behind-key' | 'body';
  /** How much of that is sent, 0 <= part < 1. */
  readonly part: number;
  /** Any where it is not said. A server that takes the end of what it reads for the end of the request is seen by 'close' alone. */
  readonly end?: 'reset' | 'close';
}

export interface ProbeOptions {
  readonly target: Target;
  readonly meter: EffectMeter | undefined;
  /** Counts what the other tenant sees, if that is not what the first one sees. */
  readonly otherMeter: EffectMeter | undefined;
  readonly endpoint: EndpointProcess | undefined;
  readonly lifetimeMs: number | undefined;
  readonly limits: Limits;
  readonly pace: Pace;
  readonly random: Seeded;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

/** The hands of a check: it sends, cuts, waits and counts, and remembers what it did. */
export class Probe {
  readonly target: Target;
  readonly limits: Limits;
  readonly random: Seeded;
  /** How long the endpoint says that it remembers a key. */
  readonly lifetimeMs: number | undefined;
  /** How long the endpoint took to answer the last fresh request that was sent alone. */
  answerMs = 0;
  /** What it answered then; a duplicate that is answered so is answered for good, even by 202. */
  usualStatus: number | undefined;
  readonly #meter: EffectMeter | undefined;
  readonly #otherMeter: EffectMeter | undefined;
  readonly #endpoint: EndpointProcess | undefined;
  readonly #pace: Pace;
  readonly #environment: Environment;
  readonly #signal: AbortSignal;
  #acts: Act[] = [];
  #exchangeMs = 0;

  constructor(options: ProbeOptions) {
    const { target, meter, otherMeter, endpoint, lifetimeMs, limits, pace, random, environment, signal } = options;
    this.target = target;
    this.limits = limits;
    this.random = random;
    this.lifetimeMs = lifetimeMs;
    this.#meter = meter;
    this.#otherMeter = otherMeter;
    this.#endpoint = endpoint;
    this.#pace = pace;
    this.#environment = environment;
    this.#signal = signal;
  }

  /** What was done since the last trial began, in order. */
  get acts(): readonly Act[] {
    return this.#acts;
  }

  /** From here on a failure is reproduced by what comes. */
  beginTrial(): void {
    this.#acts = [];
  }

  /** A key that nobody has used: a UUID, for some endpoints take nothing else. Never of the seed, for servers remember. */
  freshKey(): string {
    const bytes = this.#environment.randomBytes(16);
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5');
  }

  given(key: string): Sending {
    return { keys: [key], payload: 'given' };
  }

  other(key: string): Sending {
    if (this.target.otherBody === undefined) {
      throw new NotTriedError('no other payload can be made of the body; give one as "otherBody" in the request file');
    }
    return { keys: [key], payload: 'other' };
  }

  varied(key: string, variation: Variation): Sending {
    return { keys: [key], payload: 'given', variation };
  }

  /** By how much the work raised the count. The work can ask it meanwhile. */
  async effectsOf(work: (soFar: CountSoFar) => Promise<void>): Promise<number> {
    if (this.#meter === undefined) throw new Error('assertion failed: a check that counts says that it needs to');
    return this.#meter.during(work);
  }

  /** By how much the work raised the count and the one that the other tenant sees, added up. */
  async effectsOfBoth(work: () => Promise<void>): Promise<number> {
    let actedThere = 0;
    const acted = await this.effectsOf(async () => {
      if (this.#otherMeter === undefined) return work();
      actedThere = await this.#otherMeter.during(work).catch((error: unknown) => {
        // That a count is not for everybody's eyes is no reason to end the run.
        throw error instanceof CannotRunError ? new NotTriedError(`for the other tenant, ${error.message}`) : error;
      });
    });
    return acted + actedThere;
  }

  /** Sends the request once, and again only if it was turned away because the endpoint is busy, which tells nothing of it. */
  async send(sending: Sending): Promise<Exchange> {
    const exchange = await this.#sendUnnoted(sending);
    if (exchange.outcome === 'answered' && isBusy(exchange.answer)) {
      const settled = await this.settle(sending, isBusy);
      if (settled.outcome === 'answered') return settled;
      throw new NotTriedError(`the endpoint is busy: it was answered ${settled.seen}`);
    }
    this.#acts.push({ act: 'send', sending, copies: 1 });
    return exchange;
  }

  /** All copies begin at the same moment: their connections are open before the first byte is sent. */
  async sendAtOnce(sending: Sending, copies: number): Promise<readonly Exchange[]> {
    this.#acts.push({ act: 'send', sending, copies });
    await this.#pace.admit(copies);
    const opened = await Promise.all(Array.from({ length: copies }, () => this.#connect()));
    return Promise.all(
      opened.map(async (connection): Promise<Exchange> => {
        if (!('exchange' in connection)) return connection;
        return connection.exchange(this.#messageOf(sending));
      }),
    );
  }

  /**
   * Repeats the request while the answer says that the operation is in progress, or that the server is busy, as a patient client
   * would, and heeds Retry-After.
   */
  async settle(sending: Sending, isPending = (answer: Answer) => this.isInProgress(answer)): Promise<Settled> {
    this.#acts.push({ act: 'send', sending, copies: 1 });
    const beganMs = this.#environment.monotonicMs();
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, delayMsMax)) {
      const exchange = await this.#sendUnnoted(sending);
      if (exchange.outcome === 'answered' && !isPending(exchange.answer)) return exchange;
      const elapsedMs = this.#environment.monotonicMs() - beganMs;
      const askedMs =
        exchange.outcome === 'answered'
          ? retryAfterMs(new Headers(retryHeaders(exchange.answer)), this.#environment.now())
          : 0;
      const waitMs = Math.max(delayMs, askedMs ?? 0);
      if (elapsedMs + waitMs > this.limits.patienceMsMax) {
        const seen = describeExchange(exchange);
        if (elapsedMs + delayMs <= this.limits.patienceMsMax) {
          throw new NotTriedError(
            `it was answered ${seen} and asks to wait ${Math.ceil(waitMs / 1_000)} s, longer than the patience of this run`,
          );
        }
        return { outcome: 'unsettled', seen: `${seen} for ${Math.round(elapsedMs)} ms` };
      }
      await pause(this.#environment, waitMs, this.#signal);
    }
  }

  /** `settle`, of a first request under a key. @throws NotTriedError where it is not answered with success */
  async execute(sending: Sending): Promise<Answer> {
    const settled = await this.settle(sending);
    if (settled.outcome === 'answered' && isSuccess(settled.answer)) {
      this.answerMs = this.#exchangeMs;
      return settled.answer;
    }
    const seen = settled.outcome === 'answered' ? String(settled.answer.status) : settled.seen;
    throw new NotTriedError(`a fresh request, which should have succeeded, was answered ${seen}`);
  }

  /** Sends all up to somewhere, and breaks the connection. */
  async cutRequest(sending: Sending, { within, part, end = this.#anyEnd() }: CutPlace): Promise<void> {
    const message = this.#messageOf(sending);
    const whole = bytesOf(message);
    const headBytes = whole.length - message.body.length;
    const [key = ''] = sending.keys;
    const keyAt = whole.subarray(0, headBytes).lastIndexOf(key, undefined, 'latin1');
    const stretches: Readonly<Record<CutPlace['within'], readonly [from: number, to: number]>> = {
      head: [1, headBytes],
      key: [keyAt + 1, keyAt + key.length],
      'behind-key': [keyAt + key.length, headBytes],
      body: [headBytes, whole.length],
    };
    const [from, to] = stretches[within];
    const bytes = from + Math.floor(part * (to - from));
    this.#acts.push({ act: 'cut-request', sending, bytes, ofBytes: whole.length, where: within });
    const connection = await this.#connectOrNotTry();
    await connection.sendPart(message, bytes, end);
    this.#meter?.expectEffectsFor(2 * this.answerMs);
  }

  /** Sends the whole request, and is gone `afterMs` later, or when the answer begins. */
  async hangUp(sending: Sending, afterMs: number | 'answer-begins'): Promise<void> {
    const when = afterMs === 'answer-begins' ? 'when the answer began' : `after ${Math.round(afterMs)} ms`;
    this.#acts.push({ act: 'hang-up', sending, when });
    const connection = await this.#connectOrNotTry();
    await connection.hangUp(this.#messageOf(sending), afterMs, this.#anyEnd());
    // Nobody will be told when it has been handled. Twice as long as the last one is what a busy server may take.
    this.#meter?.expectEffectsFor(2 * this.answerMs);
  }

  /** Sends a copy at each of the times, from now on, without waiting for the answers of those before. */
  async sendInTurn(sending: Sending, atMs: readonly number[]): Promise<readonly Exchange[]> {
    this.#acts.push({ act: 'send-in-turn', sending, atMs });
    return Promise.all(
      atMs.map(async (delayMs): Promise<Exchange> => {
        await pause(this.#environment, delayMs, this.#signal);
        return this.#sendUnnoted(sending);
      }),
    );
  }

  /** Restarts the endpoint, by force where that is possible. */
  async restart(): Promise<void> {
    const endpoint = this.#endpointToStrike();
    const { strike, comeBack } = await endpoint.aim();
    this.#acts.push({ act: 'restart', script: endpoint.script });
    this.#meter?.disturb();
    await strike();
    await comeBack();
  }

  /** Sends the request, and restarts the endpoint at the moment, or when the answer comes before it. */
  async sendAndStrike(sending: Sending, moment: Moment): Promise<Exchange> {
    const endpoint = this.#endpointToStrike();
    const connection = await this.#connectOrNotTry();
    const { strike, comeBack } = await endpoint.aim();
    this.#acts.push({ act: 'send-and-strike', sending, moment, script: endpoint.script });
    const exchanging = connection.exchange(this.#messageOf(sending));
    await (moment === 'answered'
      ? exchanging
      : Promise.race([exchanging, pause(this.#environment, moment, this.#signal)]));
    const [exchange] = await Promise.all([exchanging, strike()]);
    await comeBack();
    return exchange;
  }

  /** Does nothing for so long. */
  async wait(durationMs: number): Promise<void> {
    this.#acts.push({ act: 'wait', durationMs });
    await pause(this.#environment, durationMs, this.#signal);
  }

  /** Milliseconds since some moment. */
  monotonicMs(): number {
    return this.#environment.monotonicMs();
  }

  #endpointToStrike(): EndpointProcess {
    if (this.#endpoint !== undefined) return this.#endpoint;
    throw new NotTriedError('it needs a way to restart the endpoint (--restart, --pid)');
  }

  isInProgress({ status }: Answer): boolean {
    // Before that is known, an endpoint that accepts by 202 is taken at its word.
    return status !== (this.usualStatus ?? 202) && inProgressStatuses.has(status);
  }

  /** Where a server has just been started, what stands before it may answer for it by other faults. */
  isStarting(answer: Answer): boolean {
    return answer.status >= 500 || this.isInProgress(answer);
  }

  async #sendUnnoted(sending: Sending): Promise<Exchange> {
    await this.#pace.admit(1);
    const connection = await this.#connect();
    if (!('exchange' in connection)) return connection;
    const beganMs = this.#environment.monotonicMs();
    const exchange = await connection.exchange(this.#messageOf(sending));
    this.#exchangeMs = this.#environment.monotonicMs() - beganMs;
    return exchange;
  }

  async #connect(): Promise<Connection | Extract<Exchange, { outcome: 'unanswered' }>> {
    this.#meter?.disturb();
    this.#otherMeter?.disturb();
    try {
      return await connect(this.target.url, {
        environment: this.#environment,
        answerMsMax: this.limits.answerMsMax,
        signal: this.#signal,
      });
    } catch (error) {
      this.#signal.throwIfAborted();
      return { outcome: 'unanswered', reason: reasonOf(error) };
    }
  }

  async #connectOrNotTry(): Promise<Connection> {
    await this.#pace.admit(1);
    const connection = await this.#connect();
    if ('exchange' in connection) return connection;
    throw new NotTriedError(`there was no connection: ${connection.reason}`);
  }

  #anyEnd(): 'reset' | 'close' {
    return this.random.fraction() < 0.5 ? 'reset' : 'close';
  }

  #messageOf({ keys, payload, variation }: Sending): Message {
    const { body, otherBody, keyHeader } = this.target;
    const { url, method, headers } = variation ?? this.target;
    return {
      url,
      method,
      headers: [...headers, ...keys.map((key) => [keyHeader, key] as const)],
      body: variation?.body ?? (payload === 'given' ? body : (otherBody ?? body)),
    };
  }
}

const firstDelayMs = 50;
const delayMsMax = 2_000;

/**
 * 409 by the draft; 202 where the server promises to finish; 423 and 425 where it says what holds it up; 429 and 503 where it is busy.
 * What is one of these for another reason is so at every repetition, and is then seen as that.
 */
const inProgressStatuses: ReadonlySet<number> = new Set([202, 409, 423, 425, 429, 503]);

/** A 503 without Retry-After may be the failure of this very request. */
export function isBusy({ status, headers }: Answer): boolean {
  return status === 429 || (status === 503 && headers.some(([name]) => name === 'retry-after'));
}

function retryHeaders({ headers }: Answer): [string, string][] {
  return headers.filter(([name]) => name === 'retry-after' || name === 'date').map(([name, value]) => [name, value]);
}

export function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 400;
}

/** Of a client's own doing, by RFC 9110, section 15.5. */
export function isRefusal({ status }: Answer): boolean {
  return status >= 400 && status < 500;
}

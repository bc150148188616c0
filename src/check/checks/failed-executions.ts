import { NotTriedError } from '../check-error.ts';
import { isRefusal, isSuccess, type Probe, type Settled } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import type { Variation } from '../request/variations.ts';
import type { Answer } from '../wire.ts';
import { describeExchange, describeSettled, tally, times } from '../wording.ts';

const source = `${ietfDraft}, sections 2.6, "Retry", and 2.7; docs/http.md, "What is kept"`;

/** Of a request that failed; two could agree by chance. */
const retries = 3;

export const failedActsNever: Check = {
  name: 'failed-acts-never',
  title: 'a request that fails does not act, however often it is sent',
  needsEffect: true,
  rule: { source, demands: 'What is answered by 4xx or 5xx has not acted; if a retry succeeds, it has acted once.' },
  async run(probe) {
    const notes: string[] = [];
    for (const failing of failingOf(probe)) {
      let seen: Failure | undefined;
      const acted = await probe.effectsOf(async () => {
        seen = await failAndRetry(probe, failing);
      });
      if (seen === undefined) throw new Error('assertion failed: it was sent');
      const found = `${describeFailure(seen)}, acted ${times(acted)}`;
      if (acted !== (seen.retries.some(isSettledBySuccess) ? 1 : 0)) return failed(found);
      notes.push(found);
    }
    return passed(notes.join('; '));
  },
};

export const failedRetriesAgree: Check = {
  name: 'failed-retries-agree',
  title: 'the retries of a request that failed are all answered alike',
  needsEffect: false,
  rule: {
    source,
    demands:
      'Either the failure is kept, and each retry gets it, or nothing is kept, and each retry is a new try. The key is not blocked.',
  },
  async run(probe) {
    const notes: string[] = [];
    for (const failing of failingOf(probe)) {
      const seen = await failAndRetry(probe, failing);
      const areAlike = seen.retries.every((one) => isSameFailure(seen.first, one));
      if (!areAlike && !seen.retries.every(isSettledBySuccess)) return failed(describeFailure(seen));
      // What a client finds that mends its request, and forgets to take another key.
      const given = await probe.send(probe.given(seen.key));
      const isFree = given.outcome === 'answered' && isSuccess(given.answer);
      const use = isFree ? 'is free again' : 'stays with it';
      notes.push(`${describeFailure(seen)}, and its key ${use} (the given request: ${describeExchange(given)})`);
    }
    return passed(notes.join('; '));
  },
};

/** One after the other, as an impatient client sends them, and as a queue does that was held up by the fault. */
const sizes = [1, 8, 50];

export const faultGoneActsOnce: Check = {
  name: 'fault-gone-acts-once',
  title: 'when the cause of a failure is gone, retries act once together',
  needsEffect: true,
  rule: {
    source,
    demands:
      'A failed request and its retries act once in all if one of them succeeds, be they one after the other or at once; else never.',
  },
  async run(probe) {
    const notes: string[] = [];
    for (const copies of new Set(sizes.map((size) => Math.min(size, probe.limits.concurrencyMax)))) {
      probe.beginTrial();
      const key = probe.freshKey();
      let seen = '';
      let isDone = false;
      const acted = await probe.effectsOf(async () => {
        const first = await failOnce(probe, key);
        const answers = await probe.sendAtOnce(probe.given(key), copies);
        const settled = await settleAfter(probe, key, first);
        isDone =
          isSettledBySuccess(settled) || answers.some((one) => one.outcome === 'answered' && isSuccess(one.answer));
        const after = [...answers.map(describeExchange), describeSettled(settled)];
        seen = `it was answered ${first.status}, and without the fault ${tally(after)}`;
      });
      const found = `${seen}; in all it acted ${times(acted)}`;
      if (acted !== (isDone ? 1 : 0)) return failed(found);
      notes.push(found);
    }
    return passed(notes.join('; '));
  },
};

export const faultGoneSucceeds: Check = {
  name: 'fault-gone-succeeds',
  title: 'when the cause of a 5xx is gone, a retry succeeds',
  needsEffect: false,
  rule: {
    source: `RFC 9110, section 15.6; docs/http.md, "What is kept"`,
    demands:
      'A 5xx tells that the server failed, not that the request is at fault: it is not kept for ever, and a retry under the key is executed.',
  },
  async run(probe) {
    const key = probe.freshKey();
    const first = await failOnce(probe, key);
    if (isRefusal(first)) {
      throw new NotTriedError(`"failOnce" was answered ${first.status}, which may be kept; it needs a 5xx`);
    }
    const settled = await settleAfter(probe, key, first);
    const found = `it was answered ${first.status}, and a retry without the fault ${describeSettled(settled)}`;
    return isSettledBySuccess(settled) ? passed(found) : failed(found);
  },
};

function failingOf({ target }: Probe): readonly Variation[] {
  const { failing } = target.variations;
  if (failing.length > 0) return failing;
  throw new NotTriedError('it needs a request that fails, as "failing" in the request file');
}

interface Failure {
  readonly name: string;
  readonly key: string;
  readonly first: Answer;
  readonly retries: readonly Settled[];
}

async function failAndRetry(probe: Probe, failing: Variation): Promise<Failure> {
  probe.beginTrial();
  const key = probe.freshKey();
  const sending = probe.varied(key, failing);
  const first = await fail(probe, failing, key);
  const settled: Settled[] = [];
  // A key that is blocked is blocked for the next one, too, and each costs all the patience there is.
  while (settled.length < retries && settled.at(-1)?.outcome !== 'unsettled') {
    settled.push(await probe.settle(sending, isPendingAfter(probe, first)));
  }
  return { name: failing.name, key, first, retries: settled };
}

/** @throws NotTriedError where nobody says how, or it does not fail */
export async function failOnce(probe: Probe, key: string): Promise<Answer> {
  const { failOnce: variation } = probe.target.variations;
  if (variation === undefined) {
    throw new NotTriedError('it needs headers with which the request fails, as "failOnce" in the request file');
  }
  return fail(probe, variation, key);
}

/** @throws NotTriedError where it does not fail */
async function fail(probe: Probe, variation: Variation, key: string): Promise<Answer> {
  const exchange = await probe.send(probe.varied(key, variation));
  if (exchange.outcome === 'answered' && exchange.answer.status >= 400) return exchange.answer;
  throw new NotTriedError(`what should fail (${variation.name}) was answered ${describeExchange(exchange)}`);
}

/** The given request, when the cause of the failure is gone. */
export async function settleAfter(probe: Probe, key: string, first: Answer): Promise<Settled> {
  return probe.settle(probe.given(key), isPendingAfter(probe, first));
}

/** The status of the failure is the failure again, even if it could mean that something is in progress. */
function isPendingAfter(probe: Probe, first: Answer): (answer: Answer) => boolean {
  return (answer) => answer.status !== first.status && probe.isInProgress(answer);
}

/** What is wrong with a server may come out as 500 or as 502; what is wrong with a request is always the same. */
function isSameFailure({ status }: Answer, retry: Settled): boolean {
  if (retry.outcome !== 'answered') return false;
  return status === retry.answer.status || (status >= 500 && retry.answer.status >= 500);
}

function isSettledBySuccess(settled: Settled): boolean {
  return settled.outcome === 'answered' && isSuccess(settled.answer);
}

function describeFailure({ name, first, retries: after }: Failure): string {
  return `${name} was answered ${first.status}, its retries ${tally(after.map(describeSettled))}`;
}

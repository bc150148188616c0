import { isSuccess, type CutPlace, type Probe, type Sending } from '../probe.ts';
import { failed, ietfDraft, passed, type Check, type Verdict } from '../rule.ts';
import { describeSettled, times } from '../wording.ts';

const retries = `${ietfDraft}, section 1; RFC 9110, section 9.2.2`;

/** Whoever got no answer sends again: that is what keys are for. */
export const responseLost: Check = {
  name: 'response-lost',
  title: 'a retry after a lost answer acts no more',
  needsEffect: true,
  rule: {
    source: retries,
    demands:
      'The client that lost the answer retries under the key: the operation acts once, and the retry is answered.',
  },
  run: (probe) =>
    breakAndRetry(probe, ['answer-begins', 'answer-begins', 'answer-begins'] as const, (sending, moment) =>
      probe.hangUp(sending, moment),
    ),
};

/** Moments of the handling at which the client is gone, in parts of the time that an answer takes. */
const handlingParts = [0, 0.2, 0.4, 0.6, 0.8];

export const clientGone: Check = {
  name: 'client-gone',
  title: 'a client that is gone while its request is handled does not block the key',
  needsEffect: true,
  rule: {
    source: `${retries}; docs/http.md, "Time"`,
    demands:
      'A client that disconnects changes nothing: the operation acts once in all, and a retry finds its result in time.',
  },
  async run(probe) {
    // How long a request takes is measured when the server is warm, or most moments would come after the answer.
    await probe.execute(probe.given(probe.freshKey()));
    return breakAndRetry(probe, handlingParts, (sending, part) =>
      probe.hangUp(sending, (part + 0.2 * probe.random.fraction()) * probe.answerMs),
    );
  },
};

/** Within the key, which is then another one; with the key and not its end; the head alone; all but the last byte; and between. */
const cutPlaces: readonly (CutPlace & { readonly spread: number })[] = [
  { within: 'head', part: 0.1, spread: 0.8 },
  { within: 'key', part: 0.2, spread: 0.7, end: 'close' },
  { within: 'behind-key', part: 0, spread: 0.9, end: 'close' },
  { within: 'body', part: 0, spread: 0 },
  { within: 'body', part: 0.1, spread: 0.3 },
  { within: 'body', part: 0.5, spread: 0.4 },
  { within: 'body', part: 1 - Number.EPSILON, spread: 0 },
];

export const requestCut: Check = {
  name: 'request-cut',
  title: 'a retry of a request that was cut off before its end acts once',
  needsEffect: true,
  rule: {
    source: `${retries}; RFC 9112, section 8`,
    demands:
      'A request of which a part arrived does not use up its key: its retry is answered, and the operation acts once in all.',
  },
  run(probe) {
    const places = cutPlaces.filter(({ within }) => within !== 'body' || probe.target.body.length > 0);
    return breakAndRetry(probe, places, (sending, { spread, ...place }) =>
      probe.cutRequest(sending, { ...place, part: place.part + spread * probe.random.fraction() }),
    );
  },
};

async function breakAndRetry<Moment>(
  probe: Probe,
  moments: readonly Moment[],
  act: (sending: Sending, moment: Moment) => Promise<void>,
): Promise<Verdict> {
  for (const moment of moments) {
    probe.beginTrial();
    const sending = probe.given(probe.freshKey());
    let isAnswered = false;
    let seen = '';
    const acted = await probe.effectsOf(async () => {
      await act(sending, moment);
      const settled = await probe.settle(sending);
      isAnswered = settled.outcome === 'answered' && isSuccess(settled.answer);
      seen = describeSettled(settled);
    });
    if (acted !== 1 || !isAnswered) {
      return failed(`${describeBreak(probe)}; the retry was answered ${seen}, and in all it acted ${times(acted)}`);
    }
  }
  return passed(`broken off at ${moments.length} moments; each retry was answered, and each operation acted once`);
}

const wordsFor: Readonly<Record<CutPlace['within'], string>> = {
  head: 'within the head',
  key: 'within the key',
  'behind-key': 'behind the key, within the head',
  body: 'within the body',
};

function describeBreak(probe: Probe): string {
  const [first] = probe.acts;
  if (first?.act === 'cut-request') {
    return `the connection broke after ${first.bytes} of ${first.ofBytes} bytes, ${wordsFor[first.where]}`;
  }
  if (first?.act === 'hang-up') return `the client was gone ${first.when}`;
  throw new Error('assertion failed: a trial begins with its break');
}

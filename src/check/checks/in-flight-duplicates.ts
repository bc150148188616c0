import { NotTriedError } from '../check-error.ts';
import { isSuccess } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeExchange, describeSettled, tally, times } from '../wording.ts';

/** In parts of the time that an answer takes. If fewer may be sent at once it is the later ones: a claim that ended early is seen late, too. */
const parts = [0.15, 0.3, 0.45, 0.6, 0.75, 0.9];

/**
 * A claim on a key that ends by the clock ends while its owner still works, if that takes longer than expected. Then a duplicate
 * executes, and so does the late owner, unless what it commits is fenced. It is found with a request that takes long.
 */
export const inFlightDuplicates: Check = {
  name: 'in-flight-duplicates',
  title: 'duplicates that come while a request is handled act no more, however long it takes',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.6, "Concurrent Request"; docs/http.md, "A duplicate in flight"`,
    demands:
      'As long as a request is handled its duplicates wait or are told of it, and none acts: of a claim that ends meanwhile the late owner is fenced.',
  },
  async run(probe) {
    // How long a request takes is measured when the server is warm.
    await probe.execute(probe.given(probe.freshKey()));
    const { answerMs, limits } = probe;
    const atOnce = Math.min(1 + parts.length, Math.floor(limits.concurrencyMax));
    if (atOnce < 2) throw new NotTriedError('it needs two requests at once (--concurrency)');
    probe.beginTrial();
    const sending = probe.given(probe.freshKey());
    let answers: readonly string[] = [];
    let retry = '';
    let isAnswered = false;
    const acted = await probe.effectsOf(async () => {
      const duplicates = parts.map((part) => (part + 0.1 * probe.random.fraction()) * answerMs);
      const atMs = [0, ...duplicates.slice(1 - atOnce)];
      answers = (await probe.sendInTurn(sending, atMs)).map(describeExchange);
      const settled = await probe.settle(sending);
      isAnswered = settled.outcome === 'answered' && isSuccess(settled.answer);
      retry = describeSettled(settled);
    });
    const found = `a request and ${atOnce - 1} duplicates within ${Math.ceil(answerMs)} ms`;
    if (acted === 1 && isAnswered) return passed(`${found} acted once`);
    return failed(`${found}, answered ${tally(answers)}, acted ${times(acted)}; a retry was answered ${retry}`);
  },
};

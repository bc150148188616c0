import { NotTriedError } from '../check-error.ts';
import { isSuccess } from '../probe.ts';
import type { Exchange } from '../wire.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeExchange, describeSettled, tally, times } from '../wording.ts';

/** Two are what an impatient client sends; a check before the act lets some of two hundred through even if it is quick. */
const sizes = [2, 8, 50, 200];

export const concurrentDuplicates: Check = {
  name: 'concurrent-duplicates',
  title: 'duplicates at the same time act once together',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.6, "Concurrent Request"`,
    demands:
      'Of requests at the same time under one key one acts; the others are told of the conflict or wait, and a retry gets the result.',
  },
  async run(probe) {
    const found: string[] = [];
    const statuses = new Set<number>();
    let unanswered = 0;
    const within = new Set(sizes.map((size) => Math.min(size, probe.limits.concurrencyMax)).filter((size) => size > 1));
    if (within.size === 0) throw new NotTriedError('it needs two requests at once (--concurrency)');
    for (const size of within) {
      probe.beginTrial();
      const sending = probe.given(probe.freshKey());
      let answers: readonly Exchange[] = [];
      let retry = '';
      let isAnswered = false;
      const acted = await probe.effectsOf(async () => {
        answers = await probe.sendAtOnce(sending, size);
        const settled = await probe.settle(sending);
        isAnswered = settled.outcome === 'answered' && isSuccess(settled.answer);
        retry = describeSettled(settled);
      });
      const seen = `${size} at once, answered ${tally(answers.map(describeExchange))}, acted ${times(acted)}; a retry was answered ${retry}`;
      // A connection that is not taken is the network's affair, or a bound of the server's; an answer is the endpoint's own.
      const answered = answers.flatMap((exchange) => (exchange.outcome === 'answered' ? [exchange.answer] : []));
      const areTold = answered.every((answer) => isSuccess(answer) || probe.isInProgress(answer));
      if (acted !== 1 || !isAnswered || !areTold) return failed(seen);
      for (const { status } of answered) statuses.add(status);
      unanswered += answers.length - answered.length;
      found.push(String(size));
    }
    const rest = unanswered === 0 ? '' : `, ${unanswered} of them not at all`;
    return passed(`${found.join(', ')} at once acted once each, answered ${[...statuses].join(' or ')}${rest}`);
  },
};

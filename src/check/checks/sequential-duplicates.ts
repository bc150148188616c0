import { isSuccess } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeSettled, tally, times } from '../wording.ts';

const duplicates = 3;

export const sequentialDuplicates: Check = {
  name: 'sequential-duplicates',
  title: 'duplicates after the answer act no more',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.6, "Duplicate request"`,
    demands: 'A retry of a completed request is answered with its result, and does not act.',
  },
  async run(probe) {
    const sending = probe.given(probe.freshKey());
    const seen: string[] = [];
    let isAnswered = true;
    const acted = await probe.effectsOf(async () => {
      await probe.execute(sending);
      for (let sent = 0; sent < duplicates; sent += 1) {
        const settled = await probe.settle(sending);
        isAnswered &&= settled.outcome === 'answered' && isSuccess(settled.answer);
        seen.push(describeSettled(settled));
      }
    });
    const found = `one request and ${duplicates} duplicates, answered ${tally(seen)}, acted ${times(acted)}`;
    return acted === 1 && isAnswered ? passed(found) : failed(found);
  },
};

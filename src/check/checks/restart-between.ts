import type { CountSoFar } from '../effects/effect-meter.ts';
import { NotTriedError } from '../check-error.ts';
import { isSuccess, type Settled } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeSettled, times } from '../wording.ts';

export const restartBetween: Check = {
  name: 'restart-between',
  title: 'a duplicate after a restart acts no more',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.6, "Duplicate request"; docs/guarantees.md`,
    demands:
      'What was answered outlives the process: a retry after a restart is answered with the result, and does not act.',
  },
  async run(probe) {
    const sending = probe.given(probe.freshKey());
    let before: Settled | undefined;
    let after: Settled | undefined;
    let isSame = false;
    let counted = 0;
    const acted = await probe.effectsOf(async (soFar) => {
      await probe.execute(sending);
      // Compared with replays, as the answer itself may differ from them, and they from each other: replay-equality looks at that.
      const earlier = await probe.settle(sending);
      before = await probe.settle(sending);
      if (before.outcome !== 'answered' || !isSuccess(before.answer)) {
        throw new NotTriedError(`a duplicate was answered ${describeSettled(before)} before the restart already`);
      }
      counted = await soFar(1);
      await probe.restart();
      await assertCountSurvived(soFar, counted);
      after = await probe.settle(sending, (answer) => probe.isStarting(answer));
      isSame = isSameAnswer(before, after) || (isSameStatus(before, after) && !isSameAnswer(earlier, before));
    });
    if (before === undefined || after === undefined) throw new Error('assertion failed: the work was done');
    const isAnswered = after.outcome === 'answered' && isSuccess(after.answer);
    const [first, second] = [describeSettled(before), describeSettled(after)];
    const bytes = isSame || first !== second ? '' : ', with other bytes';
    const found = `a duplicate was answered ${first}, and after a restart ${second}${bytes}; in all it acted ${times(acted)}`;
    // What it acted before the restart is the matter of other checks.
    return acted === counted && isAnswered && isSame ? passed(found) : failed(found);
  },
};

/**
 * A count that went down was lost with the process, and says nothing of what was before.
 *
 * @returns how much the work had raised the count when the endpoint was back
 * @throws NotTriedError
 */
export async function assertCountSurvived(soFar: CountSoFar, before: number): Promise<number> {
  const after = await soFar();
  if (after >= before) return after;
  throw new NotTriedError(
    `the count fell by ${before - after} over the restart, so that it cannot tell; it needs a count that outlives the process`,
  );
}

function isSameStatus(one: Settled, other: Settled): boolean {
  if (one.outcome !== 'answered' || other.outcome !== 'answered') return false;
  return one.answer.status === other.answer.status;
}

function isSameAnswer(one: Settled, other: Settled): boolean {
  if (one.outcome !== 'answered' || other.outcome !== 'answered') return false;
  return one.answer.status === other.answer.status && one.answer.body.equals(other.answer.body);
}

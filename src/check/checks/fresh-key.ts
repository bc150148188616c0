import { isSuccess } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeSettled, times } from '../wording.ts';

/** Two customers may order the same, and one may order twice. */
export const freshKey: Check = {
  name: 'fresh-key',
  title: 'the same payload under another key acts again',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.6, "First time request"`,
    demands: 'A request under a key that was not seen before is processed normally, whatever its payload.',
  },
  async run(probe) {
    const seen: string[] = [];
    let isRefused = false;
    const acted = await probe.effectsOf(async () => {
      for (let sent = 0; sent < 2; sent += 1) {
        const settled = await probe.settle(probe.given(probe.freshKey()));
        isRefused ||= settled.outcome !== 'answered' || !isSuccess(settled.answer);
        seen.push(describeSettled(settled));
      }
    });
    const found = `two fresh keys, answered ${seen.join(' and ')}, acted ${times(acted)}`;
    return acted === 2 && !isRefused ? passed(found) : failed(found);
  },
};

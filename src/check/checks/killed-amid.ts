import { isSuccess, type Moment, type Probe } from '../probe.ts';
import { failed, ietfDraft, passed, type Check, type Verdict } from '../rule.ts';
import { assertCountSurvived } from './restart-between.ts';
import { describeExchange, describeSettled, times } from '../wording.ts';

/** A process dies at any moment; its clients retry. Whoever was answered does not. */
export const killedAmid: Check = {
  name: 'killed-amid',
  title: 'an operation whose process was killed amid it acts once',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, sections 1 and 2.6; docs/guarantees.md`,
    demands:
      'Wherever the process is killed: what was answered with success has taken effect, a retry is answered in time, and the operation acts once in all.',
  },
  async run(probe) {
    await proveCountSurvives(probe);
    for (let kill = 0; kill < probe.limits.kills; kill += 1) {
      const verdict = await killOnce(probe, kill);
      if (verdict.result === 'fail') return verdict;
    }
    return passed(
      `killed at ${Math.ceil(probe.limits.kills)} moments; each retry was answered, and each operation acted once`,
    );
  },
};

/** It may have stood at none when it was lost before, and would not be seen to fall: so there is one to lose. */
async function proveCountSurvives(probe: Probe): Promise<void> {
  await probe.effectsOf(async (soFar) => {
    await probe.execute(probe.given(probe.freshKey()));
    const counted = await soFar(1);
    await probe.restart();
    await assertCountSurvived(soFar, counted);
  });
}

async function killOnce(probe: Probe, kill: number): Promise<Verdict> {
  // The first request of a process is slower than those that come after it.
  await probe.execute(probe.given(probe.freshKey()));
  const moment = momentOf(probe, kill);
  probe.beginTrial();
  const sending = probe.given(probe.freshKey());
  let seen = '';
  let isAnswered = false;
  let isLost = false;
  const acted = await probe.effectsOf(async (soFar) => {
    const exchange = await probe.sendAndStrike(sending, moment);
    const wasAnswered = exchange.outcome === 'answered' && isSuccess(exchange.answer);
    seen = `killed ${describeMoment(moment)}, the request was answered ${describeExchange(exchange)}`;
    await assertCountSurvived(soFar, 0);
    // An effect may be done by another process, from a queue, and show when that is back.
    isLost = wasAnswered && (await soFar(1)) < 1;
    if (isLost) return;
    const settled = await probe.settle(sending, (answer) => probe.isStarting(answer));
    isAnswered = settled.outcome === 'answered' && isSuccess(settled.answer);
    seen += `, its retry ${describeSettled(settled)}`;
    if (isAnswered) await soFar(1);
  });
  if (isLost) return failed(`${seen}, and it had acted ${times(acted)} when the process was back`);
  return acted === 1 && isAnswered ? passed(seen) : failed(`${seen}; in all it acted ${times(acted)}`);
}

/** Each sixth strikes right after the answer, and the others in turn somewhere within the next part of the handling. */
function momentOf({ answerMs, limits: { kills }, random }: Probe, kill: number): Moment {
  if (kill % 6 === 0) return 'answered';
  const parts = Math.ceil(kills - kills / 6);
  const part = kill - Math.floor(kill / 6) - 1;
  return ((part + random.fraction()) / parts) * answerMs;
}

function describeMoment(moment: Moment): string {
  return moment === 'answered' ? 'right after the answer' : `${moment.toFixed(1)} ms after it was sent`;
}

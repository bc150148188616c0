import { NotTriedError } from '../check-error.ts';
import { isBusy, isSuccess, type Probe, type Settled } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import type { Answer } from '../wire.ts';
import { tally } from '../wording.ts';

const rounds = 3;
const copiesMax = 8;

/** An endpoint may let a duplicate wait, or refuse it by 409, or accept it by 202. A client has to know which of them it is. */
export const inFlightConsistent: Check = {
  name: 'in-flight-consistent',
  title: 'duplicates in flight are all answered in one way',
  needsEffect: false,
  rule: {
    source: `${ietfDraft}, sections 2.6, "Concurrent Request", and 2.7; docs/http.md, "A duplicate in flight"`,
    demands:
      'A duplicate in flight waits and gets the result, or is told that it is not there yet, always by one status; whoever gets the result gets the same.',
  },
  async run(probe) {
    const copies = Math.min(copiesMax, Math.floor(probe.limits.concurrencyMax));
    if (copies < 2) throw new NotTriedError('it needs two requests at once (--concurrency)');
    const told: string[] = [];
    const found = `${copies} at once, ${rounds} times`;
    for (let round = 0; round < rounds; round += 1) {
      probe.beginTrial();
      const { waited, refused, replays } = await meetInFlight(probe, copies);
      told.push(...refused.map(({ status }) => String(status)));
      if (new Set(told).size > 1) return failed(`${found}: who did not get the result was answered ${tally(told)}`);
      const statuses = waited.map(({ status }) => String(status));
      if (new Set(statuses).size > 1) return failed(`${found}: who got the result was answered ${tally(statuses)}`);
      const others = otherResults(waited, replays);
      if (others > 1) return failed(`${found}: ${others} of ${waited.length} results are not that of a later retry`);
    }
    if (told.length === 0) return passed(`${found}: all got the result; in flight they wait`);
    return passed(`${found}: in flight they were answered ${tally(told)}, and the others got the result`);
  },
};

interface Met {
  readonly waited: readonly Answer[];
  readonly refused: readonly Answer[];
  /** Of two retries when all was over. */
  readonly replays: readonly [Settled, Settled];
}

async function meetInFlight(probe: Probe, copies: number): Promise<Met> {
  const sending = probe.given(probe.freshKey());
  const exchanges = await probe.sendAtOnce(sending, copies);
  const answers = exchanges.flatMap((exchange) => (exchange.outcome === 'answered' ? [exchange.answer] : []));
  // That an endpoint is busy tells nothing of the duplicate.
  const refused = answers.filter((answer) => probe.isInProgress(answer) && !isBusy(answer));
  const waited = answers.filter((answer) => isSuccess(answer) && !probe.isInProgress(answer));
  return { waited, refused, replays: [await probe.settle(sending), await probe.settle(sending)] };
}

/** The answer of the one that executed may differ from replays, which is the matter of replay-equality; but there is one such. */
function otherResults(waited: readonly Answer[], [one, two]: Met['replays']): number {
  if (one.outcome !== 'answered' || two.outcome !== 'answered') return 0;
  const { body } = one.answer;
  return body.equals(two.answer.body) ? waited.filter((answer) => !answer.body.equals(body)).length : 0;
}

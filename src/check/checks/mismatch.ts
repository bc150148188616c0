import { NotTriedError } from '../check-error.ts';
import { isRefusal, isSuccess, type Probe, type Settled } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeExchange, describeSettled, times } from '../wording.ts';

const source = `${ietfDraft}, sections 2.2 and 2.7; docs/http.md, "key-reused"`;

export const mismatchExecutesNothing: Check = {
  name: 'mismatch-executes-nothing',
  title: 'another payload under a used key does not act',
  needsEffect: true,
  rule: { source, demands: 'A key belongs to one request: under it no other payload is executed.' },
  async run(probe) {
    await assertOtherActs(probe);
    probe.beginTrial();
    const key = probe.freshKey();
    let seen = '';
    const acted = await probe.effectsOf(async () => {
      await probe.execute(probe.given(key));
      seen = describeExchange(await probe.send(probe.other(key)));
    });
    const found = `a request, and another payload under its key, answered ${seen}, acted ${times(acted)}`;
    return acted === 1 ? passed(found) : failed(found);
  },
};

export const mismatchRefused: Check = {
  name: 'mismatch-refused',
  title: 'another payload under a used key is refused',
  needsEffect: false,
  rule: {
    source,
    demands:
      'Another payload under a used key is refused by 4xx (422, the draft says), so that its sender knows that nothing was done.',
  },
  async run(probe) {
    await assertOtherSucceeds(probe);
    probe.beginTrial();
    const key = probe.freshKey();
    await probe.execute(probe.given(key));
    const exchange = await probe.send(probe.other(key));
    const found = `another payload under the key was answered ${describeExchange(exchange)}`;
    return exchange.outcome === 'answered' && isRefusal(exchange.answer) ? passed(found) : failed(found);
  },
};

export const mismatchKeepsResult: Check = {
  name: 'mismatch-keeps-result',
  title: 'another payload under a used key does not disturb what is kept',
  needsEffect: false,
  rule: {
    source: `${ietfDraft}, section 2.6, "Retry"; docs/http.md, "Before the key is used up"`,
    demands: 'A retry gets the result of its operation, whatever else was sent under the key in between.',
  },
  async run(probe) {
    await assertOtherSucceeds(probe);
    probe.beginTrial();
    const key = probe.freshKey();
    await probe.execute(probe.given(key));
    // Compared with a replay, not with the first answer, and by its bytes only where replays have the same: how a replay differs
    // from the first answer, or from another replay, is not the matter here.
    const earlier = await probe.settle(probe.given(key));
    const before = await probe.settle(probe.given(key));
    const between = describeExchange(await probe.send(probe.other(key)));
    const after = await probe.settle(probe.given(key));
    const isSame = isSameStatus(before, after) && (isSameBody(before, after) || !isSameBody(earlier, before));
    const [first, second] = [describeSettled(before), describeSettled(after)];
    const bytes = isSame || first !== second ? '' : ', with other bytes';
    const found = `a retry was answered ${first}, then another payload ${between}, then a retry ${second}${bytes}`;
    return isSame ? passed(found) : failed(found);
  },
};

function isSameStatus(one: Settled, other: Settled): boolean {
  if (one.outcome !== 'answered' || other.outcome !== 'answered') return one.outcome === other.outcome;
  return one.answer.status === other.answer.status;
}

function isSameBody(one: Settled, other: Settled): boolean {
  if (one.outcome !== 'answered' || other.outcome !== 'answered') return one.outcome === other.outcome;
  return one.answer.body.equals(other.answer.body);
}

/** If nobody would execute the payload anyway, that it is not executed tells nothing. */
async function assertOtherActs(probe: Probe): Promise<void> {
  let seen = '';
  const acted = await probe.effectsOf(async () => {
    seen = describeSettled(await probe.settle(probe.other(probe.freshKey())));
  });
  if (acted === 1) return;
  throw new NotTriedError(
    `the other payload, under a fresh key, was answered ${seen} and acted ${times(acted)}; give one that acts as "otherBody"`,
  );
}

/** What is refused under any key is not refused because of the key. */
async function assertOtherSucceeds(probe: Probe): Promise<void> {
  const settled = await probe.settle(probe.other(probe.freshKey()));
  if (settled.outcome === 'answered' && isSuccess(settled.answer)) return;
  throw new NotTriedError(
    `the other payload, under a fresh key, was answered ${describeSettled(settled)}; give one that acts as "otherBody"`,
  );
}

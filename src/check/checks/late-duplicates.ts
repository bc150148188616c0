import { NotTriedError } from '../check-error.ts';
import { isRefusal, isSuccess, type Probe } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeExchange, describeSettled, tally, times } from '../wording.ts';

export const lateDuplicate: Check = {
  name: 'late-duplicate',
  title: 'a duplicate that comes late acts no more',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, sections 2.3 and 2.6, "Duplicate request"`,
    demands:
      'As long as a key is remembered, as published, a retry under it is answered with the result, and does not act.',
  },
  async run(probe) {
    const sending = probe.given(probe.freshKey());
    let waitedMs = 0;
    let seen = '';
    let isAnswered = false;
    const acted = await probe.effectsOf(async () => {
      const beganMs = probe.monotonicMs();
      await probe.execute(sending);
      const answeredMs = probe.monotonicMs();
      waitedMs = latenessMs(probe, answeredMs - beganMs);
      await probe.wait(waitedMs);
      const settled = await probe.settle(sending);
      isAnswered = settled.outcome === 'answered' && isSuccess(settled.answer);
      seen = describeSettled(settled);
    });
    const found = `a duplicate ${inSeconds(waitedMs)} after the answer${ofLifetime(probe)}, answered ${seen}; in all it acted ${times(acted)}`;
    return acted === 1 && isAnswered ? passed(found) : failed(found);
  },
};

/** In the second half of the lifetime, which may have begun when the request came; well before its end, for the way there takes time. */
function latenessMs(probe: Probe, handlingMs: number): number {
  const { lifetimeMs, limits } = probe;
  if (lifetimeMs === undefined) return limits.lateMs;
  if (lifetimeMs > limits.lifetimeMsMax) return Math.min(limits.lateMs, lifetimeMs / 2);
  return Math.max(0, (0.5 + 0.3 * probe.random.fraction()) * lifetimeMs - handlingMs);
}

export const expiry: Check = {
  name: 'expiry',
  title: 'a key whose lifetime is over is refused, or it is a fresh one',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.3; docs/http.md, "Time"`,
    demands:
      'After its lifetime a key is refused by 4xx and does not act, or it acts once like a fresh one, or its result is still there; also of duplicates at the same time.',
  },
  async run(probe) {
    const lifetimeMs = shortLifetimeMs(probe);
    const sending = probe.given(probe.freshKey());
    const first = await probe.effectsOf(async () => {
      await probe.execute(sending);
      await probe.wait(lifetimeMs + marginMs(lifetimeMs));
    });
    let answers: readonly string[] = [];
    let retry = '';
    let outcome = 'unsettled' as 'refused' | 'succeeded' | 'unsettled';
    const again = await probe.effectsOf(async () => {
      const copies = Math.min(copiesMax, Math.floor(probe.limits.concurrencyMax));
      answers = (await probe.sendAtOnce(sending, copies)).map(describeExchange);
      const settled = await probe.settle(sending);
      if (settled.outcome === 'answered' && isSuccess(settled.answer)) outcome = 'succeeded';
      if (settled.outcome === 'answered' && isRefusal(settled.answer)) outcome = 'refused';
      retry = describeSettled(settled);
    });
    const found =
      `after its lifetime of ${inSeconds(lifetimeMs)} ${answers.length} duplicates at once, answered ${tally(answers)}, ` +
      `acted ${times(again)}; a retry was answered ${retry}`;
    if (first !== 1) return failed(`a request acted ${times(first)} within its lifetime of ${inSeconds(lifetimeMs)}`);
    const isFine = (again === 1 && outcome === 'succeeded') || (again === 0 && outcome !== 'unsettled');
    return isFine ? passed(found) : failed(found);
  },
};

const copiesMax = 8;

/** What rounds to whole seconds, and a clock that runs a little slower, have forgotten the key after that. */
function marginMs(lifetimeMs: number): number {
  return 1_000 + 0.02 * lifetimeMs;
}

function shortLifetimeMs({ lifetimeMs, limits: { lifetimeMsMax } }: Probe): number {
  if (lifetimeMs === undefined) {
    throw new NotTriedError('it needs to know how long the endpoint remembers a key (--lifetime)');
  }
  if (lifetimeMs <= lifetimeMsMax) return lifetimeMs;
  throw new NotTriedError(
    `the lifetime of ${inSeconds(lifetimeMs)} is longer than the ${inSeconds(lifetimeMsMax)} that this run waits for one (--lifetime-max)`,
  );
}

function ofLifetime({ lifetimeMs }: Probe): string {
  return lifetimeMs === undefined ? '' : `, of a lifetime of ${inSeconds(lifetimeMs)}`;
}

function inSeconds(ms: number): string {
  return `${(Math.round(ms / 100) / 10).toLocaleString('en')} s`;
}

import { NotTriedError } from '../check-error.ts';
import { isSuccess, type Probe } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import type { Variation } from '../request/variations.ts';
import type { Answer, Exchange } from '../wire.ts';
import { wordsOf } from './conflict-leaks-nothing.ts';
import { describeExchange, times } from '../wording.ts';

const source = `${ietfDraft}, section 5, "Data leaks"; docs/http.md, "The request"`;

export const otherTenantActs: Check = {
  name: 'other-tenant-acts',
  title: "another tenant's request under the same key acts, and gets its own answer",
  needsEffect: true,
  rule: {
    source,
    demands:
      'Tenants do not share keys: each acts once under a key that both chose, gets its own result, and nothing of the other one.',
  },
  async run(probe) {
    const tenant = tenantOf(probe);
    const alone = await actAlone(probe, tenant);
    // A word may be the same by chance, so one that is leaked once only is not held against anybody.
    for (let trials = 1; ; trials += 1) {
      const { key, acted, first, other } = await tryBoth(probe, tenant, alone);
      const seen = `one tenant was answered ${first.status}, the other one under the same key ${describeExchange(other)}, and after a retry by each they acted ${times(acted)}`;
      if (other.outcome !== 'answered' || !isSuccess(other.answer)) return failed(seen);
      if (acted !== 2) {
        const isFirsts = first.body.length > 0 && other.answer.body.equals(first.body);
        return failed(isFirsts ? `${seen}; the other one got the answer of the first` : seen);
      }
      const leak = leakOf(
        { first, other: other.answer, alone: alone.answer },
        `${key} ${probe.target.body.toString()}`,
      );
      if (leak === undefined) return passed(seen);
      if (trials === 2)
        return failed(`${seen}; the answer of the other one has ${JSON.stringify(leak)} of the first's`);
    }
  },
};

export const otherTenantLearnsNothing: Check = {
  name: 'other-tenant-learns-nothing',
  title: 'another tenant is not told that a key is in use',
  needsEffect: false,
  rule: { source, demands: "Another payload under another tenant's key is answered as under a fresh key." },
  async run(probe) {
    const tenant = tenantOf(probe);
    const under = (key: string) => ({ ...probe.other(key), variation: tenant });
    const alone = await probe.execute(under(probe.freshKey()));
    probe.beginTrial();
    const key = probe.freshKey();
    await probe.execute(probe.given(key));
    const exchange = await probe.send(under(key));
    const seen = `another payload of the other tenant was answered ${alone.status} under a fresh key, and ${describeExchange(exchange)} under the key of the first`;
    const isTheSame = exchange.outcome === 'answered' && exchange.answer.status === alone.status;
    return isTheSame ? passed(seen) : failed(seen);
  },
};

function tenantOf({ target }: Probe): Variation {
  if (target.variations.tenant !== undefined) return target.variations.tenant;
  throw new NotTriedError('it needs another tenant (--other-tenant)');
}

interface Alone {
  readonly answer: Answer;
  /** Whether what the other tenant does is seen by the count of the first. */
  readonly isCountedTogether: boolean;
}

async function actAlone(probe: Probe, tenant: Variation): Promise<Alone> {
  let answer: Answer | undefined;
  const send = async (): Promise<void> => {
    answer = await probe.execute(probe.varied(probe.freshKey(), tenant));
  };
  const acted = await probe.effectsOf(send);
  const isCountedTogether = acted === 1;
  const isCounted = isCountedTogether || (acted === 0 && (await probe.effectsOfBoth(send)) === 1);
  if (isCounted && answer !== undefined) return { answer, isCountedTogether };
  throw new NotTriedError(
    `the other tenant, under a fresh key, acts ${times(acted)} by this count; a count of all tenants is needed`,
  );
}

interface Trial {
  readonly key: string;
  readonly first: Answer;
  readonly other: Exchange;
  readonly acted: number;
}

async function tryBoth(probe: Probe, tenant: Variation, { isCountedTogether }: Alone): Promise<Trial> {
  probe.beginTrial();
  const key = probe.freshKey();
  let trial: Omit<Trial, 'acted'> | undefined;
  const work = async (): Promise<void> => {
    const first = await probe.execute(probe.given(key));
    const other = await probe.send(probe.varied(key, tenant));
    await probe.send(probe.given(key));
    await probe.send(probe.varied(key, tenant));
    trial = { key, first, other };
  };
  const acted = await (isCountedTogether ? probe.effectsOf(work) : probe.effectsOfBoth(work));
  if (trial === undefined) throw new Error('assertion failed: it was tried');
  return { ...trial, acted };
}

/** A word of the first tenant's answer in that of the other one, which does not have it from itself. */
function leakOf(answers: Readonly<Record<'first' | 'other' | 'alone', Answer>>, sent: string): string | undefined {
  const own = new Set([...wordsOf(answers.alone.body), ...wordsOf(Buffer.from(sent))]);
  const found = wordsOf(answers.other.body);
  return [...wordsOf(answers.first.body)].find((word) => found.has(word) && !own.has(word));
}

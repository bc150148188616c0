import { NotTriedError } from '../check-error.ts';
import { isRefusal, type Probe } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeExchange } from '../wording.ts';

export const conflictLeaksNothing: Check = {
  name: 'conflict-leaks-nothing',
  title: 'the refusal of another payload tells nothing of the request that has the key',
  needsEffect: false,
  rule: {
    source: `${ietfDraft}, section 5, "Data leaks"; docs/http.md, "Problems"`,
    demands:
      'Who guesses or steals a key learns nothing of the request under it: no value of its payload or of its result.',
  },
  async run(probe) {
    // Twice, since a value may be the same by chance; and with the payloads the other way round, for what every refusal says.
    const [one, two] = [await refusal(probe, 'given'), await refusal(probe, 'given')];
    const control = await refusal(probe, 'other');
    const leaks = one.shared.filter((word) => !control.words.has(word));
    const again = two.shared.filter((word) => !control.words.has(word));
    const [leak] = leaks;
    if (leak !== undefined && again.length > 0) {
      return failed(`the refusal has ${JSON.stringify(leak)}, which only the other request or its answer had`);
    }
    return passed(`nothing of the payload or the result is in the refusal (${one.status})`);
  },
};

interface Refusal {
  readonly status: string;
  readonly words: ReadonlySet<string>;
  /** Words that the request which has the key, or its answer, shares with the refusal, and the refused request does not have. */
  readonly shared: readonly string[];
}

async function refusal(probe: Probe, first: 'given' | 'other'): Promise<Refusal> {
  const key = probe.freshKey();
  const [owner, stranger] = first === 'given' ? (['given', 'other'] as const) : (['other', 'given'] as const);
  probe.other(key);
  probe.beginTrial();
  const answer = await probe.execute({ keys: [key], payload: owner });
  const exchange = await probe.send({ keys: [key], payload: stranger });
  const status = describeExchange(exchange);
  if (exchange.outcome !== 'answered' || !isRefusal(exchange.answer)) {
    throw new NotTriedError(`another payload under the key was answered ${status}, which is no refusal`);
  }
  const bodyOf = (payload: 'given' | 'other'): Buffer => {
    const { body, otherBody } = probe.target;
    return payload === 'given' ? body : (otherBody ?? body);
  };
  const own = new Set([...wordsOf(bodyOf(stranger)), ...wordsOf(Buffer.from(`${key} ${probe.target.url.href}`))]);
  const words = wordsOf(exchange.answer.body);
  const secrets = new Set([...wordsOf(bodyOf(owner)), ...wordsOf(answer.body)]);
  return { status, words, shared: [...secrets].filter((word) => words.has(word) && !own.has(word)) };
}

/** Shorter ones coincide by chance. */
const wordCharactersMin = 6;

/** What looks like a moment is none: an answer and a refusal that follows it within a second may both say when they were made. */
export function wordsOf(body: Buffer): ReadonlySet<string> {
  const words = body.toString('latin1').match(/[\w-]+/g) ?? [];
  return new Set(
    words.filter((word) => word.length >= wordCharactersMin && !/^\d{4}-\d\d-\d\d|^\d{10,16}$/.test(word)),
  );
}

import { NotTriedError } from '../check-error.ts';
import { isRefusal, isSuccess, type Probe } from '../probe.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import type { Variation, Variations } from '../request/variations.ts';
import type { Answer, Exchange } from '../wire.ts';
import { describeExchange, times } from '../wording.ts';

/**
 * The draft leaves open whether a key belongs to one operation of one endpoint or to all of an endpoint's; its section 2.6 only
 * compares "idempotency key and fingerprint". So another operation under a used key may be refused, or act by itself. In neither case
 * may it vanish: be answered as if it were done, by what was kept of the first one.
 */
const rule = {
  source: `${ietfDraft}, sections 2.2, 2.4 and 2.6; docs/http.md, "The request"`,
  demands:
    'Another operation under a used key is refused by 4xx and does not act, or it acts by itself and gets its own answer; a retry of the first one acts no more.',
};

export const mismatchQuery = otherOperation({
  name: 'mismatch-query',
  title: 'a request with another query under a used key is not answered by the first result',
  of: ({ query }) => query,
  words: 'another query',
  member: 'otherQuery',
});

export const mismatchPath = otherOperation({
  name: 'mismatch-path',
  title: 'a request with another path under a used key is not answered by the first result',
  of: ({ path }) => path,
  words: 'another path',
  member: 'otherPath',
});

export const mismatchMethod = otherOperation({
  name: 'mismatch-method',
  title: 'a request with another method under a used key is not answered by the first result',
  of: ({ method }) => method,
  words: 'another method',
  member: 'otherMethod',
});

export const otherEndpoint = otherOperation({
  name: 'other-endpoint',
  title: 'a request to another endpoint under a used key is not answered by the first result',
  of: ({ endpoint }) => endpoint,
  words: 'another endpoint',
  member: 'otherEndpoint',
});

interface Kind {
  readonly name: string;
  readonly title: string;
  readonly of: (variations: Variations) => Variation | undefined;
  readonly words: string;
  /** Where the request file says it. */
  readonly member: string;
}

function otherOperation({ name, title, of, words, member }: Kind): Check {
  return {
    name,
    title,
    needsEffect: true,
    rule,
    async run(probe) {
      const variation = of(probe.target.variations);
      if (variation === undefined) throw new NotTriedError(`give one that acts as "${member}" in the request file`);
      const alone = await actAlone(probe, variation, words, member);
      const areDifferent = await areToldApart(probe);
      const trial = await tryBoth(probe, variation);
      const seen = `the first was answered ${trial.first.status}, ${words} under its key ${describeExchange(trial.other)}, in all they acted ${times(trial.acted)}`;
      const mixedUp = areDifferent ? mixUpOf(trial, alone) : undefined;
      // A parameter that nobody knows changes nothing of what is asked for.
      const mayBeTheSame = variation === probe.target.variations.query && !probe.target.variations.isQueryGiven;
      if (mayBeTheSame && trial.acted === 1 && isAnswered(trial.other, isSuccess)) {
        return passed(`${seen}: it is taken for the same request`);
      }
      if (mixedUp !== undefined) return failed(`${seen}, and ${mixedUp}`);
      if (alone.acted !== 1) {
        const counted = `${words}, under a fresh key, acts ${times(alone.acted)} by this count`;
        throw new NotTriedError(`${counted}; give one that acts once as "${member}" in the request file`);
      }
      if (trial.acted === 1 && isAnswered(trial.other, isRefusal)) return passed(`${seen}: it is refused`);
      if (trial.acted === 2 && isAnswered(trial.other, isSuccess)) return passed(`${seen}: each by itself`);
      return failed(seen);
    },
  };
}

interface Alone {
  readonly key: string;
  readonly answer: Answer;
  readonly acted: number;
}

/** If nobody would execute it anyway, that it does not act tells nothing. */
async function actAlone(probe: Probe, variation: Variation, words: string, member: string): Promise<Alone> {
  const key = probe.freshKey();
  let exchange: Exchange | undefined;
  const acted = await probe.effectsOf(async () => {
    exchange = await probe.send(probe.varied(key, variation));
  });
  if (exchange?.outcome === 'answered' && isSuccess(exchange.answer)) return { key, answer: exchange.answer, acted };
  const seen = exchange === undefined ? '' : describeExchange(exchange);
  throw new NotTriedError(`${words}, under a fresh key, was answered ${seen}; give one that acts as "${member}"`);
}

interface Trial {
  readonly key: string;
  readonly first: Answer;
  readonly other: Exchange;
  readonly retry: Exchange;
  readonly acted: number;
}

async function tryBoth(probe: Probe, variation: Variation): Promise<Trial> {
  probe.beginTrial();
  const key = probe.freshKey();
  let trial: Omit<Trial, 'acted'> | undefined;
  const acted = await probe.effectsOf(async () => {
    const first = await probe.execute(probe.given(key));
    const other = await probe.send(probe.varied(key, variation));
    trial = { key, first, other, retry: await probe.send(probe.given(key)) };
  });
  if (trial === undefined) throw new Error('assertion failed: the work was done');
  return { ...trial, acted };
}

/** Who got whose answer, as far as answers can be told from each other. */
function mixUpOf({ key, first, other, retry }: Trial, alone: Alone): string | undefined {
  if (other.outcome !== 'answered' || !isSuccess(other.answer)) return undefined;
  const [firstText, otherText] = [textOf(first, key), textOf(other.answer, key)];
  const anybodysText = textOf(alone.answer, alone.key);
  if (firstText !== anybodysText && otherText === firstText) return 'the other one got the answer of the first';
  const isSwapped = otherText !== anybodysText && isAnswered(retry, (answer) => textOf(answer, key) === otherText);
  return isSwapped ? 'a retry of the first got the answer of the other one' : undefined;
}

/** Whether two requests one right after the other are answered differently: what an answer has may be no more than the time of day. */
async function areToldApart(probe: Probe): Promise<boolean> {
  const keys = [probe.freshKey(), probe.freshKey()] as const;
  const [one, two] = [await probe.execute(probe.given(keys[0])), await probe.execute(probe.given(keys[1]))];
  return textOf(one, keys[0]) !== textOf(two, keys[1]);
}

/** An answer may repeat the key. */
function textOf({ body }: Answer, key: string): string {
  return body.toString('latin1').replaceAll(key, '');
}

function isAnswered(exchange: Exchange, is: (answer: Answer) => boolean): boolean {
  return exchange.outcome === 'answered' && is(exchange.answer);
}

import { isRefusal, isSuccess, type Probe, type Settled } from '../probe.ts';
import { failed, ietfDraft, passed, type Check, type Verdict } from '../rule.ts';
import { describeSettled, times } from '../wording.ts';

/**
 * A key in some spelling. Which spellings an endpoint takes is its own affair; but the one that it takes must be a key, or its
 * sender believes in a protection that is not there.
 */
interface Form {
  readonly name: string;
  readonly keysOf: (key: string) => readonly string[];
}

const forms: readonly Form[] = [
  // The form of the draft, section 2.1: a String of structured fields.
  { name: 'a quoted key', keysOf: (key) => [`"${key}"`] },
  { name: 'a key with a space', keysOf: (key) => [`${key} b`] },
  { name: 'a key that is not ASCII', keysOf: (key) => [`${key}\u00e9`] },
  { name: 'a quoted key without its end', keysOf: (key) => [`"${key}`] },
  { name: 'a list of two keys', keysOf: (key) => [`"${key}", "${key}-2"`] },
  { name: 'two fields', keysOf: (key) => [key, `${key}-2`] },
];

export const keyForms: Check = {
  name: 'key-forms',
  title: 'a quoted or malformed key is refused, or it is a key',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, sections 2.1 and 5; RFC 9110, section 15.5`,
    demands:
      'A request whose key is not taken is refused by 4xx and does not act; one that is not refused acts once, however often it is sent.',
  },
  async run(probe) {
    const notes: string[] = [];
    for (const { name, keysOf } of forms) {
      probe.beginTrial();
      const key = probe.freshKey();
      const trial = await sendTwice(probe, [keysOf(key), keysOf(key)]);
      if (trial.acted === 0 && trial.areAll(isRefusal)) notes.push(`${name}: refused`);
      else if (trial.acted === 1 && trial.areAll(isSuccess)) notes.push(`${name}: taken`);
      else return failed(`${name}, sent twice, was answered ${trial.seen}, and acted ${times(trial.acted)}`);
    }
    return passed(notes.join('; '));
  },
};

/** Around the bounds that columns, indexes and headers have. */
const lengths = [65, 129, 256, 1_025, 5_000];

export const longKeys: Check = {
  name: 'long-keys',
  title: 'a long key is refused, or all of it is the key',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, sections 2.2 and 5; RFC 9110, section 15.5`,
    demands:
      'A key that is too long is refused by 4xx and does not act; two that are taken and differ at their ends are two keys.',
  },
  async run(probe) {
    const notes: string[] = [];
    for (const length of lengths) {
      const key = probe.freshKey().padEnd(length - 1, '0');
      const verdict = await tryLength(probe, length, key);
      if (verdict.result === 'fail') return verdict;
      notes.push(verdict.seen);
    }
    return passed(notes.join('; '));
  },
};

async function tryLength(probe: Probe, length: number, key: string): Promise<Verdict> {
  probe.beginTrial();
  const different = await sendTwice(probe, [[`${key}a`], [`${key}b`]]);
  if (different.acted === 0 && different.areAll(isRefusal)) return passed(`${length} characters: refused`);
  if (different.acted !== 2 || !different.areAll(isSuccess)) {
    const found = `two keys of ${length} characters that differ in the last one, answered ${different.seen}, acted ${times(different.acted)}`;
    return failed(found);
  }
  probe.beginTrial();
  const same = await sendTwice(probe, [[`${key}c`], [`${key}c`]]);
  const found = `one key of ${length} characters, sent twice, answered ${same.seen}, acted ${times(same.acted)}`;
  return same.acted === 1 && same.areAll(isSuccess) ? passed(`${length} characters: taken`) : failed(found);
}

interface Twice {
  readonly acted: number;
  readonly seen: string;
  areAll(is: typeof isRefusal): boolean;
}

async function sendTwice(probe: Probe, fields: readonly (readonly string[])[]): Promise<Twice> {
  const settled: Settled[] = [];
  const acted = await probe.effectsOf(async () => {
    for (const keys of fields) settled.push(await probe.settle({ keys, payload: 'given' }));
  });
  return {
    acted,
    seen: settled.map(describeSettled).join(' and '),
    areAll: (is) => settled.every((one) => one.outcome === 'answered' && is(one.answer)),
  };
}

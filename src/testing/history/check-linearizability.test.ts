import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Seeded } from '../../check/seeded.ts';
import { checkLinearizability, describeViolation } from './check-linearizability.ts';
import { linearizabilitySvg } from './linearizability-svg.ts';
import { OperationRecorder } from './operation-recorder.ts';
import {
  type CounterInput,
  counterModel,
  keyed,
  type MutexInput,
  mutexModel,
  type RegisterInput,
  registerModel,
  type RegisterOutput,
} from './sequential-model.ts';
import type { TimedOperation } from './timed-operation.ts';

type Timed<Input, Output> = TimedOperation<Input, Output>;

/** Answered at `completed` with `output`; without them, never. */
function call<Input, Output>(
  process: string,
  input: Input,
  invoked: number,
  completed?: number,
  output?: Output,
): Timed<Input, Output> {
  return {
    process,
    input,
    invoked,
    answer: completed === undefined ? undefined : { completed, output: output as Output },
  };
}

const read = { act: 'read' } as const;
const write = (value: number) => ({ act: 'write', value }) as const;
const swap = (expected: number, value: number) => ({ act: 'compare-and-set', expected, value }) as const;
const add = (amount: number) => ({ act: 'add', amount }) as const;

const register = registerModel(0);
type Register = Timed<RegisterInput<number>, RegisterOutput<number>>;

describe('checkLinearizability of a register', () => {
  test.for<readonly [string, 'linearizable' | 'violation', readonly Register[]]>([
    ['reads what was written', 'linearizable', [call('a', write(1), 1, 2), call('b', read, 3, 4, 1)]],
    [
      'reads either while the write is under way',
      'linearizable',
      [call('a', write(1), 1, 9), call('b', read, 2, 3, 0), call('b', read, 4, 5, 1)],
    ],
    ['goes back', 'violation', [call('a', write(1), 1, 9), call('b', read, 2, 3, 1), call('b', read, 4, 5, 0)]],
    ['is stale', 'violation', [call('a', write(1), 1, 2), call('b', read, 3, 4, 0)]],
    [
      'takes effect though it was never answered',
      'linearizable',
      [call('a', write(1), 1), call('b', read, 3, 4, 0), call('b', read, 5, 6, 1)],
    ],
    ['never takes effect as it was never answered', 'linearizable', [call('a', write(1), 1), call('b', read, 3, 4, 0)]],
    [
      'takes effect twice',
      'violation',
      [call('a', write(1), 1), call('b', write(2), 2, 3), call('b', read, 4, 5, 1), call('b', read, 6, 7, 2)],
    ],
    ['touches at one time', 'linearizable', [call('a', write(1), 1, 2), call('b', read, 2, 3, 0)]],
    [
      'lets one of two compare and set',
      'linearizable',
      [call('a', swap(0, 1), 1, 4, true), call('b', swap(0, 2), 2, 3, false)],
    ],
    ['lets both compare and set', 'violation', [call('a', swap(0, 1), 1, 4, true), call('b', swap(0, 2), 2, 3, true)]],
  ])('%s: %s', ([, outcome, operations]) => {
    expect(checkLinearizability(operations, register).outcome).toBe(outcome);
  });
});

describe('checkLinearizability of a counter and a lock', () => {
  test.for<readonly [string, 'linearizable' | 'violation', readonly Timed<CounterInput, number | boolean>[]]>([
    [
      'refuses what does not fit',
      'linearizable',
      [call('a', add(2), 1, 5, true), call('b', add(2), 2, 4, false), call('a', read, 6, 7, 2)],
    ],
    ['passes its bound', 'violation', [call('a', add(2), 1, 5, true), call('b', add(2), 2, 4, true)]],
    ['refuses what fits', 'violation', [call('a', add(3), 1, 2, false)]],
  ])('a counter %s: %s', ([, outcome, operations]) => {
    expect(checkLinearizability(operations, counterModel({ min: 0, max: 3 })).outcome).toBe(outcome);
  });

  const acquire = (owner: string): MutexInput => ({ act: 'acquire', owner });
  const release = (owner: string): MutexInput => ({ act: 'release', owner });
  test.for<readonly [string, 'linearizable' | 'violation', readonly Timed<MutexInput, boolean>[]]>([
    [
      'is handed on',
      'linearizable',
      [call('a', acquire('a'), 1, 2, true), call('b', acquire('b'), 3, 8, true), call('a', release('a'), 4, 5, true)],
    ],
    [
      'is held by two',
      'violation',
      [call('a', acquire('a'), 1, 2, true), call('b', acquire('b'), 3, 4, true), call('a', release('a'), 5, 6, true)],
    ],
  ])('a lock %s: %s', ([, outcome, operations]) => {
    expect(checkLinearizability(operations, mutexModel()).outcome).toBe(outcome);
  });
});

test('checkLinearizability tells the longest order and where it ends, as text and as a picture', () => {
  const operations: Register[] = [
    call('a', write(1), 1, 4),
    call('<b>', read, 2, 3, 1),
    call('<b>', read, 5, 8, 0),
    call('a', read, 9, 10, 1),
  ];
  const report = checkLinearizability(operations, register);
  if (report.outcome !== 'violation') throw new Error('it is no violation');
  const { violation } = report;
  expect(describeViolation(violation, register)).toBe(
    [
      'not linearizable',
      '  1. a: write 1',
      '  2. <b>: read 1',
      '  then no order goes on: <b>: read 0, where it would have been answered 1',
    ].join('\n'),
  );
  // What came after the failure does not belong to it.
  expect(violation.operations).toHaveLength(3);
  const picture = linearizabilitySvg(violation, register);
  expect(picture).toContain('&lt;b&gt;');
  expect(picture).not.toContain('<b>');
});

test('checkLinearizability takes keys one by one, and names the one that is wrong', () => {
  const model = keyed(register);
  const at = (key: string, input: RegisterInput<number>) => ({ ...input, key });
  const many = Array.from({ length: 2_000 }, (_, n) =>
    call(`p${n % 40}`, at(`k${n % 40}`, write(n)), Math.floor(n / 40) * 10, Math.floor(n / 40) * 10 + 5),
  );
  expect(checkLinearizability(many, model).outcome).toBe('linearizable');
  const stale = call('q', at('k7', read), 100_000, 100_001, 7);
  const report = checkLinearizability([...many, stale], model);
  expect(report).toMatchObject({ outcome: 'violation', violation: { partition: 'k7', stuck: stale, expected: 1_967 } });
});

test('checkLinearizability gives up where it was told to, and says so', () => {
  const writes = Array.from({ length: 12 }, (_, n) => call(`p${n}`, write(n + 1), 1, 100));
  const report = checkLinearizability([...writes, call('q', read, 101, 102, 99)], register, { stepsMax: 1_000 });
  expect(report.outcome).toBe('undecided');
});

test('checkLinearizability goes only once from a state with the same calls done', () => {
  const adds = Array.from({ length: 10 }, (_, n) =>
    call<CounterInput, number | boolean>(`p${n}`, add(1), 1, 100, true),
  );
  const wrong = call<CounterInput, number | boolean>('q', read, 101, 102, 11);
  // Their orders are 3,628,800.
  expect(checkLinearizability([...adds, wrong], counterModel(), { stepsMax: 100_000 }).outcome).toBe('violation');
});

test('checkLinearizability accepts whatever took effect one at a time, however long and however it overlaps', () => {
  const property = fc.property(fc.nat(), (seed) => {
    const seeded = new Seeded(seed);
    const below = (bound: number): number => Math.floor(seeded.fraction() * bound);
    let state: number | undefined = 0;
    const operations = Array.from({ length: 150 }, (_, at): Register => {
      const input = [read, write(below(3)), swap(below(3), below(3))][below(3)] ?? read;
      const isAnswered = below(20) > 0;
      const [moment, happens] = [at * 10, isAnswered || below(2) === 0];
      const { state: next, output } = register.step(state, input);
      if (happens) state = next;
      return call(`p${at}`, input, moment - below(40), isAnswered ? moment + below(40) : undefined, output);
    });
    expect(checkLinearizability(operations, register).outcome).toBe('linearizable');
  });
  fc.assert(property, { numRuns: 100 });
});

test('checkLinearizability judges as trying every order does', () => {
  const operation = fc.record({
    invoked: fc.nat(12),
    lasts: fc.nat(6),
    answered: fc.boolean(),
    value: fc.nat(2),
    expected: fc.nat(2),
    act: fc.constantFrom('read', 'write', 'compare-and-set'),
  });
  const verdicts = new Set<string>();
  const property = fc.property(fc.array(operation, { maxLength: 6 }), (given) => {
    const operations = given.map(({ act, invoked, lasts, answered, value, expected }, at): Register => {
      const input = act === 'read' ? read : act === 'write' ? write(value) : swap(expected, value);
      const output = act === 'read' ? value : act === 'write' ? undefined : value > 0;
      return call(`p${at}`, input, invoked, answered || act === 'read' ? invoked + lasts : undefined, output);
    });
    const { outcome } = checkLinearizability(operations, register);
    verdicts.add(outcome);
    expect(outcome).toBe(canBeOrdered(operations, 0) ? 'linearizable' : 'violation');
  });
  fc.assert(property, { numRuns: 3_000 });
  expect(verdicts.size).toBe(2);
});

/** Tries whatever may come next, by the definition and nothing else. */
function canBeOrdered(left: readonly Register[], state: number | undefined): boolean {
  if (left.every(({ answer }) => answer === undefined)) return true;
  const firstAnswer = Math.min(...left.map(({ answer }) => answer?.completed ?? Infinity));
  return left.some((next, at) => {
    if (next.invoked > firstAnswer) return false;
    const stepped = register.step(state, next.input);
    if (next.answer !== undefined && next.answer.output !== stepped.output) return false;
    return canBeOrdered(left.toSpliced(at, 1), stepped.state);
  });
}

test('OperationRecorder records calls, and leaves unknown what threw', async () => {
  const recorder = new OperationRecorder<RegisterInput<number>, RegisterOutput<number>>();
  await recorder.record('a', write(1), async () => undefined);
  const failed = recorder.record('a', write(2), () => Promise.reject(new Error('lost')));
  await expect(failed).rejects.toThrow('lost');
  const refused = recorder.record('a', write(3), () => Promise.reject(new Error('no')), { didNotHappen: () => true });
  await expect(refused).rejects.toThrow('no');
  expect(await recorder.record('b', read, async () => 2)).toBe(2);
  expect(recorder.operations().map(({ input, answer }) => [input.act, answer?.output])).toEqual([
    ['write', undefined],
    ['write', undefined],
    ['read', 2],
  ]);
  expect(checkLinearizability(recorder.operations(), register).outcome).toBe('linearizable');
});

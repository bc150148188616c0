import { describe, expect, test } from 'vitest';
import { describeAnomaly, type AnomalyName } from './anomaly.ts';
import { anomalySvg } from './anomaly-svg.ts';
import { checkSerializability } from './check-serializability.ts';
import { findCycles } from './cycle-anomalies.ts';
import { buildDependencyGraph } from './dependency-graph.ts';
import { inferListOrders } from './list-orders.ts';
import { story, type StoryLine } from './story.harness.ts';

/** Each anomaly with the least history that shows it, the weakest level that forbids it, and who is told to take part. */
const anomalies: readonly (readonly [AnomalyName, string, string, ...(string | StoryLine)[]])[] = [
  ['G0', 'read-uncommitted', 'T1 T2', 'a x 1, a y 1', 'a x 2, a y 2', 'r x 1 2, r y 2 1'],
  ['G1a', 'read-committed', 'T1 T2', { does: 'a x 1', outcome: 'aborted' }, 'r x 1'],
  ['G1b', 'read-committed', 'T1 T2', 'a x 1 2', 'r x 1'],
  ['G1c', 'read-committed', 'T1 T2', 'a x 1, r y 1', 'a y 1, r x 1'],
  ['G-single', 'repeatable-read', 'T1 T2', 'r x, r y 1', 'a x 1, a y 1'],
  ['G-single', 'snapshot', 'T1 T2', '? x y:, r z 1', 'a x 1, a z 1'],
  ['G-nonadjacent', 'repeatable-read', 'T1 T2 T3 T4', 'r x, r y 1', 'a x 1, a z 1', 'r w, r z 1', 'a w 1, a y 1'],
  ['G2-item', 'repeatable-read', 'T1 T2', 'r x, a y 1', 'r y, a x 1'],
  ['G2', 'serializable', 'T1 T2', '? x y:, a y 1', '? x y:, a x 1'],
  ['internal', 'read-uncommitted', 'T1', 'a x 1, r x'],
  ['internal', 'read-uncommitted', 'T1', 'r x 1, a x 1'],
  ['internal', 'repeatable-read', 'T2', 'a x 1', 'r x, r x 1'],
  ['lost-update', 'repeatable-read', 'T1 T2', 'r x, a x 1', 'r x, a x 2'],
  ['dirty-update', 'read-committed', 'T1 T2', { does: 'a x 1', outcome: 'aborted' }, 'a x 2', 'r x 1 2'],
  ['duplicate-element', 'read-uncommitted', 'T2', 'a x 1', 'r x 1 1'],
  ['garbage-element', 'read-uncommitted', 'T1', 'r x 7'],
  ['incompatible-order', 'read-uncommitted', 'T3 T4', 'a x 1', 'a x 2', 'r x 1 2', 'r x 2 1'],
  ['G0-session', 'strict-session-serializable', 'T1 T2', on('s', 'a x 1'), on('s', 'a x 2'), 'r x 2 1'],
  ['G1c-session', 'strict-session-serializable', 'T1 T2', on('s', 'r x 1'), on('s', 'a x 1')],
  ['G-single-session', 'strict-session-serializable', 'T1 T2', on('s', 'a x 1'), on('s', 'r x')],
  ['G2-item-session', 'strict-session-serializable', 'T1 T2 T3', on('s', 'a x 1'), 'r x, a y 1', on('s', 'r y')],
  ['G0-realtime', 'strict-serializable', 'T1 T2', 'a x 1', { does: 'a x 2', after: 'T1' }, 'r x 2 1'],
  ['G1c-realtime', 'strict-serializable', 'T1 T2', 'r x 1', { does: 'a x 1', after: 'T1' }],
  ['G-single-realtime', 'strict-serializable', 'T1 T2', 'a x 1', { does: 'r x', after: 'T1' }],
  ['G2-realtime', 'strict-serializable', 'T1 T2 T3', 'a x 1', '? x:, a y 1', { does: '? y:', after: 'T1' }],
];

function on(session: string, does: string): StoryLine {
  return { session, does };
}

describe('checkSerializability finds and names', () => {
  test.for(anomalies)('%s, which %s forbids, between %s', ([name, level, names, ...lines]) => {
    const report = checkSerializability(story(...lines));
    const found = report.anomalies.find((anomaly) => anomaly.name === name && anomaly.forbiddenBy[0] === level);
    expect(
      found?.transactions
        .map((transaction) => transaction.name)
        .toSorted()
        .join(' '),
    ).toBe(names);
    expect(report.ok).toBe(false);
    expect(report.ruledOut).toContain(level);
    // The picture is one of a whole document, with a box for each.
    const picture = anomalySvg(found as NonNullable<typeof found>);
    for (const one of names.split(' ')) expect(picture).toContain(`>${one}</text>`);
  });

  test.for(anomalies)('%s, and nothing that is worse', ([name, weakest, , ...lines]) => {
    const rank = ['read-uncommitted', 'read-committed', 'repeatable-read', 'snapshot'];
    const report = checkSerializability(story(...lines), { level: 'serializable' });
    const worse = report.anomalies.filter(({ forbiddenBy }) => {
      const [at, of] = [rank.indexOf(forbiddenBy[0] ?? ''), rank.indexOf(weakest)];
      return at !== -1 && (of === -1 || at < of);
    });
    expect(worse.map((anomaly) => describeAnomaly(anomaly))).toEqual([]);
    if (/-(session|realtime)$/.test(name)) expect(report.ok).toBe(true);
  });
});

describe('checkSerializability accepts', () => {
  test.for([
    ['each of an order that was', 'a x 1', 'r x 1, a y 1', 'r y 1, r x 1', '? x y:x 1'],
    ['a read of one that overlaps and comes later', 'r x', 'a x 1'],
    ['a read of its own appends', 'a x 1, r x 1, a x 2, r x 1 2'],
    ['an unanswered append that nobody saw', { does: 'a x 1', outcome: 'unknown' }, { does: 'r x', after: 'T1' }],
    ['an unanswered append that was seen', { does: 'a x 1', outcome: 'unknown' }, 'r x 1'],
    ['what an unanswered one that nobody saw has read', 'a x 1, a y 1', { does: 'r x 1, r y', outcome: 'unknown' }],
    [
      'an unanswered append later than what its session did next',
      { ...on('s', 'a x 1'), outcome: 'unknown' },
      on('s', 'r x'),
      'r x 1',
    ],
    ['what one that was rolled back has read', 'a x 1, a y 1', { does: 'r x 1, r y', outcome: 'aborted' }],
    ['a write skew of which one was rolled back', 'r x, a y 1', { does: 'r y, a x 1', outcome: 'aborted' }],
  ] as const)('%s', ([, ...lines]) => {
    expect(checkSerializability(story(...lines)).anomalies.map((anomaly) => describeAnomaly(anomaly))).toEqual([]);
  });
});

test('checkSerializability convicts by what an unanswered one has read, once its append was seen', () => {
  const skew = story({ does: 'r x, a y 1', outcome: 'unknown' }, 'r y, a x 1', 'r y 1');
  expect(checkSerializability(skew).anomalies.map(({ name }) => name)).toEqual(['G2-item']);
});

test('checkSerializability counts a write skew as no breach of snapshot isolation, and tells it all the same', () => {
  const report = checkSerializability(story('r x, a y 1', 'r y, a x 1'), { level: 'snapshot' });
  expect(report).toMatchObject({ ok: true, anomalies: [{ name: 'G2-item' }] });
});

test('checkSerializability tells of a large knot its shortest cycle', () => {
  const ring = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, at) => `r ${prefix}${at}, a ${prefix}${(at + 1) % count} 1, a all 1${at}`);
  const lines = ring(40, 'x');
  const everything = `r all ${lines.map((_, at) => `1${at}`).join(' ')}`;
  const report = checkSerializability(story(...lines, everything, 'r p, a q 1, r x3 1', 'r q, a p 1'));
  const lengths = report.anomalies.map(({ name, transactions }) => `${name} ${transactions.length}`);
  expect(lengths).toContain('G2-item 2');
});

test('findCycles tells a cycle of a knot in which its searches have to give up', () => {
  const orders = inferListOrders(story('r x, a y 1', 'r y, a z 1', 'r z, a x 1'));
  const [anomaly, ...others] = findCycles(orders, buildDependencyGraph(orders), [], 1);
  expect(others).toEqual([]);
  expect(anomaly).toMatchObject({ name: 'G2-item', transactions: [{ name: 'T1' }, { name: 'T3' }, { name: 'T2' }] });
});

test('checkSerializability leaves a lost update that broke a list at its name', () => {
  const report = checkSerializability(story('r x, a x 1', 'r x, a x 2', 'r x 1', { does: 'r x 2', after: 'T3' }));
  expect(report.anomalies.map(({ name }) => name)).toEqual(['lost-update']);
});

test('checkSerializability takes no order from what a lost update may have overwritten', () => {
  // T2 wrote back what it had read before T1: T1 came first, though nobody ever saw its append.
  const report = checkSerializability(story('r x, a x 1, a y 1', 'r x, r y 1, a x 2', 'r x 2'));
  expect(report.anomalies.map(({ name }) => name)).toContain('lost-update');
  expect(report.ruledOut).not.toContain('read-committed');
});

test('checkSerializability tells two read skews that meet as such, and not as one cycle that meets itself', () => {
  const report = checkSerializability(story('r x, r z, r y 1, r w 1', 'a x 1, a y 1', 'a z 1, a w 1'));
  expect(report.anomalies.map(({ name }) => name)).toEqual(['G-single']);
});

test('checkSerializability calls it write skew where two that missed something follow each other', () => {
  const report = checkSerializability(story('r x, r z 1', 'a x 1, r y', 'a y 1, a z 1'));
  expect(report.anomalies.map(({ name }) => name)).toEqual(['G2-item']);
});

test('checkSerializability refuses a history that no client can have recorded', () => {
  const check = (...lines: (string | StoryLine)[]) => checkSerializability(story(...lines));
  expect(() => check('a x 1', 'a x 1')).toThrow('T1 and T2 append 1 to x twice');
  expect(() => check('? x:y 1')).toThrow('T1 found y, which its range has not');
  const [one] = story('a x 1').transactions;
  if (one === undefined) throw new Error('there is no transaction');
  const overlapping = { transactions: [one, { ...one, name: 'T2', operations: [] }] };
  expect(() => checkSerializability(overlapping)).toThrow('session s1 runs T1 and T2 at once');
  const write = { act: 'write', key: 'x', value: 1 } as const;
  expect(() => checkSerializability({ transactions: [{ ...one, operations: [write] }] })).toThrow('only lists tell');
  expect(() => checkSerializability({ transactions: [{ ...one, completed: -1 }] })).toThrow('before it was invoked');
});

test('describeAnomaly prints who did what, and why that is no order', () => {
  const { anomalies } = checkSerializability(story('r x, a y 1', 'r y, a x 1'));
  expect(anomalies.map((anomaly) => describeAnomaly(anomaly))).toEqual([
    [
      'G2-item: Each missed what another wrote (write skew).',
      '  T1 (s1): read x = none; append 1 to y',
      '  T2 (s2): read y = none; append 1 to x',
      '  T1 -> T2 (rw x): T1 read x = [], to which T2 then appended 1',
      '  T2 -> T1 (rw y): T2 read y = [], to which T1 then appended 1',
      '  Forbidden by repeatable-read, serializable, strict-session-serializable, strict-serializable.',
    ].join('\n'),
  ]);
});

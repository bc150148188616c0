import { expect, test } from 'vitest';
import { parseJsonPath, valueAt } from './json-path.ts';

const document = { total: 3, items: [{ count: 1 }, { count: 2 }], 'in total': 4, "it's": 5, 'a.b': 6, '': 7 };

test.for([
  ['$', document],
  ['$.total', 3],
  ['$.items[0].count', 1],
  ['$.items[-1].count', 2],
  [`$['in total']`, 4],
  [`$["in total"]`, 4],
  [`$['it\\'s']`, 5],
  [`$['a.b']`, 6],
  [`$['']`, 7],
  ['$.none', undefined],
  ['$.items[2]', undefined],
  ['$.items.count', undefined],
  ['$.total[0]', undefined],
  ['$.total.none', undefined],
  ['$.toString', undefined],
  ['$.items.length', undefined],
] as const)('valueAt finds by %s what is there', ([path, value]) => {
  expect(valueAt(document, parseJsonPath(path))).toEqual(value);
});

test.for([
  ['', 1],
  ['total', 1],
  ['$total', 2],
  ['$..count', 2],
  ['$.items[*]', 8],
  ['$.items[0:1]', 8],
  ['$.items[?@.count > 1]', 8],
  ['$.items[01]', 8],
  ['$.items[-0]', 8],
  ['$.items[0', 8],
  ['$.', 2],
  [`$['a`, 2],
  ['$.total ', 8],
] as const)('parseJsonPath refuses %o, and says where', ([path, character]) => {
  expect(() => parseJsonPath(path)).toThrow(`at character ${character}`);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { check, countByGet, describeTarget } from 'semel/check';
import { expect, test } from 'vitest';
import { limits } from './check-shop.harness.ts';
import { serve } from './shop.harness.ts';
import { wrongShops } from './wrong-shops.harness.ts';

test.for([
  ['a replay executes', 'sequential-duplicates', { min: 2, max: 4 }],
  ['it checks, then sets', 'concurrent-duplicates', { min: 2, max: 50 }],
  ['the payload is part of the key', 'mismatch-executes-nothing', { min: 2, max: 2 }],
  ['a key is claimed by the head of a request', 'request-cut', { min: 0, max: 0 }],
  ['odd keys are passed over', 'key-forms', { min: 2, max: 2 }],
] as const)('curlScript shows again that %s', async ([defect, name, effects]) => {
  const wrong = wrongShops.find((shop) => shop.defect === defect);
  const shop = wrong?.open();
  if (shop === undefined) throw new Error(`there is no shop in which ${defect}`);
  const { orders, count } = await serve(shop);
  const target = describeTarget(orders, {
    body: { item: `it's "tea" $HOME`, cups: 2 },
    headers: { 'X-Shop': 'sesame' },
  });
  const { results } = await check(target, { effect: countByGet(count, '$.orders'), limits, only: [name] });
  const [result] = results;
  const script = result?.result === 'fail' ? result.script : '';
  expect(script).toContain('curl');
  expect(script).not.toContain('sesame');
  // An empty variable would be a request of nobody, so the script does not begin without it.
  expect(await runScript(script, {})).toMatchObject({ output: '', errors: expect.stringContaining('HEADER_X_SHOP') });
  const before = shop.orders;
  const { errors } = await runScript(script, { HEADER_X_SHOP: 'sesame' });
  // Where a request is cut off, curl waits in vain, and says so.
  expect(errors.replaceAll(/^curl: \(28\).*\n/gm, '')).toBe('');
  expect(shop.orders - before).toBeGreaterThanOrEqual(effects.min);
  expect(shop.orders - before).toBeLessThanOrEqual(effects.max);
});

async function runScript(script: string, variables: Readonly<Record<string, string>>) {
  const child = spawn('bash', ['-c', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...variables },
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { output, errors };
}

import { expect, test } from 'vitest';
import type { Answered } from '../../service/src/service-under-test.ts';
import { database, type ServiceOnPostgres } from './services.harness.ts';

const { serve, server } = database();

interface Client {
  readonly key: string;
  /** Every answer that it got; the last one is final. */
  readonly answers: Answered[];
}

/** Sends one operation again and again, to one service and the other in turn, until it is told what became of it. */
async function insist({ key, answers }: Client, services: readonly ServiceOnPostgres[]): Promise<void> {
  const request = {
    headers: { 'idempotency-key': key },
    body: { checks: [{ key, version: null }], mutations: [{ set: { key, value: 1 } }, { add: { key: 'n', by: 1 } }] },
  };
  for (let turn = 0; ; turn++) {
    const answer = await services[turn % services.length]?.send('POST', '/v1/transactions', request);
    if (answer === undefined) throw new Error('assertion failed: there are services');
    answers.push(answer);
    // 409 `in-progress`: the outcome of the one that was cut is not known to the database yet.
    if (answer.status !== 503 && answer.headers.get('idempotency-outcome') !== 'in-progress') return;
  }
}

test('services whose database crashes under load answer 503 with a reason, lose nothing, and go on by themselves', async () => {
  const schema = 'crashing';
  const services = [await serve({ schema }), await serve({ schema })];
  const clients = Array.from({ length: 300 }, (_, index): Client => ({ key: `op-${index}`, answers: [] }));
  const rest = [...clients];
  let answered = 0;
  const crashing = Promise.withResolvers<void>();
  let crashed: Promise<void> | undefined;
  const worker = async (): Promise<void> => {
    for (let client = rest.pop(); client !== undefined; client = rest.pop()) {
      await insist(client, services);
      answered += 1;
      if (answered === 100) {
        crashed = server().kill();
        crashing.resolve();
      }
      // Everybody has met the crash.
      if (answered >= 100) await crashed;
    }
  };
  const working = Promise.all(Array.from({ length: 20 }, worker));
  await crashing.promise;
  await crashed;
  const away = await services[0]?.send('GET', '/readyz');
  expect([away?.status, away?.headers.get('retry-after')]).toEqual([503, '1']);
  expect(away?.text).toContain('/problems/database-unavailable"');
  await server().restart();
  await working;

  const refusals = clients.flatMap(({ answers }) => answers).filter(({ status }) => status === 503);
  expect(refusals.length).toBeGreaterThan(0);
  for (const { text, headers } of refusals) {
    expect(text).toMatch(/problems\/(database-unavailable|commit-unknown)"/);
    expect(headers.get('content-type')).toBe('application/problem+json');
    if (text.includes('database-unavailable')) expect(headers.get('retry-after')).toBe('1');
    // Whoever reads it may be a stranger.
    expect(text).not.toMatch(/ECONN|127\.0\.0\.1|postgres|SQL/i);
  }
  for (const { answers } of clients) expect(answers.at(-1)?.status).toBe(200);
  for (const { send } of services) {
    expect((await send('GET', '/v1/kv/n')).json).toMatchObject({ value: clients.length });
    expect((await send('GET', '/readyz')).status).toBe(200);
  }
  // What was answered before the crash is answered again, byte for byte, by whoever is asked.
  for (const client of clients) {
    const first = client.answers.at(-1)?.text;
    await insist(client, services);
    expect(client.answers.at(-1)?.headers.get('idempotency-outcome')).toBe('replayed');
    expect(client.answers.at(-1)?.text).toBe(first);
  }
});

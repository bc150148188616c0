import { expect, onTestFinished, test } from 'vitest';
import pg from 'pg';
import { createOperations } from 'semel/operations';
import { openStore } from 'semel/postgres';
import { database, type ServiceOnPostgres } from './services.harness.ts';

const { serve, server, rows, untilRow } = database();

const counting = (key: string) => ({
  headers: { 'idempotency-key': key },
  body: { mutations: [{ add: { key: 'n', by: 1 } }], reads: ['n'] },
});

async function twoServices(schema: string): Promise<readonly [ServiceOnPostgres, ServiceOnPostgres]> {
  return [await serve({ schema, name: `${schema}_one` }), await serve({ schema, name: `${schema}_other` })];
}

/** Nothing is written to the schema until it is let go; reads, and locks of keys, go on. */
async function holdWrites(schema: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: server().url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`BEGIN; LOCK TABLE ${schema}.kv IN SHARE MODE`);
  return async () => void (await client.query('COMMIT'));
}

const writing = `SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;
const asking = `SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND xact_start > $2`;

test('two services answer 200 clients on one key with one execution and the same bytes', async () => {
  const services = await twoServices('many');
  const requests = services.flatMap(({ send }) =>
    Array.from({ length: 100 }, () => send('POST', '/v1/transactions', counting('one'))),
  );
  const answers = await Promise.all(requests);
  const outcomes = answers.map(({ headers }) => headers.get('idempotency-outcome'));
  expect(outcomes.filter((outcome) => outcome === 'executed')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(199);
  expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  for (const { send } of services) expect((await send('GET', '/v1/kv/n')).json).toMatchObject({ value: 1 });
});

test('a duplicate at the other service waits for the one in flight, and replays its bytes', async () => {
  const [one, other] = await twoServices('waiting');
  await one.send('PUT', '/v1/kv/made', { body: 1 });
  const letGo = await holdWrites('waiting');
  const first = one.send('POST', '/v1/transactions', counting('key'));
  await untilRow(writing, ['waiting_one']);
  const [{ now } = {}] = await rows('SELECT clock_timestamp() AS now');
  let isAnswered = false;
  const second = other.send('POST', '/v1/transactions', counting('key')).finally(() => (isAnswered = true));
  await untilRow(asking, ['waiting_other', now]);
  expect(isAnswered).toBe(false);
  await letGo();
  const [executed, replayed] = await Promise.all([first, second]);
  expect(executed.headers.get('idempotency-outcome')).toBe('executed');
  expect(replayed.headers.get('idempotency-outcome')).toBe('replayed');
  expect([replayed.status, replayed.text]).toEqual([executed.status, executed.text]);
  expect((await one.send('GET', '/v1/kv/n')).json).toMatchObject({ value: 1 });
});

test('kill -9 of the service that executes frees the key, and the retry at the other executes, once', async () => {
  const [one, other] = await twoServices('killed');
  await one.send('PUT', '/v1/kv/made', { body: 1 });
  const letGo = await holdWrites('killed');
  const cut = one.send('POST', '/v1/transactions', counting('key')).then(
    () => 'answered',
    () => 'cut',
  );
  await untilRow(writing, ['killed_one']);
  await one.kill();
  expect(await cut).toBe('cut');
  // Its transaction had sent the commit, and would still do it if PostgreSQL did not notice that nobody is there.
  await untilRow(`SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'killed_one')`);
  await letGo();
  const retried = await other.send('POST', '/v1/transactions', counting('key'));
  expect([retried.status, retried.headers.get('idempotency-outcome')]).toEqual([200, 'executed']);
  expect((await other.send('GET', '/v1/kv/n')).json).toMatchObject({ value: 1 });
});

test('two services know each other’s versions, and refuse what another one has made outdated', async () => {
  const [one, other] = await twoServices('versions');
  const put = await one.send('PUT', '/v1/kv/a', { body: 1 });
  const etag = put.headers.get('etag') ?? '';
  expect((await other.send('GET', '/v1/kv/a', { headers: { 'if-none-match': etag } })).status).toBe(304);
  const changed = await other.send('PUT', '/v1/kv/a', { body: 2, headers: { 'if-match': etag } });
  expect(changed.status).toBe(200);
  expect((await one.send('PUT', '/v1/kv/a', { body: 3, headers: { 'if-match': etag } })).status).toBe(412);
});

test('two services that remove the same expired operations at once remove all of them, and complain of nothing', async () => {
  const schema = 'expired';
  await (await serve({ schema })).kill();
  const store = await openStore({ url: server().url, schema });
  const operations = createOperations(store, { retentionMs: 1, tombstoneMs: 0 });
  const fingerprint = { algorithm: 1, digest: new Uint8Array(32) };
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        operations.run({ scope: 'default', key: `${batch}-${index}`, fingerprint }, async () => ({
          keep: 'all',
          result: null,
        })),
      ),
    );
  }
  await store.close();
  expect(await rows(`SELECT 1 FROM ${schema}.kv`)).not.toEqual([]);
  const services = await Promise.all([serve({ schema }), serve({ schema })]);
  await untilRow(`SELECT 1 WHERE NOT EXISTS (SELECT FROM ${schema}.kv)`);
  for (const { send, log } of services) {
    expect((await send('POST', '/v1/transactions', counting('one'))).status).toBe(200);
    expect(log()).toBe('');
  }
});

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type pg from 'pg';
import { encodeKey, type Key, realWorld, type Value } from 'semel';
import { openStore } from 'semel/embedded';
import { fingerprint, reap } from 'semel/idempotency';
import { createOperations } from 'semel/operations';
import { openStore as openPostgres } from 'semel/postgres';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../testing/postgres-server.harness.ts';
import { ByteReader, ByteWriter } from '../../kv/bytes.ts';
import { decodeKey } from '../../kv/tuple.ts';
import { parseValue, writeValue } from '../../kv/value-codec.ts';
import { decodeRecord, recordKey, stateAt } from '../../layers/idempotency/record.ts';
import { createDatabase, type TestDatabase } from './database.harness.ts';
import { migrate } from './migrate.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

interface Stored {
  readonly key: Buffer;
  readonly value: Buffer;
}

function stored(key: Key, value: Value): Stored {
  const writer = new ByteWriter();
  writeValue(writer, value);
  return { key: Buffer.from(encodeKey(key), 'latin1'), value: writer.finish() };
}

async function insert(client: pg.Client, entries: readonly Stored[]): Promise<void> {
  await client.query(
    `insert into semel.kv select key, value, gen_random_uuid() from unnest($1::bytea[], $2::bytea[]) as one (key, value)`,
    [entries.map(({ key }) => key), entries.map(({ value }) => value)],
  );
}

async function migrated(): Promise<{ readonly database: TestDatabase; readonly client: pg.Client }> {
  const database = await createDatabase(server);
  const client = await database.connect();
  await migrate(client);
  return { database, client };
}

const minuteMs = 60_000;
const request = { method: 'POST', path: '/orders', query: [], mediaType: undefined, body: new Uint8Array(1) };
const retention = { retentionMs: 60 * minuteMs, tombstoneMs: 60 * minuteMs };
/** With what no text of PostgreSQL has, what its formats of bytes escape, and letters of each length in UTF-8. */
const names = [
  ['acme', 'order-7'],
  ['a\0b\0', '"\\000\\377"'],
  ['\\\0\u0002\u00ff', '~'],
  ['Zoë, 東京, 🜁', "';--"],
] as const;
const results: readonly Value[] = [
  null,
  'paid',
  { status: 201, body: new Uint8Array(100_000).map((_, at) => (at * 7_919) % 251) },
];

/** What a store holds after operations at several times, as the layers wrote it: of every state, reaped and not. */
async function realEntries(nowMs: number): Promise<readonly Stored[]> {
  let clockMs = nowMs - 130 * minuteMs;
  const world = { ...realWorld, now: () => clockMs, monotonicMs: () => clockMs };
  const store = await openStore({ world });
  const operations = createOperations(store, { world, ...retention });
  for (const ageMinutes of [130, 100, 5]) {
    clockMs = nowMs - ageMinutes * minuteMs;
    for (const [index, [scope, key]] of names.entries()) {
      const result = results[index % results.length] ?? null;
      const identity = { scope: `${scope}${ageMinutes}`, key, fingerprint: fingerprint(request) };
      await operations.run(identity, async () => ({ keep: 'all', result }));
      await operations.cancel(`${scope}${ageMinutes}`, `cancelled${key}`);
    }
    if (ageMinutes !== 100) continue;
    // The oldest leave tombstones, which are over by now, and so do some of the others.
    clockMs = nowMs - 35 * minuteMs;
    await store.transact((tx) => reap(tx, { limit: names.length + 2 }));
  }
  const entries = await store.read((tx) => Array.fromAsync(tx.scan({}), ({ key, value }) => stored(key, value)));
  await store.close();
  return entries;
}

/** What the view has to say of an entry, by the layer's own reading of it. */
function expectedOf({ key, value }: Stored, nowMs: number): readonly object[] {
  const [, kind, scope, name] = decodeKey(key.toString('latin1'));
  if (kind !== 'record') return [];
  const encoded = parseValue(new ByteReader(value));
  const record = decodeRecord(encoded);
  const state = stateAt(record, nowMs);
  if (state === 'absent') return [];
  return [
    {
      state,
      scope: String(scope).replaceAll('\0', '\u2400'),
      key: name,
      created_at: new Date(record.createdAt),
      completed_at: new Date(record.completedAt),
      expires_at: record.state === 'cancelled' ? null : new Date(record.expiresAt),
      tombstone_until: new Date(record.tombstoneUntil),
      result_bytes: record.state === 'complete' ? stored(['result'], record.result).value.length : null,
      record_key: key,
      pid: null,
      lock: null,
    },
  ];
}

describe('operations', () => {
  test('operations says of each record that the layer wrote what the layer reads in it, as of the clock of the database', async () => {
    const { client } = await migrated();
    const { rows } = await client.query<{ now: Date }>('select now()');
    const nowMs = rows[0]?.now.getTime() ?? 0;
    const entries = await realEntries(nowMs);
    await insert(client, entries);
    const expected = entries.flatMap((entry) => expectedOf(entry, nowMs));
    expect(new Set(expected.map((row) => 'state' in row && row.state))).toEqual(
      new Set(['complete', 'expired', 'cancelled']),
    );
    const shown = await client.query('select * from semel.operations order by record_key');
    expect(shown.rows).toEqual(expected);
  });

  test('operations leaves out what is no record, and does not fail for it', async () => {
    const { client } = await migrated();
    const record: Value = { state: 'cancelled', createdAt: 1, completedAt: 1, tombstoneUntil: 2 ** 47 };
    const endsWithMark = new Float64Array([1]);
    new Uint8Array(endsWithMark.buffer).set([2, 0], 0);
    const under = (...parts: Key): Key => ['idempotency', 'record', ...parts];
    await insert(client, [
      ...[under(), under('a'), under('a', 'b', 'c'), under('a', 7), under(7, 'a'), under(7n), under(true, 'a')].map(
        (key) => stored(key, record),
      ),
      ...[under(new Uint8Array(3), 'a'), under('a', endsWithMark[0] ?? 0, 'b')].map((key) => stored(key, record)),
      ...[['idempotency', 'due', 1, 'a', 'b'], ['idempotency'], ['idempotency', 'records', 'a', 'b']].map((key) =>
        stored(key, record),
      ),
      ...[null, 'complete', 7, [], {}, { state: 'complete' }, { state: { a: 1 } }, { tombstoneUntil: 2 ** 47 }].map(
        (value, index) => stored(under('value', String(index)), value),
      ),
      // The members of a record, but as bytes.
      stored(under('bytes', 'x'), new Uint8Array(stored(['x'], record).value.subarray(2))),
      stored(under('no record'.repeat(20), 'seen'), { state: 'begun', tombstoneUntil: 2 ** 47 }),
      { ...stored(under('no text', 'x'), record), key: Buffer.from('0269640002ffc0000278', 'hex') },
      stored(under('in sight', 'x'), record),
    ]);
    const { rows } = await client.query('select scope, key from semel.operations');
    expect(rows).toEqual([{ scope: 'in sight', key: 'x' }]);
  });

  test('operations reads an operation that record_key names, and the locks on it, without the other records', async () => {
    const { client } = await migrated();
    await fill(client);
    const question = `from semel.operations where record_key = semel.record_key('acme', '7') or lock = semel.operation_lock('acme', '7')`;
    expect((await client.query(`select state, key ${question}`)).rows).toEqual([{ state: 'complete', key: '7' }]);
    expect(await rowsRead(client, `select * ${question}`)).toBe(1);
  });

  test('operations decodes no record for what is in progress, and reads nothing but records for the rest', async () => {
    const { client } = await migrated();
    await fill(client);
    const inProgress = await plansOf(client, `select * from semel.operations where state = 'in-progress'`);
    const decoding = inProgress.filter((plan) => plan['Function Name'] === 'operation_record');
    expect(decoding.map((plan) => plan['Actual Loops'])).toEqual([0]);
    expect(await rowsRead(client, `select * from semel.operations`)).toBe(100);
  });

  test('operations shows who holds the lock of an operation, and since when, until it is let go', async () => {
    const { database, client } = await migrated();
    const holder = await database.connect();
    await holder.query('begin');
    const { rows } = await holder.query(
      `select pg_backend_pid() as pid, now() as created_at, pg_advisory_xact_lock(semel.operation_lock('acme', 'order-7'))`,
    );
    const { pid, created_at } = rows[0] ?? {};
    const question = `select * from semel.operations where lock = semel.operation_lock('acme', 'order-7')`;
    const lock = String(lockOf('semel', recordKey({ scope: 'acme', key: 'order-7' })));
    const unknown = { scope: null, key: null, completed_at: null, expires_at: null, tombstone_until: null };
    const inProgress = {
      state: 'in-progress',
      ...unknown,
      result_bytes: null,
      record_key: null,
      created_at,
      pid,
      lock,
    };
    expect((await client.query(question)).rows).toEqual([inProgress]);
    expect((await client.query(`select * from semel.operations where state = 'in-progress'`)).rows).toEqual([
      inProgress,
    ]);
    await holder.query('rollback');
    expect((await client.query(question)).rows).toEqual([]);
  });

  test('operations shows an operation while a store executes it, and its record afterwards', async () => {
    const { database, client } = await migrated();
    const store = await openPostgres({ url: database.url() });
    onTestFinished(() => store.close());
    const identity = { scope: 'acme', key: 'order-7', fingerprint: fingerprint(request) };
    const question = `select state from semel.operations
      where record_key = semel.record_key('acme', 'order-7') or lock = semel.operation_lock('acme', 'order-7')`;
    await createOperations(store).run(identity, async () => {
      expect((await client.query(question)).rows).toEqual([{ state: 'in-progress' }]);
      return { keep: 'all', result: 'paid' };
    });
    expect((await client.query(question)).rows).toEqual([{ state: 'complete' }]);
  });

  test('operations shows no lock of two numbers, shared, waited for, or of another database', async () => {
    const { database, client } = await migrated();
    const other = (await migrated()).client;
    const [holder, waiter] = [await database.connect(), await database.connect()];
    await holder.query('select pg_advisory_lock(1, 2), pg_advisory_lock_shared(3)');
    await other.query('select pg_advisory_lock(4)');
    await holder.query('select pg_advisory_lock(5)');
    const waiting = waiter.query('select pg_advisory_lock(5)');
    while ((await client.query('select from pg_locks where not granted')).rows.length === 0);
    const { rows } = await client.query('select lock from semel.operations');
    expect(rows).toEqual([{ lock: '5' }]);
    await holder.query('select pg_advisory_unlock(5)');
    await waiting;
  });
});

describe('operation_lock', () => {
  test('operation_lock is the lock of the record, in its own schema, whatever scope and key', async () => {
    const client = await (await createDatabase(server)).connect();
    for (const schema of ['semel', 'shop_2']) {
      await migrate(client, { schema });
      const named = names.filter(([scope]) => !scope.includes('\0'));
      const { rows } = await client.query<{ lock: string; record_key: Buffer }>(
        `select "${schema}".operation_lock(scope, key) as lock, "${schema}".record_key(scope, key) as record_key
         from unnest($1::text[], $2::text[]) as one (scope, key)`,
        [named.map(([scope]) => scope), named.map(([, key]) => key)],
      );
      const keys = named.map(([scope, key]) => recordKey({ scope, key }));
      expect(rows.map(({ record_key }) => record_key)).toEqual(
        keys.map((key) => Buffer.from(encodeKey(key), 'latin1')),
      );
      expect(rows.map(({ lock }) => lock)).toEqual(keys.map((key) => String(lockOf(schema, key))));
    }
  });
});

describe('operation_name and operation_record', () => {
  test('operation_name is the inverse of the encoding of any scope and key', async () => {
    const { client } = await migrated();
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
    const keys = fc.sample(fc.tuple(text, text), { numRuns: 2_000, seed: 7 });
    const { rows } = await client.query(
      `select name.scope, name.key from unnest($1::bytea[]) with ordinality as one (key, at), lateral semel.operation_name(one.key) as name order by at`,
      [keys.map(([scope, key]) => stored(recordKey({ scope, key }), null).key)],
    );
    const shown = (part: string): string => part.replaceAll('\0', '\u2400');
    expect(rows).toEqual(keys.map(([scope, key]) => ({ scope: shown(scope), key: shown(key) })));
  });

  test('operation_name and operation_record fail for no bytes at all', async () => {
    const { client } = await migrated();
    const entries = (await realEntries(1_800_000_000_000)).flatMap(({ key, value }) => [key, value.subarray(0, 400)]);
    const damage = fc.tuple(fc.constantFrom(...entries), fc.nat(400), fc.uint8Array({ maxLength: 12 }), fc.boolean());
    const damaged = fc.sample(damage, { numRuns: 5_000, seed: 7 }).map(([bytes, at, put, cut]) => {
      const copy = Buffer.concat([bytes.subarray(0, at), put, cut ? Buffer.alloc(0) : bytes.subarray(at + put.length)]);
      return copy;
    });
    const { rows } = await client.query(
      `select count(record.tombstone_until) > 0 as some, count(*)::int as all
       from unnest($1::bytea[]) as one (bytes), lateral semel.operation_name(bytes), lateral semel.operation_record(bytes) as record`,
      [damaged],
    );
    expect(rows).toEqual([{ some: true, all: damaged.length }]);
  });
});

/** The engine's rule: the first 8 bytes, big-endian and signed, of SHA-256 over the schema's name, a zero byte and the key. */
function lockOf(schema: string, key: Key): bigint {
  return createHash('sha256').update(`${schema}\0`).update(encodeKey(key), 'latin1').digest().readBigInt64BE();
}

/** 100 records among 20,000 entries of others, before and behind. */
async function fill(client: pg.Client): Promise<void> {
  const outlived = { createdAt: 1, completedAt: 1, expiresAt: 2 ** 47, tombstoneUntil: 2 ** 47 };
  const record = { state: 'complete', ...outlived, algorithm: 1, digest: new Uint8Array(32), result: 'paid' };
  const records = Array.from({ length: 100 }, (_, at) => stored(recordKey({ scope: 'acme', key: String(at) }), record));
  const others = Array.from({ length: 20_000 }, (_, at) => stored([at % 2 === 0 ? 'a' : 'z', at], null));
  await insert(client, [...others, ...records]);
  await client.query('vacuum analyze semel.kv');
}

/** Of the table, what the plan found and what it filtered out. */
async function rowsRead(client: pg.Client, query: string): Promise<number> {
  const scans = (await plansOf(client, query)).filter((plan) => plan['Relation Name'] === 'kv');
  expect(scans).not.toEqual([]);
  return scans
    .map((plan) => {
      const rows = Number(plan['Actual Rows']) + Number(plan['Rows Removed by Filter'] ?? 0);
      return Number(plan['Actual Loops']) * rows;
    })
    .reduce((sum, count) => sum + count);
}

interface Plan {
  readonly [property: string]: unknown;
  readonly Plans?: readonly Plan[];
}

/** Every node of the plan that was executed. */
async function plansOf(client: pg.Client, query: string): Promise<readonly Plan[]> {
  const { rows } = await client.query(`explain (analyze, format json) ${query}`);
  const nodesIn = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesIn)];
  return nodesIn(rows[0]['QUERY PLAN'][0].Plan);
}

/**
 * Which anomalies PostgreSQL shows at each of its isolation levels, found from outside by the histories of its clients. Copy
 * `listsIn` and the few lines around `recordWorkload` to hold a database of your own to what it promises.
 *
 *     DATABASE_URL=postgres://localhost/scratch node examples/postgres-histories.ts
 *
 * It works in a schema of its own, which it drops before and after.
 */
import process from 'node:process';
import pg from 'pg';
import {
  checkSerializability,
  describeAnomaly,
  HistoryRecorder,
  type IsolationLevel,
  type ListDatabase,
  type ListElement,
  type ListTransaction,
  recordWorkload,
} from 'semel/testing/history';

/**
 * What PostgreSQL means by its names: REPEATABLE READ is snapshot isolation, and READ COMMITTED is what its name says. Its
 * SERIALIZABLE does not promise the order of real time, so it is not held to `strict-serializable`.
 */
const levels: readonly (readonly [string, IsolationLevel])[] = [
  ['READ COMMITTED', 'read-committed'],
  ['REPEATABLE READ', 'snapshot'],
  ['SERIALIZABLE', 'serializable'],
];

/** Two sessions, step by step. None of them has to wait for the other, so every run is the same. */
const schedules: Readonly<Record<string, string>> = {
  'lost update': '1 read x, 2 read x, 1 append x, 1 commit, 2 append x, 2 commit',
  'read skew': '1 read x, 2 append x, 2 append y, 2 commit, 1 read y, 1 commit',
  'write skew': '1 read x, 2 read y, 1 append y, 2 append x, 1 commit, 2 commit',
  phantom: '1 range, 2 range, 1 append new1, 2 append new2, 1 commit, 2 commit',
};

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 8 });
const table = 'semel_histories.lists';
await pool.query('DROP SCHEMA IF EXISTS semel_histories CASCADE; CREATE SCHEMA semel_histories');
await pool.query(`CREATE TABLE ${table} (key text PRIMARY KEY, elements integer[] NOT NULL)`);

let isKept = true;
for (const [name, level] of levels) {
  console.log(`${name}, held to ${level}`);
  for (const [schedule, steps] of Object.entries(schedules)) {
    await pool.query(`TRUNCATE ${table}`);
    const { ok, anomalies } = checkSerializability(await play(name, steps), { level });
    isKept &&= ok;
    console.log(`  ${schedule}: ${anomalies.map((anomaly) => anomaly.name).join(', ') || 'nothing'}`);
    for (const anomaly of anomalies) console.log(describeAnomaly(anomaly).replace(/^/gm, '    '));
  }
  await pool.query(`TRUNCATE ${table}`);
  const history = await recordWorkload(listsIn(name), { seed: 1, sessions: 6, transactions: 400 });
  const { ok, anomalies } = checkSerializability(history, { level });
  isKept &&= ok;
  const seen = [...new Set(anomalies.map((anomaly) => anomaly.name))].sort().join(', ') || 'nothing';
  const broken = anomalies.filter(({ forbiddenBy }) => forbiddenBy.includes(level));
  console.log(`  ${history.transactions.length} random transactions ${ok ? 'keep' : 'BREAK'} it, and show ${seen}`);
  for (const anomaly of broken) console.log(describeAnomaly(anomaly).replace(/^/gm, '    '));
}
await pool.query('DROP SCHEMA semel_histories CASCADE');
await pool.end();
process.exitCode = isKept ? 0 : 1;

/** PostgreSQL as the random workload uses it. */
function listsIn(isolation: string): ListDatabase {
  return {
    async transact(_session, body) {
      const client = await pool.connect();
      try {
        await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
        await body(listsOn(client));
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      } finally {
        client.release();
      }
    },
    // The server itself said that it failed. A connection that broke at the COMMIT would leave that unknown.
    didNotHappen: (error) => error instanceof pg.DatabaseError,
  };
}

function listsOn(client: pg.ClientBase): Required<ListTransaction> {
  const range = async (keys: readonly string[]): Promise<ReadonlyMap<string, readonly ListElement[]>> => {
    const { rows } = await client.query<{ key: string; elements: number[] }>(
      `SELECT key, elements FROM ${table} WHERE key = ANY ($1)`,
      [keys],
    );
    return new Map(rows.map(({ key, elements }) => [key, elements]));
  };
  return {
    range,
    read: async (key) => (await range([key])).get(key),
    async append(key, element) {
      await client.query(
        `INSERT INTO ${table} AS list VALUES ($1, ARRAY[$2::integer])
         ON CONFLICT (key) DO UPDATE SET elements = list.elements || excluded.elements`,
        [key, element],
      );
    },
  };
}

/** Runs a schedule of two sessions. One that the server rolls back takes no further steps. */
async function play(isolation: string, schedule: string) {
  const recorder = new HistoryRecorder();
  const setup = await session('setup');
  for (const key of ['x', 'y']) await step(setup, 'append', key);
  await step(setup, 'commit', '');
  const both = new Map([
    ['1', await session('1')],
    ['2', await session('2')],
  ]);
  for (const [, name = '', act = '', key = ''] of schedule.matchAll(/(\d) (\w+) ?(\w*)/g)) {
    const one = both.get(name);
    if (one !== undefined && !one.isOver) await step(one, act, key);
  }
  return recorder.history();

  async function session(name: string) {
    const client = await pool.connect();
    const recorded = recorder.begin(name);
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
    return { client, recorded, lists: listsOn(client), isOver: false };
  }

  async function step(one: Awaited<ReturnType<typeof session>>, act: string, key: string): Promise<void> {
    const { client, recorded, lists } = one;
    try {
      if (act === 'read') recorded.read(key, await lists.read(key));
      if (act === 'range') recorded.range(['new1', 'new2'], await lists.range(['new1', 'new2']));
      if (act === 'append') {
        const element = recorder.freshElement();
        recorded.append(key, element);
        await lists.append(key, element);
      }
      if (act !== 'commit') return;
      await client.query('COMMIT');
      recorded.committed();
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      await client.query('ROLLBACK');
      recorded.aborted();
    }
    one.isOver = true;
    client.release();
  }
}

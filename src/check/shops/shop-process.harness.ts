import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { pause, realEnvironment } from '../../client/environment.ts';

/**
 * A shop in a process of its own, to be killed: `shop-process.harness.ts PORT DATABASE PIDFILE HOW`. Its orders and its records of keys are in
 * SQLite, of which a kill takes nothing that was committed.
 */
const [port = '', path = '', pidFile = '', how = ''] = process.argv.slice(2);
const database = new DatabaseSync(path);
database.exec(`
  pragma journal_mode = wal;
  create table if not exists orders (id text primary key);
  create table if not exists records (key text primary key, body text, claimant text);
`);
/** Whose claims are those of a process that runs. */
const self = randomUUID();

interface Answer {
  readonly status: number;
  readonly body: string;
}

const inFlight: Answer = { status: 409, body: '{"title":"it is in progress"}' };

function work(): Promise<void> {
  return pause(realEnvironment, 5, new AbortController().signal);
}

interface Kept {
  /** Not there while it is only claimed. */
  readonly body: string | undefined;
  readonly claimant: string;
}

function findRecord(key: string): Kept | undefined {
  const found = database.prepare('select body, claimant from records where key = ?').get(key);
  return found && { body: found['body']?.toString(), claimant: String(found['claimant']) };
}

function placeOrder(): string {
  const id = randomUUID();
  database.prepare('insert into orders (id) values (?)').run(id);
  placedSinceStart += 1;
  return JSON.stringify({ order: id });
}

function keepRecord(key: string, body: string | null): void {
  database.prepare('insert or replace into records (key, body, claimant) values (?, ?, ?)').run(key, body, self);
}

/** SQLite is called without a pause, so that nothing of this process comes between. */
function atOnce(act: () => string): string {
  database.exec('begin immediate');
  const body = act();
  database.exec('commit');
  return body;
}

const kept = new Map<string, string>();
const claimed = new Set<string>();
let placedSinceStart = 0;

const ways: Readonly<Record<string, (key: string, answer: (given: Answer) => void) => Promise<void>>> = {
  /** Correct: order and record in one transaction, in which the record is looked up. */
  async 'one transaction'(key, answer) {
    await work();
    const body = atOnce(() => {
      const record = findRecord(key)?.body;
      if (record !== undefined) return record;
      const placed = placeOrder();
      keepRecord(key, placed);
      return placed;
    });
    await work();
    answer({ status: 201, body });
  },

  /** Correct: the claim of a process that is no more is void. */
  async 'claims of the living'(key, answer) {
    const record = findRecord(key);
    if (record?.body !== undefined) return answer({ status: 201, body: record.body });
    if (record?.claimant === self) return answer(inFlight);
    keepRecord(key, null);
    await work();
    const body = atOnce(() => {
      const placed = placeOrder();
      keepRecord(key, placed);
      return placed;
    });
    await work();
    answer({ status: 201, body });
  },

  /** Keys in a map, orders in a database. */
  async 'memory-only records'(key, answer) {
    const record = kept.get(key);
    if (record !== undefined) return answer({ status: 201, body: record });
    if (claimed.has(key)) return answer(inFlight);
    claimed.add(key);
    await work();
    const body = placeOrder();
    kept.set(key, body);
    answer({ status: 201, body });
  },

  /** The order is committed, a mail is sent, and then the record is committed. */
  async 'record after effect'(key, answer) {
    const record = findRecord(key)?.body;
    if (record !== undefined) return answer({ status: 201, body: record });
    if (claimed.has(key)) return answer(inFlight);
    claimed.add(key);
    const body = placeOrder();
    await work();
    await work();
    keepRecord(key, body);
    answer({ status: 201, body });
  },

  /** Answers from memory, and writes behind, a while later. */
  async 'answer before commit'(key, answer) {
    const record = kept.get(key) ?? findRecord(key)?.body;
    if (record !== undefined) return answer({ status: 201, body: record });
    const body = JSON.stringify({ order: key });
    kept.set(key, body);
    answer({ status: 201, body });
    for (let rest = 0; rest < 20; rest += 1) await work();
    atOnce(() => {
      placeOrder();
      keepRecord(key, body);
      return body;
    });
  },

  /** A claim is for ever, whoever made it. */
  async 'claims of the dead'(key, answer) {
    const record = findRecord(key);
    if (record?.body !== undefined) return answer({ status: 201, body: record.body });
    if (record !== undefined) return answer(inFlight);
    keepRecord(key, null);
    await work();
    const body = atOnce(() => {
      const placed = placeOrder();
      keepRecord(key, placed);
      return placed;
    });
    answer({ status: 201, body });
  },
};

const way = ways[how];
if (way === undefined) throw new Error(`there is no shop of the kind ${how}`);
const server = createServer((incoming, outgoing) => {
  if (incoming.method === 'GET') {
    const counted = database.prepare('select count(*) as orders from orders').get();
    return void outgoing.end(JSON.stringify({ ...counted, placedSinceStart }));
  }
  incoming.resume().on('end', () => {
    void way(String(incoming.headers['idempotency-key']), ({ status, body }) => {
      outgoing.writeHead(status, { 'content-type': 'application/json', 'retry-after': '0' }).end(body);
    });
  });
});
server.listen(Number(port), '127.0.0.1', () => writeFileSync(pidFile, String(process.pid)));

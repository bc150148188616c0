import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres, type PostgresServer } from '../../../src/testing/postgres-server.harness.ts';
import { Connections } from '../exchange.ts';
import type { Journal } from '../journal.ts';
import { ServiceProcess, type Death } from '../service-process.ts';
import { wordsOf } from '../site.ts';
import { Violation } from '../violation.ts';
import { StrikingWire } from './striking-wire.ts';

/** One of the two places for a service: what is there now, and the wire through which it reaches the database. */
export interface Slot {
  readonly index: 0 | 1;
  readonly wire: StrikingWire;
  service: ServiceProcess;
  connections: Connections;
  /** How PostgreSQL knows the connections of this process, and of no other. */
  name: string;
}

/** Where a run takes place: a PostgreSQL that syncs, and two services over it. */
export class PostgresSite {
  readonly directory: string;
  readonly server: PostgresServer;
  readonly #entry: string;
  readonly #journal: Journal;
  readonly #slots: Slot[] = [];
  #starts = 0;
  /** The last kill of a backend or of the server, with the start after it. */
  #killing: Promise<void> = Promise.resolve();
  /** The next one, which loads its program meanwhile. */
  #standby: ServiceProcess;

  private constructor(directory: string, server: PostgresServer, entry: string, journal: Journal) {
    this.directory = directory;
    this.server = server;
    this.#entry = entry;
    this.#journal = journal;
    this.#standby = this.#load();
  }

  static async open(directory: string, entry: string, journal: Journal): Promise<PostgresSite> {
    const server = await startPostgres({ settings: { fsync: 'on' } });
    const site = new PostgresSite(directory, server, entry, journal);
    for (const index of [0, 1] as const) {
      const wire = await StrikingWire.listen(server.url);
      site.#slots.push({ index, wire, ...(await site.#serve(index, wire)) });
    }
    return site;
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  slot(index: number): Slot {
    const slot = this.#slots[index % 2];
    if (slot === undefined) throw new Error('assertion failed: there are two services');
    return slot;
  }

  /** Another process in the place of one that has died. */
  async startAgain(slot: Slot): Promise<void> {
    Object.assign(slot, await this.#serve(slot.index, slot.wire));
  }

  /** The process is dead, the connections to it are closed, and PostgreSQL has ended what it did in its name. */
  async buried(slot: Slot): Promise<Death> {
    const death = await slot.service.death;
    slot.connections.close();
    const gone = 'SELECT FROM pg_stat_activity WHERE application_name = $1';
    while ((await this.query(gone, [slot.name])).rowCount !== 0) await pause(5);
    this.#journal.note({ event: 'died', service: slot.name, ...death });
    return death;
  }

  terminate(backendPid: number): Promise<void> {
    this.#killing = this.#terminate(backendPid);
    return this.#killing;
  }

  async #terminate(backendPid: number): Promise<void> {
    // Waits until it has ended; one that has ended already is no fault.
    await this.query('SELECT pg_terminate_backend($1, 10000)', [backendPid]);
    this.#journal.note({ event: 'terminated', backendPid });
  }

  crash(): Promise<void> {
    this.#killing = this.#crash();
    return this.#killing;
  }

  async #crash(): Promise<void> {
    await this.server.kill();
    await this.server.restart();
    this.#journal.note({ event: 'the server was killed and started again' });
  }

  async query(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
    const client = new pg.Client({ connectionString: this.server.url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.query(text, [...values]);
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    // A violation may end the run amid a kill.
    await this.#killing;
    for (const { connections, service, wire } of this.#slots) {
      connections.close();
      if (!service.isDead) await service.kill();
      wire.close();
    }
    if (!this.#standby.isDead) await this.#standby.kill();
    await this.server.stop();
  }

  async #serve(index: 0 | 1, wire: StrikingWire): Promise<Pick<Slot, 'service' | 'connections' | 'name'>> {
    const service = this.#standby;
    this.#standby = this.#load();
    const name = `service_${index}_${++this.#starts}`;
    const url = `${wire.url}?application_name=${name}`;
    const patience = new AbortController();
    const late = pause(startMsMax, 'late' as const, { signal: patience.signal }).catch(() => 'late' as const);
    const order = {
      place: { engine: 'postgres', url, schema: 'semel' },
      markerPath: join(this.directory, `marker-${index}.json`),
    } as const;
    const started = await Promise.race([service.start(order), late]);
    patience.abort();
    const rule = 'the service starts on what a kill has left';
    if (started === 'late') throw new Violation(rule, `it did not within ${startMsMax} ms`);
    if (started !== 'ready') throw new Violation(rule, wordsOf(started));
    this.#journal.note({ event: 'started', service: name, pid: service.pid });
    return { service, connections: new Connections(service.port), name };
  }

  #load(): ServiceProcess {
    return new ServiceProcess({
      entry: this.#entry,
      logPath: join(this.directory, 'service.log'),
      compileCachePath: join(tmpdir(), 'node-compile-cache'),
    });
  }
}

const startMsMax = 30_000;

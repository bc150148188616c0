import { setTimeout as pause } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataPlace } from '../../service/src/data-place.ts';
import { Connections } from './exchange.ts';
import type { Journal } from './journal.ts';
import type { Arming } from './kill-point.ts';
import { ServiceProcess, type Death } from './service-process.ts';
import { Violation } from './violation.ts';

/** Where a run takes place: one directory with the data, and the one process at a time that serves them. */
export class Site {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly #entry: string;
  readonly #journal: Journal;
  #service: ServiceProcess | undefined;
  #connections: Connections | undefined;
  /** The next one, which loads its program meanwhile. */
  #standby: ServiceProcess;

  constructor(directory: string, entry: string, journal: Journal) {
    this.directory = directory;
    this.dataDirectory = join(directory, 'data');
    this.#entry = entry;
    this.#journal = journal;
    this.#standby = this.#load();
  }

  get service(): ServiceProcess {
    if (this.#service === undefined) throw new Error('assertion failed: a service has been started');
    return this.#service;
  }

  /** To the service that runs now. */
  get connections(): Connections {
    if (this.#connections === undefined) throw new Error('assertion failed: a service has been started');
    return this.#connections;
  }

  async start(): Promise<void> {
    const started = await this.#serve();
    if (started !== 'ready') throw new Violation('the service starts on what a kill has left', wordsOf(started));
    this.#connections = new Connections(this.service.port);
    this.#journal.note({ event: 'started', pid: this.service.pid, recovery: this.service.recovery });
  }

  /** Starts a service that kills itself on the way. */
  async startInVain(hit: number): Promise<Death> {
    const started = await this.#serve({ point: 'during-recovery', hit });
    if (started === 'ready') throw new Error('assertion failed: a service that is armed for its start dies of it');
    this.#journal.note({ event: 'died', ...started });
    return started;
  }

  /** The process is dead, and so are the connections to it. */
  async buried(): Promise<Death> {
    const death = await this.service.death;
    this.#journal.note({ event: 'died', pid: this.service.pid, ...death });
    this.#connections?.close();
    return death;
  }

  async close(): Promise<void> {
    this.#connections?.close();
    for (const service of [this.#service, this.#standby]) if (service?.isDead === false) await service.kill();
  }

  async #serve(arming?: Arming): Promise<'ready' | Death> {
    const service = this.#standby;
    this.#standby = this.#load();
    this.#service = service;
    const patience = new AbortController();
    const late = pause(startMsMax, 'late' as const, { signal: patience.signal }).catch(() => 'late' as const);
    const markerPath = join(this.directory, 'marker.json');
    const place: DataPlace = { engine: 'embedded', directory: this.dataDirectory };
    const order = { place, markerPath, ...(arming === undefined ? {} : { arming }) };
    const started = await Promise.race([service.start(order), late]);
    patience.abort();
    if (started !== 'late') return started;
    throw new Violation('the service starts on what a kill has left', `it did not within ${startMsMax} ms`);
  }

  #load(): ServiceProcess {
    return new ServiceProcess({
      entry: this.#entry,
      logPath: join(this.directory, 'service.log'),
      // Where Node.js itself would keep it, for this run and for others.
      compileCachePath: join(tmpdir(), 'node-compile-cache'),
    });
  }
}

const startMsMax = 30_000;

export function wordsOf({ code, signal, marker }: Death): string {
  const how = signal === null ? `it exited with ${String(code)}` : `it died of ${signal}`;
  return marker === undefined ? how : `${how} at ${marker.point}`;
}

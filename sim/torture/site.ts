import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
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

  constructor(directory: string, entry: string, journal: Journal) {
    this.directory = directory;
    this.dataDirectory = join(directory, 'data');
    this.#entry = entry;
    this.#journal = journal;
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
    const started = await this.#spawn();
    if (started !== 'ready') throw new Violation('the service starts on what a kill has left', wordsOf(started));
    this.#connections = new Connections(this.service.port);
    this.#journal.note({ event: 'started', pid: this.service.pid, recovery: this.service.recovery });
  }

  /** Starts a service that kills itself on the way. */
  async startInVain(hit: number): Promise<Death> {
    const started = await this.#spawn({ point: 'during-recovery', hit });
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
    if (this.#service?.isDead === false) await this.#service.kill();
  }

  async #spawn(arming?: Arming): Promise<'ready' | Death> {
    const service = new ServiceProcess({
      entry: this.#entry,
      directory: this.dataDirectory,
      markerPath: join(this.directory, 'marker.json'),
      logPath: join(this.directory, 'service.log'),
      ...(arming === undefined ? {} : { arming }),
    });
    this.#service = service;
    const patience = new AbortController();
    const late = pause(startMsMax, 'late' as const, { signal: patience.signal }).catch(() => 'late' as const);
    const started = await Promise.race([service.started(), late]);
    patience.abort();
    if (started !== 'late') return started;
    throw new Violation('the service starts on what a kill has left', `it did not within ${startMsMax} ms`);
  }
}

const startMsMax = 30_000;

export function wordsOf({ code, signal, marker }: Death): string {
  const how = signal === null ? `it exited with ${String(code)}` : `it died of ${signal}`;
  return marker === undefined ? how : `${how} at ${marker.point}`;
}

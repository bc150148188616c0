import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { ChildOrder, FromChild, Recovery, ToChild } from './child.ts';
import type { Arming, Marker } from './kill-point.ts';

export interface SpawnOptions {
  /** The child's program. */
  readonly entry: string;
  readonly logPath: string;
  /** Where Node.js keeps what it compiled, for the next process. */
  readonly compileCachePath: string;
}

export interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it wrote down, if it killed itself. */
  readonly marker: Marker | undefined;
}

/**
 * A service in a process of its own. *Loading*: it has touched nothing yet → *starting*, when it is told what to serve → *serving*.
 * From each → *dead*, by a kill of ours or of its own, or by a failure.
 */
export class ServiceProcess {
  readonly death: Promise<Death>;
  readonly #child: ChildProcess;
  #markerPath: string | undefined;
  #ready: Extract<FromChild, { type: 'ready' }> | undefined;

  constructor({ entry, logPath, compileCachePath }: SpawnOptions) {
    const log = openSync(logPath, 'a');
    this.#child = spawn(process.execPath, ['--conditions=semel-source', entry], {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCachePath },
    });
    closeSync(log);
    this.death = once(this.#child, 'exit').then(() => ({
      code: this.#child.exitCode,
      signal: this.#child.signalCode,
      marker: this.#markerPath === undefined ? undefined : readMarker(this.#markerPath),
    }));
  }

  get isDead(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get port(): number {
    return Number(new URL(this.#facts.url).port);
  }

  get recovery(): Recovery {
    const { recovery } = this.#facts;
    if (recovery === undefined) throw new Error('assertion failed: only a store that was recovered is asked');
    return recovery;
  }

  get #facts(): Extract<FromChild, { type: 'ready' }> {
    if (this.#ready === undefined) throw new Error('assertion failed: only a service that is ready is asked');
    return this.#ready;
  }

  /** Resolves with its death where it dies before it serves. */
  async start(order: ChildOrder): Promise<'ready' | Death> {
    rmSync(order.markerPath, { force: true });
    this.#markerPath = order.markerPath;
    const ready = this.#message('ready');
    this.#tell({ type: 'serve', order });
    const message = await Promise.race([ready, this.death]);
    if (!('type' in message)) return message;
    if (message.type === 'ready') this.#ready = message;
    return 'ready';
  }

  /** Resolves when the order is in force, or the process is dead. */
  async arm(arming: Arming): Promise<void> {
    const armed = this.#message('armed');
    this.#tell({ type: 'arm', arming });
    await Promise.race([armed, this.death]);
  }

  kill(): Promise<Death> {
    this.#child.kill('SIGKILL');
    return this.death;
  }

  /** The kernel goes on taking connections and bytes for it. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  #tell(message: ToChild): void {
    this.#child.send(message);
  }

  #message(type: FromChild['type']): Promise<FromChild> {
    return new Promise((resolve) => {
      const onMessage = (message: FromChild): void => {
        if (message.type !== type) return;
        this.#child.off('message', onMessage);
        resolve(message);
      };
      this.#child.on('message', onMessage);
    });
  }
}

function readMarker(path: string): Marker | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Marker) : undefined;
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { ChildOrder, FromChild, Recovery, ToChild } from './child.ts';
import type { Arming, Marker } from './kill-point.ts';

export interface SpawnOptions {
  /** The child's program. */
  readonly entry: string;
  readonly directory: string;
  readonly markerPath: string;
  readonly logPath: string;
  readonly arming?: Arming;
}

export interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it wrote down, if it killed itself. */
  readonly marker: Marker | undefined;
}

/** A service in a process of its own. *Starting* → *ready*; from both → *dead*, by a kill of ours or of its own, or by a failure. */
export class ServiceProcess {
  readonly death: Promise<Death>;
  readonly #child: ChildProcess;
  #ready: Extract<FromChild, { type: 'ready' }> | undefined;

  constructor({ entry, logPath, ...order }: SpawnOptions) {
    rmSync(order.markerPath, { force: true });
    const log = openSync(logPath, 'a');
    const { directory, markerPath, arming } = order;
    const given: ChildOrder = { directory, markerPath, ...(arming === undefined ? {} : { arming }) };
    this.#child = spawn(process.execPath, ['--conditions=semel-source', entry, JSON.stringify(given)], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.death = once(this.#child, 'exit').then(() => ({
      code: this.#child.exitCode,
      signal: this.#child.signalCode,
      marker: readMarker(markerPath),
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
    return this.#facts.recovery;
  }

  get #facts(): Extract<FromChild, { type: 'ready' }> {
    if (this.#ready === undefined) throw new Error('assertion failed: only a service that is ready is asked');
    return this.#ready;
  }

  /** Resolves with its death where it dies before it serves. */
  async started(): Promise<'ready' | Death> {
    const message = await Promise.race([this.#message('ready'), this.death]);
    if (!('type' in message)) return message;
    if (message.type === 'ready') this.#ready = message;
    return 'ready';
  }

  /** Resolves when the order is in force, or the process is dead. */
  async arm(arming: Arming): Promise<void> {
    const order: ToChild = { type: 'arm', arming };
    const armed = this.#message('armed');
    this.#child.send(order);
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

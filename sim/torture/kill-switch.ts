import { writeFileSync } from 'node:fs';
import type { Arming, KillPoint, Marker } from './kill-point.ts';

/** Kills this very process, as `kill -9` would, at the point for which it is armed. Unarmed it does nothing. */
export class KillSwitch {
  readonly #markerPath: string;
  #arming: Arming | undefined;
  #passed = 0;

  constructor(markerPath: string, arming?: Arming) {
    this.#markerPath = markerPath;
    this.#arming = arming;
  }

  arm(arming: Arming): void {
    this.#arming = arming;
    this.#passed = 0;
  }

  isArmedFor(point: KillPoint): boolean {
    return this.#arming?.point === point;
  }

  /** Passes a point, and tells whether the process has to die here. */
  strikes(point: KillPoint): boolean {
    if (this.#arming?.point !== point) return false;
    this.#passed += 1;
    return this.#passed === this.#arming.hit;
  }

  pass(point: KillPoint, facts: Facts = {}): void {
    if (this.strikes(point)) this.die(point, facts);
  }

  /** Does not return: the kernel delivers the signal before the call is back. */
  die(point: KillPoint, facts: Facts = {}): void {
    const marker: Marker = { point, hit: this.#passed, pid: process.pid, ...facts };
    // Synchronous: when the process is dead, the words are in the kernel's hands.
    writeFileSync(this.#markerPath, JSON.stringify(marker));
    process.kill(process.pid, 'SIGKILL');
  }
}

type Facts = Pick<Marker, 'operation' | 'step'>;

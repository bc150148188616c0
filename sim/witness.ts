import { check } from './check-failed.ts';
import type { Witness } from './client.ts';

/**
 * What holds of everything that leaves the store, over all of its lives: its clock never goes back, whatever the wall's does; and
 * no version comes twice.
 */
export class RunWitness implements Witness {
  readonly #versions = new Set<string>();
  /** The newest time that is known to be in the log. */
  #durable = 0;
  /** The newest that anybody was told in this life. */
  #told = 0;

  /** What only readers saw of the time is forgotten with the process. */
  restarted(): void {
    this.#told = this.#durable;
  }

  version(version: string): void {
    check(!this.#versions.has(version), 'no version comes twice', () => `${version} does`);
    this.#versions.add(version);
  }

  began(): { readonly now: number } {
    return { now: this.#told };
  }

  saw(now: number, began: { readonly now: number }): void {
    check(now >= began.now, 'the clock of the store never goes back', () => `it was ${began.now}, and is ${now} now`);
  }

  acknowledged(now: number, wrote: boolean): void {
    this.#told = Math.max(this.#told, now);
    if (wrote) this.#durable = Math.max(this.#durable, now);
  }
}

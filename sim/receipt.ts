import type { Effect } from '../src/kv/errors.ts';
import { check } from './check-failed.ts';
import type { Marks } from './marks.ts';

/**
 * What a client knows of its own operations, which it does one after the other, each with a receipt in the same transaction: a
 * number under the client's own key. So what the store has of it is one number, and only the newest can be in doubt.
 */
export class Receipt {
  readonly owner: number;
  readonly #marks: Marks;
  #settled = 0;
  #inDoubt = false;

  constructor(owner: number, marks: Marks) {
    this.owner = owner;
    this.#marks = marks;
  }

  get inDoubt(): boolean {
    return this.#inDoubt;
  }

  /** How things stand just now, for whoever looks at a snapshot that is taken just now. */
  get known(): Known {
    return { settled: this.#settled, inDoubt: this.#inDoubt };
  }

  /** An operation begins; its number is what it must write. */
  begin(): number {
    if (this.#inDoubt) throw new Error('assertion failed: a client does one thing after the other');
    this.#inDoubt = true;
    return this.#settled + 1;
  }

  end(effect: Effect | 'happened'): void {
    if (effect === 'happened') this.#settled += 1;
    this.#inDoubt = effect === 'unknown';
  }

  /** The store was asked when nothing else was going on, so it settles whatever was in doubt. */
  settle(found: number): 'happened' | 'did-not-happen' | undefined {
    this.judge(found, this.known);
    if (!this.#inDoubt) return undefined;
    const effect = found > this.#settled ? 'happened' : 'did-not-happen';
    this.#marks.reach(effect === 'happened' ? 'commit in doubt found' : 'commit in doubt gone');
    this.end(effect);
    return effect;
  }

  judge(found: number, { settled, inDoubt }: Known): void {
    const facts = (): string =>
      `of client ${this.owner} operation ${found} is the newest, of which ${settled} were acknowledged` +
      (inDoubt ? ' and one is in doubt' : '');
    check(found >= settled, 'what was acknowledged is there', facts);
    check(found <= settled + (inDoubt ? 1 : 0), 'what did not happen is not there', facts);
  }

  /** Of what a torn end had, nothing need be there; but nothing may be there that never was. */
  judgeCutOff(found: number, mayLose: number): void {
    const { settled } = this.known;
    const facts = (): string =>
      `of client ${this.owner} operation ${found} is the newest, ${settled} were acknowledged`;
    check(found >= settled - mayLose, 'no more is cut off than a torn end', facts);
    check(found <= settled + 1, 'nothing is made up', () => `client ${this.owner} never did operation ${found}`);
  }
}

export interface Known {
  readonly settled: number;
  readonly inDoubt: boolean;
}

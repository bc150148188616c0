import { listSteps } from './list-reads.ts';
import type { ListElement, RecordedTransaction } from './transaction-history.ts';

/**
 * Who read a list and then appended to it, by key and by what the list ended in when they read it (`undefined`: it was
 * empty). Two of one group have both changed the same state.
 */
export class ReadModifyWrites {
  readonly groups = new Map<string, Map<ListElement | undefined, number[]>>();
  readonly #bases = new Map<number, Map<string, ListElement | undefined>>();

  constructor(transactions: readonly RecordedTransaction[], tookEffect: readonly boolean[]) {
    for (const [index, transaction] of transactions.entries()) {
      if (tookEffect[index] !== true) continue;
      const bases = basesOf(transaction);
      if (bases.size > 0) this.#bases.set(index, bases);
      for (const [key, base] of bases) {
        const ofKey = this.groups.get(key) ?? new Map<ListElement | undefined, number[]>();
        this.groups.set(key, ofKey);
        const group = ofKey.get(base) ?? [];
        ofKey.set(base, group);
        group.push(index);
      }
    }
  }

  areRivals(key: string, one: number, other: number): boolean {
    return one !== other && this.#rivals(key, one).includes(other);
  }

  hasRival(key: string, index: number): boolean {
    return this.#rivals(key, index).length > 1;
  }

  #rivals(key: string, index: number): readonly number[] {
    const bases = this.#bases.get(index);
    return bases?.has(key) === true ? (this.groups.get(key)?.get(bases.get(key)) ?? []) : [];
  }
}

function basesOf(transaction: RecordedTransaction): Map<string, ListElement | undefined> {
  const reads = new Map<string, ListElement | undefined>();
  const bases = new Map<string, ListElement | undefined>();
  const appended = new Set<string>();
  for (const step of listSteps(transaction)) {
    const { key } = step;
    if (!('appended' in step)) {
      reads.set(key, step.elements.at(-1));
      continue;
    }
    if (reads.has(key) && !appended.has(key)) bases.set(key, reads.get(key));
    appended.add(key);
  }
  return bases;
}

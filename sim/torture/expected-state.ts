import { isDeepStrictEqual } from 'node:util';
import type { Operation } from './operation.ts';
import { accounts, effectCounter, openingBalance } from './operation.ts';
import { demand } from './violation.ts';

export interface StoredEntry {
  readonly key: string;
  readonly value: unknown;
  readonly version: string;
}

interface ExpectedEntry {
  readonly value: unknown;
  /** `undefined` for a sum, to which many operations add. */
  readonly version: string | undefined;
}

/** What the store must hold, entry by entry, if each operation whose answer says so took effect once and nothing else did. */
export class ExpectedState {
  readonly #entries = new Map<string, ExpectedEntry>();
  #effects = 0;

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** `version` is what the operation's answer told. */
  apply({ effect }: Operation, version: string | undefined): void {
    for (const { key, value } of effect.sets) this.#entries.set(key, { value, version });
    for (const key of effect.deletes) this.#entries.delete(key);
    for (const { key, by } of effect.adds) {
      const before = this.#entries.get(key)?.value ?? 0;
      this.#entries.set(key, { value: Number(before) + by, version: undefined });
      if (key === effectCounter) this.#effects += by;
    }
  }

  /** The found entries are of one snapshot, taken while nothing was in flight. */
  compare(found: readonly StoredEntry[]): void {
    const rest = new Map(this.#entries);
    for (const { key, value, version } of found) {
      const expected = rest.get(key);
      rest.delete(key);
      const owner = operationOf(key);
      demand(expected !== undefined, 'nothing else takes effect', `${key} is there and nobody made it`, owner);
      const isSame = isDeepStrictEqual(value, expected.value);
      const words = `${key} is ${JSON.stringify(value)}, expected ${JSON.stringify(expected.value)}`;
      demand(isSame, 'each effect is there exactly once', words, owner);
      const versions = `${key} has version ${version}, its operation answered ${String(expected.version)}`;
      const isVersion = expected.version === undefined || expected.version === version;
      demand(isVersion, 'a key was written by the execution that was answered', versions, owner);
    }
    for (const key of rest.keys()) {
      demand(false, 'each effect is there exactly once', `${key} is not there`, operationOf(key));
    }
    compareSums(found, this.#effects);
  }
}

/** Stated on its own, though it follows from the entries: it is what a bank would look at. */
function compareSums(found: readonly StoredEntry[], effects: number): void {
  const balances = found.filter(({ key }) => accounts.includes(key)).map(({ value }) => Number(value));
  const sum = balances.reduce((total, balance) => total + balance, 0);
  const total = accounts.length * openingBalance;
  demand(sum === total, 'balances add up', `the accounts hold ${sum}, they were given ${total}`);
  demand(
    balances.every((balance) => balance >= 0),
    'no bound is passed',
    `an account is below 0 among ${balances.join(', ')}`,
  );
  const counted = Number(found.find(({ key }) => key === effectCounter)?.value ?? 0);
  demand(counted === effects, 'the counter counts the effects', `it says ${counted}, the journal ${effects}`);
}

function operationOf(key: string): string | undefined {
  return /^op\/(.+)$/.exec(key)?.[1];
}

/**
 * Rare paths, each of which a simulation must have taken to be worth anything (FoundationDB's `CODE_PROBE`). They are observed
 * from outside: the store's events, what reaches the disk, the codes of errors, what a recovery says of itself.
 */
export const markNames = [
  'answered: aborted',
  'answered: commit-unknown',
  'answered: conflict',
  'answered: deadline-exceeded',
  'answered: poisoned',
  'answered: store-closed',
  'backup restored',
  'checkpoint failed',
  'checkpoint written',
  'closed with calls under way',
  'commit in doubt found',
  'commit in doubt gone',
  'conflict retried',
  'deadlock broken',
  'group of several commits',
  'lock not granted in time',
  'lost mark written again',
  'opening failed and came right',
  'operation coalesced',
  'operation expired',
  'operation replayed after a restart',
  'opened from a checkpoint',
  'opened twice with the same content',
  'poisoned by a failed sync',
  'poisoned by a failed write',
  'poisoned by a full disk',
  'power cut during the opening',
  'power cut under load',
  'rot hidden in what was not durable or not used',
  'rot refused',
  'torn tail kept aside',
  'unfinished segment removed',
  'unsure bytes written again',
  'visible commit lost',
  'wall clock set back',
] as const;

export type MarkName = (typeof markNames)[number];

export class Marks {
  readonly #counts = new Map<MarkName, number>();

  reach(name: MarkName): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  count(name: MarkName): number {
    return this.#counts.get(name) ?? 0;
  }

  addAll(counts: Readonly<Record<string, number>>): void {
    for (const name of markNames) this.#counts.set(name, this.count(name) + (counts[name] ?? 0));
  }

  toJSON(): Readonly<Record<string, number>> {
    return Object.fromEntries(markNames.map((name) => [name, this.count(name)]));
  }

  get missing(): readonly MarkName[] {
    return markNames.filter((name) => this.count(name) === 0);
  }
}

import type { Seeded } from '../check/seeded.ts';
import type { SimulatedContent } from './simulated-content.ts';
import { survivors } from './survivors.ts';
import { systemError } from './system-error.ts';

export type DirectoryChange =
  | { readonly kind: 'create'; readonly name: string; readonly content: SimulatedContent }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly content: SimulatedContent }
  | { readonly kind: 'remove'; readonly name: string };

/** Names of files, in two planes as the files are. */
export class SimulatedDirectory {
  readonly #live = new Map<string, SimulatedContent>();
  readonly #durable: Map<string, SimulatedContent>;
  #unsynced: readonly DirectoryChange[] = [];

  constructor(files: Iterable<readonly [string, SimulatedContent]>) {
    for (const [name, content] of files) this.#live.set(name, content);
    this.#durable = new Map(this.#live);
  }

  get names(): readonly string[] {
    return [...this.#live.keys()];
  }

  get contents(): readonly SimulatedContent[] {
    return [...this.#live.values()];
  }

  has(name: string): boolean {
    return this.#live.has(name);
  }

  find(name: string): SimulatedContent {
    const content = this.#live.get(name);
    if (content === undefined) throw systemError('ENOENT', `${name} does not exist`);
    return content;
  }

  apply(change: DirectoryChange): void {
    applyTo(this.#live, change);
    this.#unsynced = [...this.#unsynced, change];
  }

  startSync(): () => void {
    const carried = this.#unsynced;
    return () => {
      for (const change of carried) applyTo(this.#durable, change);
      this.#unsynced = this.#unsynced.filter((change) => !carried.includes(change));
    };
  }

  afterPowerCut(random: Seeded): SimulatedDirectory {
    const names = new Map(this.#durable);
    for (const change of survivors(this.#unsynced, random)) applyTo(names, change);
    return new SimulatedDirectory([...names].map(([name, content]) => [name, content.afterPowerCut(random)]));
  }
}

function applyTo(names: Map<string, SimulatedContent>, change: DirectoryChange): void {
  switch (change.kind) {
    case 'create':
      names.set(change.name, change.content);
      break;
    case 'rename': {
      // The creation of this name did not survive, so its renaming cannot; and another file of that name is not the one that was renamed.
      if (names.get(change.from) !== change.content) break;
      names.delete(change.from);
      names.set(change.to, change.content);
      break;
    }
    case 'remove':
      names.delete(change.name);
      break;
  }
}

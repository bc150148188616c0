/**
 * The table "Who may import whom" of ARCHITECTURE.md, read as it is printed.
 *
 * A unit is what a row speaks of: a folder of `src` (`kv`), one thing in a starred folder (`layers/outbox`, be it a
 * file or a folder), or a folder beside `src` (`service`).
 */
export interface ImportTable {
  /** What the rows let a unit import, in their words; `undefined` where no row names it. */
  allowedFor(unit: string): readonly string[] | undefined;
}

/** Every file of `src` is in one of its units. */
export const everyUnitOfSrc = 'src';
/** The published doors. */
export const doors = 'semel/*';

const heading = /^\| folder \| may import \|\n\| --- \| --- \|\n((?:\|.*\|\n)+)/m;
const row = /^\| `([^`]+)` \| (nothing of ours|`[^`]+`(?:, `[^`]+`)*) \|$/;

export function readImportTable(markdown: string): ImportTable {
  const body = heading.exec(markdown)?.[1];
  if (body === undefined) throw new Error('no table "| folder | may import |" in ARCHITECTURE.md');
  const rows = body.trimEnd().split('\n').map(readRow);
  return {
    allowedFor(unit) {
      const matching = rows.filter(({ folder }) => includes(folder, unit));
      return matching.length === 0 ? undefined : matching.flatMap(({ mayImport }) => mayImport);
    },
  };
}

/** Whether `imported`, a unit or a door's specifier, is among what the rows allow. */
export function isAllowed(allowed: readonly string[], imported: string, inSrc: boolean): boolean {
  return allowed.some((pattern) => (pattern === everyUnitOfSrc ? inSrc : includes(pattern, imported)));
}

function readRow(line: string): { folder: string; mayImport: readonly string[] } {
  const [, folder, words] = row.exec(line) ?? [];
  if (folder === undefined || words === undefined) {
    throw new Error(`the import table has a row that says neither names in backticks nor "nothing of ours": ${line}`);
  }
  return { folder, mayImport: [...words.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => name ?? []) };
}

/** `layers` includes `layers/outbox`, and so does `layers/*`. */
function includes(pattern: string, unit: string): boolean {
  const folder = pattern.replace(/\/\*$/, '');
  return unit === folder ? !pattern.endsWith('/*') || pattern === doors : unit.startsWith(`${folder}/`);
}

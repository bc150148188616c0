import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readImportTable, type ImportTable } from './import-table.ts';
import { parseSource, type SourceFile } from './source-file.ts';

/** All that the tidiness rules look at. */
export interface House {
  readonly files: readonly SourceFile[];
  readonly table: ImportTable;
  /** From the specifier of a published door to the file behind it. */
  readonly doors: ReadonlyMap<string, string>;
  /** The packages that a user of the library gets with it, or brings. */
  readonly packages: ReadonlySet<string>;
}

const sources = ['{src,sim,bench,examples,scripts}/**/*.ts', 'service/src/**/*.ts'];

export function readHouse(root: string): House {
  const paths = sources
    .flatMap((pattern) => globSync(pattern, { cwd: root, exclude: ['**/node_modules/**'] }))
    .map((path) => path.replaceAll('\\', '/'));
  const files = paths.toSorted().map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
  const manifest: Manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return assembleHouse(files, readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'), manifest);
}

/** The parts of package.json that count here. */
export interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export function assembleHouse(files: readonly SourceFile[], architecture: string, manifest: Manifest): House {
  const doors = new Map<string, string>();
  for (const [door, target] of Object.entries(manifest.exports)) {
    const source = typeof target === 'string' ? target : target['semel-source'];
    if (source !== undefined) doors.set(door.replace(/^\./, manifest.name), source.replace(/^\.\//, ''));
  }
  const packages = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
  return { files, table: readImportTable(architecture), doors, packages };
}

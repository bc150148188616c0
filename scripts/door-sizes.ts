import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import type { Manifest } from './house.ts';

export interface DoorSize {
  /** Of the bundle of all that is behind the door, minified and compressed by gzip. */
  readonly bytes: number;
  /** What the bundle still imports at run time, packages alone. */
  readonly imports: readonly string[];
}

/** How much each door costs its user, by its specifier. */
export async function doorSizes(repository: string): Promise<ReadonlyMap<string, DoorSize>> {
  const manifest: Manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'));
  const sizes = Object.entries(manifest.exports).flatMap(([door, target]) => {
    const source = typeof target === 'string' ? undefined : target['semel-source'];
    if (source === undefined) return [];
    const specifier = posix.join(manifest.name, door);
    return [doorSize(join(repository, source), external(manifest)).then((size) => [specifier, size] as const)];
  });
  return new Map(await Promise.all(sizes));
}

/** What users bring themselves, and the one dependency that is native and cannot be bundled. */
function external({ peerDependencies = {} }: Manifest): readonly string[] {
  return [...Object.keys(peerDependencies), 'fs-native-extensions'];
}

async function doorSize(input: string, packages: readonly string[]): Promise<DoorSize> {
  const bundle = await rolldown({
    input,
    platform: 'node',
    external: (id) => packages.some((name) => id === name || id.startsWith(`${name}/`)),
  });
  try {
    const { output } = await bundle.generate({ format: 'esm', minify: true });
    const chunks = output.filter((file) => file.type === 'chunk');
    const own = new Set(chunks.map(({ fileName }) => fileName));
    const imports = chunks
      .flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports])
      .filter((name) => !own.has(name) && !name.startsWith('node:'));
    return {
      bytes: chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0),
      imports: [...new Set(imports)].toSorted(),
    };
  } finally {
    await bundle.close();
  }
}

import type { Mutant } from './mutant.ts';

/** The source with its line made wrong. @throws where the line does not stand there, once */
export function applyMutant({ name, file, line, becomes }: Mutant, source: string): string {
  const pattern = new RegExp(`^([ ]*)${line.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')}$`, 'gm');
  const count = [...source.matchAll(pattern)].length;
  if (count !== 1) {
    throw new Error(
      `${name}: ${file} has the line ${count} times, expected once; look for what became of it:\n  ${line}`,
    );
  }
  return source.replace(pattern, (_, indentation: string) => `${indentation}${becomes}`);
}

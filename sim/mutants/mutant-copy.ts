import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyMutant } from './apply-mutant.ts';
import type { Mutant } from './mutant.ts';

const repository = join(import.meta.dirname, '..', '..');

/** A copy of the source in a directory of its own, made wrong. The source itself is never touched. */
export class MutantCopy {
  readonly #directory = mkdtempSync(join(tmpdir(), 'semel-mutant-'));

  constructor(mutant: Mutant) {
    for (const part of ['src', 'sim', 'package.json']) {
      cpSync(join(repository, part), join(this.#directory, part), { recursive: true });
    }
    symlinkSync(join(repository, 'node_modules'), join(this.#directory, 'node_modules'));
    const file = join(this.#directory, 'src', mutant.file);
    writeFileSync(file, applyMutant(mutant, readFileSync(file, 'utf8')));
  }

  /** What `npm run sim` prints there. */
  simulate(argv: readonly string[], timeoutMs: number): string {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--conditions=semel-source', 'sim/main.ts', ...argv],
      {
        cwd: this.#directory,
        encoding: 'utf8',
        timeout: timeoutMs,
        maxBuffer: 2 ** 28,
      },
    );
    if (status !== 0 && status !== 1)
      throw new Error(`the simulation did not come to its end: ${stderr.slice(-2_000)}`);
    return stdout;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

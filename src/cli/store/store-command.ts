import { parseArgs } from 'node:util';
import type { Terminal } from '../terminal.ts';

export type ExitCode = 0 | 1 | 2 | 3;

/** A command on the directory of a store: `semel NAME DIR`, words and options. */
export interface StoreCommand {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly purpose: string;
  readonly usage: string;
  /** What may follow the directory. */
  readonly wordsMax: number;
  readonly options: Readonly<Record<string, 'string' | 'boolean'>>;
  /** @throws CannotRunError */
  run(asked: Asked, terminal: Terminal): Promise<ExitCode>;
}

export interface Asked {
  readonly directory: string;
  readonly words: readonly string[];
  /** What an option was given. */
  readonly options: Readonly<Record<string, string | undefined>>;
  readonly flags: ReadonlySet<string>;
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
}

/** It cannot be done as it was asked. The message says why, and what would help; nothing was changed. */
export class CannotRunError extends Error {}

/** Exit codes are the command's; 2 where it could not run. */
export async function runStoreCommand(
  command: StoreCommand,
  words: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  const controller = new AbortController();
  try {
    const asked = readWords(command, words);
    if (asked === 'help') {
      terminal.print(command.usage);
      return 0;
    }
    const ignoreInterrupts = terminal.onInterrupt(() => controller.abort());
    try {
      return await command.run({ ...asked, signal: controller.signal }, terminal);
    } finally {
      ignoreInterrupts();
    }
  } catch (error) {
    if (!(error instanceof CannotRunError)) throw error;
    terminal.tell(`semel ${command.name}: ${error.message}\nsemel ${command.name} --help says more\n`);
    return 2;
  }
}

function readWords(
  { options: kinds, wordsMax }: StoreCommand,
  given: readonly string[],
): Omit<Asked, 'signal'> | 'help' {
  const types = Object.entries({ ...kinds, help: 'boolean' as const }).map(([name, type]) => [name, { type }] as const);
  const { values, positionals } = parse(given, Object.fromEntries(types));
  if (values['help'] === true) return 'help';
  const [directory, ...words] = positionals;
  if (directory === undefined || directory === '') throw new CannotRunError('which directory?');
  const surplus = words[wordsMax];
  if (surplus !== undefined) throw new CannotRunError(`what is ${JSON.stringify(surplus)}?`);
  const texts = Object.entries(values).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []));
  const flags = new Set(Object.keys(values).filter((name) => values[name] === true));
  return { directory, words, options: Object.fromEntries(texts), flags };
}

type Parsed = ReturnType<
  typeof parseArgs<{ options: Record<string, { type: 'string' | 'boolean' }>; allowPositionals: true }>
>;

function parse(args: readonly string[], options: Record<string, { type: 'string' | 'boolean' }>): Parsed {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new CannotRunError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

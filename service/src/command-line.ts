import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type ApiKeyEntry, readApiKeysFile, tenantFault } from './api-keys.ts';
import { type DataPlace, postgresUrlFault, withoutPasswords } from './data-place.ts';
import { isLoopback } from './loopback.ts';

export interface ServiceConfig {
  readonly place: DataPlace;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Undefined: no keys are configured, and every caller is tenant `default`. */
  readonly apiKeys: readonly ApiKeyEntry[] | undefined;
  readonly logLevel: LogLevel;
}

export type LogLevel = (typeof logLevels)[number];

export type CommandLineOutcome =
  | { readonly outcome: 'serve'; readonly config: ServiceConfig }
  | { readonly outcome: 'make-api-key'; readonly tenant: string }
  /** Help was asked for, or something was refused by name; `text` says it. */
  | { readonly outcome: 'exit'; readonly exitCode: 0 | 2; readonly text: string };

const logLevels = ['error', 'info', 'debug'] as const;

/** What the arguments and the environment ask for. Flags win over the environment. */
export function parseCommandLine(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandLineOutcome {
  let text = '';
  let asked: CommandLineOutcome | undefined;
  const write = (part: string): void => void (text += part);
  const program = serveCommand((config) => (asked = { outcome: 'serve', config }))
    .addCommand(apiKeyCommand((tenant) => (asked = { outcome: 'make-api-key', tenant })))
    .helpCommand(false);
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeOut: write, writeErr: write });
  }
  try {
    withEnvironment(environment, () => program.parse(argv, { from: 'user' }));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { outcome: 'exit', exitCode: error.exitCode === 0 ? 0 : 2, text: withoutPasswords(text) };
  }
  if (asked === undefined) throw new Error('assertion failed: a parsed command line asks for something');
  return asked;
}

function serveCommand(found: (config: ServiceConfig) => void): Command {
  const command = new Command('semel');
  return command
    .description(
      'A database over HTTP whose operations take effect once: in memory and durable on disk, or in PostgreSQL.',
    )
    .addOption(
      new Option(
        '--data <dir>',
        `the directory of the log; made if it is not there (default: "${directoryDefault}")`,
      ).env('SEMEL_DATA'),
    )
    .addOption(
      new Option(
        '--postgres <url>',
        'the PostgreSQL database of the data, instead of a directory; its schema is migrated',
      )
        .env('SEMEL_POSTGRES')
        .conflicts('data'),
    )
    .addOption(
      new Option('--schema <name>', `the schema in that database (default: "${schemaDefault}")`).env('SEMEL_SCHEMA'),
    )
    .addOption(
      new Option('--port <n>', 'the port to listen on; 0 lets the system choose')
        .env('SEMEL_PORT')
        .default(4600)
        .argParser(parsePort),
    )
    .addOption(
      new Option('--host <host>', 'the address to listen on; any but a loopback address needs --api-keys')
        .env('SEMEL_HOST')
        .default('127.0.0.1')
        .argParser(parseHost),
    )
    .addOption(
      new Option('--api-keys <file>', 'a JSON array of { "tenant", "sha256" }; then every request needs a key')
        .env('SEMEL_API_KEYS')
        .argParser(parseApiKeys),
    )
    .addOption(
      new Option('--log-level <level>', 'how much is logged, as JSON lines on standard error')
        .env('SEMEL_LOG_LEVEL')
        .choices(logLevels)
        .default('info'),
    )
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      '\nFlags win over the environment. Once it serves, standard output has one line with the address.',
    )
    .action((options: ServeOptions) => {
      const refuse = (words: string): never => command.error(`error: ${words}`);
      if (options.apiKeys === undefined && !isLoopback(options.host)) {
        refuse(
          `option '--host <host>' value '${options.host}' is refused: without --api-keys anyone who can reach it ` +
            'could read and write everything',
        );
      }
      found({
        place: placeOf(options, refuse),
        host: options.host,
        port: options.port,
        apiKeys: options.apiKeys,
        logLevel: options.logLevel,
      });
    });
}

interface ServeOptions {
  readonly data?: string;
  readonly postgres?: string;
  readonly schema?: string;
  readonly host: string;
  readonly port: number;
  readonly apiKeys?: readonly ApiKeyEntry[];
  readonly logLevel: LogLevel;
}

const directoryDefault = './data';
const schemaDefault = 'semel';

/** An address is refused without being quoted: it holds a password. */
function placeOf({ data, postgres, schema }: ServeOptions, refuse: (words: string) => never): DataPlace {
  if (postgres === undefined) {
    if (schema !== undefined) refuse("option '--schema <name>' is of a database: it needs --postgres <url>");
    return { engine: 'embedded', directory: resolve(data ?? directoryDefault) };
  }
  const fault = postgresUrlFault(postgres);
  if (fault !== undefined) refuse(`option '--postgres <url>' is refused: ${fault}`);
  return { engine: 'postgres', url: postgres, schema: schema ?? schemaDefault };
}

function apiKeyCommand(found: (tenant: string) => void): Command {
  return new Command('api-key')
    .description('make an API key: prints the key, once, and its entry for the file of --api-keys')
    .addOption(new Option('--tenant <name>', 'whose key it is').makeOptionMandatory().argParser(parseTenant))
    .allowExcessArguments(false)
    .action(({ tenant }: { readonly tenant: string }) => found(tenant));
}

function parsePort(given: string): number {
  const port = Number(given);
  if (!/^[0-9]{1,5}$/.test(given) || port > 65_535)
    throw new InvalidArgumentError('Expected a number from 0 to 65535.');
  return port;
}

function parseHost(given: string): string {
  if (given === '') throw new InvalidArgumentError('Expected a host name or an address.');
  return given;
}

function parseApiKeys(given: string): readonly ApiKeyEntry[] {
  try {
    return readApiKeysFile(given);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function parseTenant(given: string): string {
  const fault = tenantFault(given);
  if (fault !== undefined) throw new InvalidArgumentError(fault);
  return given;
}

/** Commander reads `process.env` itself; a test gives an environment of its own. */
function withEnvironment(environment: Readonly<Record<string, string | undefined>>, act: () => void): void {
  const before = process.env;
  process.env = environment;
  try {
    act();
  } finally {
    process.env = before;
  }
}

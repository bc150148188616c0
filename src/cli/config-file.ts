import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InvalidInputError } from '../check/check.ts';
import type { CheckWords, Options } from './check-arguments.ts';
import { effectOptions } from './effect-arguments.ts';

export const configFileName = 'semel-check.json';

/** What a config file has: the URL and options, and perhaps the request itself. */
export interface Config extends CheckWords {
  readonly path: string;
  /** Nobody named it: it was in the directory, whoever has put it there. */
  readonly isFound: boolean;
  /** The request, where it is not a file of its own. */
  readonly request: unknown;
}

export type Variables = Readonly<Record<string, string | undefined>>;

interface Kind {
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
  /** Its values are not repeated in errors. */
  readonly isSecret?: true;
}

const text: Kind = { expected: 'a string', fits: (value) => typeof value === 'string' };
const names: Kind = {
  expected: 'a list of names',
  fits: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
};
const headers: Kind = {
  expected: 'an object of strings, by the names of fields',
  fits: (value) =>
    isObject(value) &&
    Object.entries(value).every(([name, one]) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && typeof one === 'string'),
  isSecret: true,
};
const flag: Kind = { expected: 'true or false', fits: (value) => typeof value === 'boolean' };
const seconds: Kind = {
  expected: 'a number of seconds from 0.001 to 99999',
  fits: (value) => typeof value === 'number' && value >= 0.001 && value <= 99_999,
};

function whole(min: number): Kind {
  const max = 2 ** 32 - 1;
  const fits = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  return { expected: `a whole number from ${min} to ${max}`, fits };
}

/** As docs/semel-check.schema.json has them, too. */
const members: Readonly<Record<string, Kind>> = {
  $schema: text,
  url: text,
  request: {
    expected: 'the name of a file, or the request',
    fits: (value) => typeof value === 'string' || isObject(value),
    isSecret: true,
  },
  effect: text,
  path: text,
  header: headers,
  'effect-header': headers,
  'effect-sql': text,
  database: { ...text, isSecret: true },
  'effect-webhook': text,
  'webhook-id': text,
  'other-tenant': headers,
  'key-header': text,
  profile: text,
  restart: text,
  pid: text,
  lifetime: text,
  only: names,
  skip: names,
  seed: whole(0),
  rate: whole(1),
  concurrency: whole(1),
  patience: seconds,
  answer: seconds,
  quiet: seconds,
  settle: seconds,
  startup: seconds,
  kills: whole(1),
  late: seconds,
  'lifetime-max': seconds,
  json: text,
  junit: text,
  yes: flag,
};

export const configNames = Object.keys(members);

/**
 * Reads the options of a file. Files that it names are found from where it is; `${NAME}` in a value of a header, and in the database, is
 * a variable of the environment, so that the file itself holds no secret.
 *
 * @throws InvalidInputError that names the member, what it is, and what was expected
 */
export async function readConfigFile(path: string, variables: Variables): Promise<Config> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    throw new InvalidInputError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return readConfig(content, path, variables);
}

/** @throws InvalidInputError */
export function readConfig(content: string, path: string, variables: Variables): Config {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch {
    throw new InvalidInputError(`${path} is not JSON`);
  }
  if (!isObject(document)) throw new InvalidInputError(`${path} is not a JSON object`);
  for (const [name, value] of Object.entries(document)) assertMember(name, value, path);
  const { $schema: _, url, request, ...given } = document;
  const beside = (file: string): string => resolve(dirname(path), file);
  const expand = (value: string, name: string): string => expandVariables(value, `"${name}" of ${path}`, variables);
  const options = Object.entries(given).map(([name, value]) => {
    if (name === 'json' || name === 'junit') return [name, beside(String(value))];
    if (name === 'pid' && !/^\d+$/.test(String(value))) return [name, beside(String(value))];
    if (name === 'database') return [name, besideSqlite(expand(String(value), name), beside)];
    if (typeof value === 'number') return [name, String(value)];
    if (!isObject(value)) return [name, value];
    return [name, Object.entries(value).map(([field, one]) => `${field}: ${expand(String(one), name)}`)];
  });
  return {
    path,
    isFound: false,
    url: url as string | undefined,
    request: isObject(request) ? expandHeaders(request, expand) : undefined,
    options: {
      ...(Object.fromEntries(options) as Options),
      ...(typeof request === 'string' ? { request: beside(request) } : {}),
    },
  };
}

/** A file that was merely found allows nothing: its `yes` is nobody's. */
export function withoutConsent(config: Config): Config {
  const { yes: _, ...options } = config.options;
  return { ...config, isFound: true, options };
}

/** Words win: the whole of an option, of headers each by its name, and of counts the one that they choose. */
export function overrideByWords(config: CheckWords, words: CheckWords): CheckWords {
  const isTyped = (name: keyof Options): boolean => words.options[name] !== undefined;
  const isCountTyped = effectOptions.flat().some(isTyped);
  const dropped = effectOptions.filter((names) => isCountTyped && !names.some(isTyped)).flat();
  const kept = Object.entries(config.options).filter(([name]) => !dropped.some((other) => other === name));
  const given: Options = Object.fromEntries(kept);
  const both = (name: 'header' | 'effect-header' | 'other-tenant') => {
    const headers = [...(given[name] ?? []), ...(words.options[name] ?? [])];
    return headers.length === 0 ? {} : { [name]: headers };
  };
  return {
    url: words.url ?? config.url,
    options: { ...given, ...words.options, ...both('header'), ...both('effect-header'), ...both('other-tenant') },
  };
}

function assertMember(name: string, value: unknown, path: string): void {
  const kind = Object.hasOwn(members, name) ? members[name] : undefined;
  if (kind === undefined) throw new InvalidInputError(`${path} has ${name}; it can have ${configNames.join(', ')}`);
  if (kind.fits(value)) return;
  const found = kind.isSecret ? 'is something else' : `is ${JSON.stringify(value).slice(0, 80)}`;
  throw new InvalidInputError(`"${name}" of ${path} ${found}; ${kind.expected} is expected`);
}

function expandVariables(value: string, where: string, variables: Variables): string {
  return value.replaceAll(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => {
    const found = variables[name];
    if (found === undefined) throw new InvalidInputError(`${where} needs ${name}, which is not in the environment`);
    return found;
  });
}

/** In the headers of a request, and of those that differ from it; never in what is sent. */
function expandHeaders(request: unknown, expand: (value: string, name: string) => string): unknown {
  if (Array.isArray(request)) return request.map((one: unknown) => expandHeaders(one, expand));
  if (!isObject(request)) return request;
  const expanded = { ...request };
  for (const name of ['otherEndpoint', 'failing', 'failOnce']) {
    if (request[name] !== undefined) expanded[name] = expandHeaders(request[name], expand);
  }
  const { headers } = request;
  if (isObject(headers)) expanded['headers'] = mapValues(headers, (value) => expandText(value, expand));
  return expanded;
}

function expandText(value: unknown, expand: (value: string, name: string) => string): unknown {
  return typeof value === 'string' ? expand(value, 'request') : value;
}

function mapValues(object: Record<string, unknown>, act: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, act(value)]));
}

function besideSqlite(database: string, beside: (file: string) => string): string {
  return database.startsWith('sqlite:') && database !== 'sqlite:'
    ? `sqlite:${beside(database.slice('sqlite:'.length))}`
    : database;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

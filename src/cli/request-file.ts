import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InvalidInputError, type RequestDescription, type VariationDescription } from '../check/check.ts';

export const requestMembers = [
  'method',
  'headers',
  'body',
  'bodyFile',
  'otherBody',
  'otherBodyFile',
  'otherQuery',
  'otherPath',
  'otherMethod',
  'otherEndpoint',
  'failing',
  'failOnce',
];

/** @throws InvalidInputError for anything but what `semel check --help` says of the file */
export async function readRequestFile(path: string): Promise<RequestDescription> {
  const file = await readOrRefuse(path);
  let document: unknown;
  try {
    document = JSON.parse(file.toString());
  } catch {
    throw new InvalidInputError(`${path} is not JSON`);
  }
  return readRequest(document, path);
}

/** As `readRequestFile`, of a document that is in the file at the path. @throws InvalidInputError */
export async function readRequest(document: unknown, path: string): Promise<RequestDescription> {
  const given = readObject(document, path, requestMembers);
  return {
    ...readString('method', given, path),
    ...readHeaders(given, path),
    ...(await readBody('body', given, path)),
    ...(await readBody('otherBody', given, path)),
    ...readString('otherQuery', given, path),
    ...readString('otherPath', given, path),
    ...readString('otherMethod', given, path),
    ...(await readVariations(given, path)),
  };
}

type Given = Readonly<Record<string, unknown>>;

/** Requests that differ from the one of the file. */
async function readVariations(given: Given, path: string): Promise<Partial<RequestDescription>> {
  const { otherEndpoint, failing, failOnce } = given;
  const read = (value: unknown, name: string): Promise<VariationDescription> => readVariation(value, name, path);
  if (failing !== undefined && !Array.isArray(failing)) throw new InvalidInputError(`"failing" of ${path} is no list`);
  return {
    ...(otherEndpoint === undefined ? {} : { otherEndpoint: await read(otherEndpoint, '"otherEndpoint"') }),
    ...(failing === undefined
      ? {}
      : { failing: await Promise.all(failing.map((one, index) => read(one, `"failing"[${index}]`))) }),
    ...(failOnce === undefined ? {} : { failOnce: readFault(failOnce, path) }),
  };
}

async function readVariation(value: unknown, name: string, path: string): Promise<VariationDescription> {
  const where = `${name} of ${path}`;
  const given = readObject(value, where, ['url', 'method', 'headers', 'body', 'bodyFile']);
  return {
    ...readString('url', given, where),
    ...readString('method', given, where),
    ...readHeaders(given, where),
    ...(await readBody('body', given, path)),
  };
}

function readFault(value: unknown, path: string): NonNullable<RequestDescription['failOnce']> {
  const where = `"failOnce" of ${path}`;
  const { headers } = readHeaders(readObject(value, where, ['headers']), where);
  if (headers === undefined) throw new InvalidInputError(`${where} has no "headers"`);
  return { headers };
}

function readObject(value: unknown, where: string, names: readonly string[]): Given {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError(`${where} is not a JSON object`);
  }
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new InvalidInputError(`${where} has ${unknown}; it can have ${names.join(', ')}`);
  return { ...value };
}

function readString<Name extends string>(
  name: Name,
  given: Given,
  where: string,
): { readonly [name in Name]?: string } {
  const value = given[name];
  if (value === undefined) return {};
  if (typeof value !== 'string') throw new InvalidInputError(`"${name}" of ${where} is no string`);
  return { [name]: value } as { readonly [name in Name]: string };
}

function readHeaders({ headers }: Given, where: string): { readonly headers?: Readonly<Record<string, string>> } {
  if (headers === undefined) return {};
  if (typeof headers === 'object' && headers !== null && !Array.isArray(headers)) {
    const entries = Object.entries(headers);
    if (entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
      return { headers: Object.fromEntries(entries) };
    }
  }
  throw new InvalidInputError(`"headers" of ${where} is no object of strings`);
}

async function readBody(name: 'body' | 'otherBody', bodies: Given, path: string): Promise<Partial<RequestDescription>> {
  const [body, file] = [bodies[name], bodies[`${name}File`]];
  if (file === undefined) return body === undefined ? {} : { [name]: body };
  if (body !== undefined) throw new InvalidInputError(`${path} has both ${name} and ${name}File`);
  if (typeof file !== 'string') throw new InvalidInputError(`"${name}File" of ${path} is no string`);
  // Beside the file that names it, from wherever the command is called.
  const bytes = await readOrRefuse(resolve(dirname(path), file));
  const text = bytes.toString();
  return { [name]: Buffer.from(text).equals(bytes) ? text : bytes };
}

async function readOrRefuse(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new InvalidInputError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

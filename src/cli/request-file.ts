import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InvalidInputError, type RequestDescription } from '../check/check.ts';

export const requestMembers = ['method', 'headers', 'body', 'bodyFile', 'otherBody', 'otherBodyFile'];

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
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new InvalidInputError(`${path} has no object in it`);
  }
  const unknown = Object.keys(document).find((name) => !requestMembers.includes(name));
  if (unknown !== undefined)
    throw new InvalidInputError(`${path} has ${unknown}; it can have ${requestMembers.join(', ')}`);
  const { method, headers, ...bodies }: Record<string, unknown> = { ...document };
  if (method !== undefined && typeof method !== 'string')
    throw new InvalidInputError(`"method" of ${path} is no string`);
  return {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers: readHeaders(headers, path) }),
    ...(await readBody('body', bodies, path)),
    ...(await readBody('otherBody', bodies, path)),
  };
}

function readHeaders(headers: unknown, path: string): Readonly<Record<string, string>> {
  if (typeof headers === 'object' && headers !== null && !Array.isArray(headers)) {
    const entries = Object.entries(headers);
    if (entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
      return Object.fromEntries(entries);
    }
  }
  throw new InvalidInputError(`"headers" of ${path} is no object of strings`);
}

async function readBody(
  name: 'body' | 'otherBody',
  bodies: Readonly<Record<string, unknown>>,
  path: string,
): Promise<Partial<RequestDescription>> {
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

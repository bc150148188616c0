import { InvalidInputError } from '../check-error.ts';

/** What one step takes: a member of an object by its name, an element of an array by its index, from the end if negative. */
export type JsonPath = readonly (string | number)[];

const step =
  /\.([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)|\[(0|-?[1-9]\d*)\]|\['((?:[^'\\]|\\['\\])*)'\]|\["((?:[^"\\]|\\["\\])*)"\]/y;

/**
 * Reads a singular query of RFC 9535, section 2.3.5.1: `$`, and then names (`.total`, `['in total']`) and indexes (`[0]`, `[-1]`). It
 * can name one value at most, and that is all that a count is. Of escapes in quoted names, those of the quote and of the backslash.
 *
 * @throws InvalidInputError for anything else, filters, wildcards, slices and descendants among it
 */
export function parseJsonPath(text: string): JsonPath {
  const refuse = (at: number): never => {
    throw new InvalidInputError(
      `the path ${text} is not understood at character ${at + 1}: a path is $ and then .name, ['name'] or [0], as in $.items[0].count`,
    );
  };
  if (!text.startsWith('$')) refuse(0);
  const path: (string | number)[] = [];
  for (let at = 1; at < text.length; at = step.lastIndex) {
    step.lastIndex = at;
    const found = step.exec(text);
    if (found === null) return refuse(at);
    const [, name, index, single, double] = found;
    if (index !== undefined) path.push(Number(index));
    else path.push(name ?? (single ?? double ?? '').replaceAll(/\\(.)/g, '$1'));
  }
  return path;
}

/** The value at the path; `undefined` where there is none. */
export function valueAt(document: unknown, path: JsonPath): unknown {
  let value = document;
  for (const step of path) {
    if (typeof step === 'number') value = Array.isArray(value) ? value.at(step) : undefined;
    else value = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { isDeepStrictEqual } from 'node:util';
import type { Fence } from './fences.ts';

/**
 * How what was printed differs from what a document shows; `undefined` if it does not. In every language `…` stands for
 * whatever may be there.
 *
 * - `text`: the same lines; white space at the ends does not count.
 * - `json`: an equal value, in whatever layout; `…` inside its strings, or the string `"…"` for any value.
 * - `http`: the status line, then headers that must be there among others, then after an empty line the body, as text.
 */
export function differenceFrom({ language, text }: Fence, printed: string): string | undefined {
  if (isSame(language, text, printed)) return undefined;
  return `the document shows\n${indent(text)}\nbut this was printed\n${indent(printed)}`;
}

function isSame(language: string, shown: string, printed: string): boolean {
  switch (language) {
    case 'json':
      return isSameJson(shown, printed);
    case 'http':
      return isSameExchange(shown, printed);
    default:
      return isSameText(shown, printed);
  }
}

function isSameText(shown: string, printed: string): boolean {
  const pattern = tidyLines(shown).split('…').map(escapeForPattern).join('[^]*?');
  return new RegExp(`^${pattern}$`).test(tidyLines(printed));
}

function isSameJson(shown: string, printed: string): boolean {
  const found = parseJson(printed);
  return found !== undefined && matches(JSON.parse(shown), found.value);
}

function matches(shown: unknown, found: unknown): boolean {
  if (typeof shown === 'string' && shown.includes('…')) {
    return shown === '…' || (typeof found === 'string' && isSameText(shown, found));
  }
  if (Array.isArray(shown)) {
    return Array.isArray(found) && shown.length === found.length && shown.every((item, at) => matches(item, found[at]));
  }
  if (!isObject(shown) || !isObject(found)) return isDeepStrictEqual(shown, found);
  const names = Object.keys(shown);
  return (
    isDeepStrictEqual(new Set(names), new Set(Object.keys(found))) &&
    names.every((name) => matches(shown[name], found[name]))
  );
}

function isSameExchange(shown: string, printed: string): boolean {
  const wanted = splitExchange(shown);
  const found = splitExchange(printed);
  if (!isSameText(wanted.status, found.status)) return false;
  if (!wanted.headers.every((header) => found.headers.some((other) => isSameText(header, other)))) return false;
  if (wanted.body === undefined) return true;
  const body = found.body ?? '';
  return isSameText(wanted.body, body) || (parseJson(wanted.body) !== undefined && isSameJson(wanted.body, body));
}

function splitExchange(text: string): { status: string; headers: readonly string[]; body: string | undefined } {
  const lines = tidyLines(text).split('\n');
  const gap = lines.indexOf('');
  const [status = '', ...headers] = gap === -1 ? lines : lines.slice(0, gap);
  // Header names are case-insensitive (RFC 9110, section 5.1).
  const lowered = headers.map((header) => header.replace(/^[^:]+/, (name) => name.toLowerCase()));
  return { status, headers: lowered, body: gap === -1 ? undefined : lines.slice(gap + 1).join('\n') };
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tidyLines(text: string): string {
  return text
    .replaceAll('\r', '')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trim();
}

function escapeForPattern(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

/** The parameters of a query, each at most once and none unknown: a misspelt bound would list everything. */
export type QueryOutcome<Name extends string> =
  | { readonly outcome: 'ok'; readonly parameters: Readonly<Partial<Record<Name, string>>> }
  | { readonly outcome: 'refused'; readonly parameter: string; readonly reason: string };

/** Reads what follows the question mark of a request target: percent-encoded UTF-8, with `+` for a space. */
export function parseQuery<Name extends string>(target: string, names: readonly Name[]): QueryOutcome<Name> {
  const at = target.indexOf('?');
  const parameters: Partial<Record<Name, string>> = {};
  const parts =
    at === -1
      ? []
      : target
          .slice(at + 1)
          .split('&')
          .filter((part) => part !== '');
  for (const part of parts) {
    const equals = part.indexOf('=');
    const given = decode(equals === -1 ? part : part.slice(0, equals));
    const name = names.find((known) => known === given);
    if (name === undefined) {
      return {
        outcome: 'refused',
        parameter: given ?? part,
        reason: `unknown parameter; expected ${names.length === 0 ? 'none on this path' : names.join(', ')}`,
      };
    }
    if (parameters[name] !== undefined) return { outcome: 'refused', parameter: name, reason: 'it is there twice' };
    const value = equals === -1 ? '' : decode(part.slice(equals + 1));
    if (value === undefined) {
      return { outcome: 'refused', parameter: name, reason: 'it is not the percent-encoding of UTF-8' };
    }
    parameters[name] = value;
  }
  return { outcome: 'ok', parameters };
}

/** Not `URLSearchParams`, which puts U+FFFD where the bytes are no UTF-8, and so would look for another key. */
function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

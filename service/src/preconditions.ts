/**
 * Conditional requests, RFC 9110 section 13, with a key's version as its entity tag. The tags are strong: a version names
 * one state of one key, ever.
 */
export type Precondition =
  | { readonly anyVersion: true }
  | { readonly anyVersion: false; readonly versions: readonly string[] };

export interface Preconditions {
  readonly ifMatch: Precondition | undefined;
  readonly ifNoneMatch: Precondition | undefined;
}

export type PreconditionsOutcome =
  | { readonly outcome: 'ok'; readonly preconditions: Preconditions }
  | { readonly outcome: 'refused'; readonly header: 'If-Match' | 'If-None-Match' };

export function parsePreconditions(headers: {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
}): PreconditionsOutcome {
  // Section 13.1.1: If-Match uses the strong comparison, which no weak tag passes.
  const ifMatch = parseTags(headers['if-match'], { weakMatches: false });
  if (ifMatch === 'malformed') return { outcome: 'refused', header: 'If-Match' };
  // Section 13.1.2: If-None-Match uses the weak comparison, which ignores the `W/`.
  const ifNoneMatch = parseTags(headers['if-none-match'], { weakMatches: true });
  if (ifNoneMatch === 'malformed') return { outcome: 'refused', header: 'If-None-Match' };
  return { outcome: 'ok', preconditions: { ifMatch, ifNoneMatch } };
}

/** `failed` is 412; `unchanged` is 304 to a GET and 412 to anything else. `version` is undefined where the key is absent. */
export function evaluate(
  { ifMatch, ifNoneMatch }: Preconditions,
  version: string | undefined,
): 'passed' | 'failed' | 'unchanged' {
  if (ifMatch !== undefined && !matches(ifMatch, version)) return 'failed';
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, version)) return 'unchanged';
  return 'passed';
}

export function entityTag(version: string): string {
  return `"${version}"`;
}

function matches(precondition: Precondition, version: string | undefined): boolean {
  if (version === undefined) return false;
  return precondition.anyVersion || precondition.versions.includes(version);
}

/** Section 8.8.3: an optional `W/`, then visible characters but the quote, in quotes. */
const entityTagPattern = /[ \t]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*/y;

function parseTags(
  header: string | undefined,
  options: { readonly weakMatches: boolean },
): Precondition | undefined | 'malformed' {
  if (header === undefined) return undefined;
  if (header.trim() === '*') return { anyVersion: true };
  const versions: string[] = [];
  let at = 0;
  do {
    entityTagPattern.lastIndex = at;
    const match = entityTagPattern.exec(header);
    if (match === null) return 'malformed';
    const [whole, weak, tag] = match;
    if (tag !== undefined && (weak === undefined || options.weakMatches)) versions.push(tag);
    at += whole.length;
  } while (header[at++] === ',');
  return at > header.length ? { anyVersion: false, versions } : 'malformed';
}

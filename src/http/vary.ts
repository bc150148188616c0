/**
 * `Vary` of an answer whose headers had one already: middlewares that came before, for CORS or compression, have their own say in
 * what it varies by.
 */
export function joinedVary(earlier: string | undefined, value: string): string {
  if (earlier === undefined) return value;
  const names = (list: string): string[] => list.split(',').map((name) => name.trim());
  const known = new Set(names(earlier).map((name) => name.toLowerCase()));
  return [earlier, ...names(value).filter((name) => !known.has(name.toLowerCase()))].join(', ');
}

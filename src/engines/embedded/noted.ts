/** What an attempt notes. Short ones are lists; a long one is a set, so that a body which asks for the same again and again fills no memory. */
export type Noted<T> = T[] | Set<T>;

/** An empty list that all share, until there is something in it. */
export const none: never[] = [];

/** Below this, what is in a list twice costs less than finding out. */
const listedMax = 64;

/** The items with one more; what was given is not to be used any more. */
export function noted<T>(items: Noted<T>, item: T): Noted<T> {
  if (items instanceof Set) return items.add(item);
  if (items === none) return [item];
  if (items.length === listedMax) return new Set(items).add(item);
  items.push(item);
  return items;
}

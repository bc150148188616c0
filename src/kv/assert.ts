/** States an invariant; in production too. A failure is a bug of ours, never bad input. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${invariant}`);
}

/** Ends an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unreachable, with ${String(value)}`);
}

/**
 * Carries out what an execution threw, marked as such: a fault of another store, met by a handler that uses one, looks like a
 * fault of the execution's own transaction, of which it tells nothing. What `transact` throws of itself bears no such mark.
 */
export class ExecutionThrew extends Error {
  readonly thrown: unknown;

  constructor(thrown: unknown) {
    super('the execution threw', { cause: thrown });
    this.thrown = thrown;
  }
}

/** @throws ExecutionThrew */
export async function marked<T>(execute: () => Promise<T>): Promise<T> {
  try {
    return await execute();
  } catch (error) {
    throw new ExecutionThrew(error);
  }
}

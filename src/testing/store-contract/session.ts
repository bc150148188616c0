import { onTestFinished } from 'vitest';
import { ConflictError } from '../../kv/errors.ts';
import type { Store, Transaction, TransactOptions } from '../../kv/store.ts';

/** One attempt of one transaction, driven from outside, so that a test can write down a schedule line by line. */
export interface Session<Tx extends Transaction = Transaction> {
  readonly tx: Tx;
  /** Lets the body return. Rejects as `transact` does. */
  commit(): Promise<void>;
  /** Lets the body throw. */
  rollback(): Promise<void>;
}

/** Begins a transaction that waits for orders. It has a single attempt unless told otherwise, so that a conflict is seen. */
export async function begin<Tx extends Transaction>(
  store: Store<Tx>,
  options: TransactOptions = {},
): Promise<Session<Tx>> {
  const started = Promise.withResolvers<Tx>();
  const end = Promise.withResolvers<void>();
  const body = async (tx: Tx): Promise<void> => {
    started.resolve(tx);
    await end.promise;
  };
  const outcome = store.transact(body, { attemptsMax: 1, ...options });
  outcome.catch(started.reject);

  const rollback = async (): Promise<void> => {
    const reason = new Error('rolled back by the test');
    end.reject(reason);
    await outcome.catch((error: unknown) => {
      if (error !== reason) throw error;
    });
  };
  // A test that failed half-way leaves nothing open that the store's closing would wait for.
  onTestFinished(() => {
    end.reject(new Error('the test is over'));
    end.promise.catch(() => undefined);
  });

  const tx = await started.promise;
  const commit = (): Promise<void> => {
    end.resolve();
    return outcome;
  };
  return { tx, commit, rollback };
}

/** Commits, and tells whether that went through or met a conflict. */
export async function commits(session: Session): Promise<boolean> {
  try {
    await session.commit();
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}

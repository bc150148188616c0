import { Seeded } from '../../check/seeded.ts';
import type { Store } from '../../kv/store.ts';
import { OperationRecorder } from './operation-recorder.ts';
import type { RegisterInput, RegisterOutput } from './sequential-model.ts';
import type { TimedOperation } from './timed-operation.ts';

type Input = RegisterInput<number> & { readonly key: string };
type Output = RegisterOutput<number>;

/** Four clients read, write, and compare and set two keys, by turns in the stores that are given. `pause` comes before each operation. */
export async function recordRegisterOperations(
  stores: readonly Store[],
  seed: number,
  pause: () => Promise<void>,
): Promise<readonly TimedOperation<Input, Output>[]> {
  const recorder = new OperationRecorder<Input, Output>();
  const seeded = new Seeded(seed);
  const below = (bound: number): number => Math.floor(seeded.fraction() * bound);
  const client = async (process: string, store: Store): Promise<void> => {
    for (let count = 0; count < 20; count++) {
      const [key, value, choice] = [`k${below(2)}`, below(3), below(3)];
      await pause();
      if (choice === 0) {
        await recorder.record(
          process,
          { act: 'read', key },
          async () => (await store.read((tx) => tx.get([key]))) as number,
        );
      } else if (choice === 1) {
        await recorder.record(process, { act: 'write', key, value }, () =>
          store.transact((tx) => {
            tx.set([key], value);
            return undefined;
          }),
        );
      } else {
        const expected = below(3);
        await recorder.record(process, { act: 'compare-and-set', key, expected, value }, () =>
          store.transact(async (tx) => {
            if ((await tx.get([key])) !== expected) return false;
            tx.set([key], value);
            return true;
          }),
        );
      }
    }
  };
  const clients = ['a', 'b', 'c', 'd'].flatMap((process, index) => {
    const store = stores[index % stores.length];
    return store === undefined ? [] : [client(process, store)];
  });
  await Promise.all(clients);
  return recorder.operations();
}

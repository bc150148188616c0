import type { Store, Transaction } from '../kv/store.ts';
import type { World } from '../kv/world.ts';
import type { Operations } from '../operations/operations.ts';
import type { Call } from './call.ts';
import type { AnswerEvent } from './settled.ts';

/** What all routes of one store share. */
export interface Core<Tx extends Transaction, Context> {
  readonly store: Store<Tx>;
  readonly operations: Operations<Tx>;
  readonly world: World;
  readonly scope: (call: Call<Context>) => string | Promise<string>;
  readonly profile: 'semel' | 'ietf';
  readonly onEvent: ((event: AnswerEvent) => void) | undefined;
}

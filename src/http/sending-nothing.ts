import { InvalidArgumentError } from '../kv/errors.ts';
import type { Transaction } from '../kv/store.ts';
import type { Handler } from './route.ts';

/**
 * A handler that got hold of its framework's answer and sent by it has told its client of something that is not committed. This one throws
 * then, inside the transaction, so that nothing of it takes effect.
 *
 * @throws InvalidArgumentError
 */
export function sendingNothing<Tx extends Transaction, Context>(
  handler: Handler<Tx, Context>,
  hasSent: (context: Context) => boolean,
): Handler<Tx, Context> {
  if (typeof handler !== 'function') throw new InvalidArgumentError('handler', handler, 'a function');
  return async (request, tx, context) => {
    const response = await handler(request, tx, context);
    if (hasSent(context)) {
      throw new InvalidArgumentError(
        'the reply',
        'sent already',
        'a handler that returns its Response and sends nothing itself',
      );
    }
    return response;
  };
}

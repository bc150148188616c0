import { InvalidArgumentError } from '../../kv/errors.ts';

/** Leading blanks and comments. A nested comment is left to PostgreSQL: what it begins with is then no word, and refused. */
const leading = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/|;)*/;

/** They end the transaction, or split it behind the engine's back. */
const refused = new Set(['ABORT', 'BEGIN', 'COMMIT', 'END', 'PREPARE', 'RELEASE', 'ROLLBACK', 'SAVEPOINT', 'START']);

/** @throws InvalidArgumentError */
export function requireHarmless(text: string): void {
  if (typeof text !== 'string') throw new InvalidArgumentError('text', text, 'a statement as text');
  const rest = text.slice(leading.exec(text)?.[0].length);
  const word = /^[a-z_]+/i.exec(rest)?.[0].toUpperCase();
  if (word === undefined && !rest.startsWith('(')) throw new InvalidArgumentError('text', text, 'one SQL statement');
  if (word === undefined || !refused.has(word)) return;
  throw new InvalidArgumentError('text', word, 'a statement that does not begin, end or split the transaction');
}

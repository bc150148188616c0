import type { Operation, RecordedTransaction } from './transaction-history.ts';

/** `x = [1 2 3]`, as the literature on these anomalies writes what was read. */
export function operationText(operation: Operation): string {
  switch (operation.act) {
    case 'append':
      return `append ${valueText(operation.element)} to ${operation.key}`;
    case 'write':
      return operation.value === undefined
        ? `delete ${operation.key}`
        : `write ${operation.key} = ${valueText(operation.value)}`;
    case 'read':
      return `read ${operation.key} = ${valueText(operation.value)}`;
    case 'range': {
      const found = [...operation.found].map(([key, value]) => `${key} = ${valueText(value)}`);
      return `read ${keysText(operation.keys)}: ${found.length === 0 ? 'none' : found.join(', ')}`;
    }
  }
}

export function transactionText({ name, session, outcome, operations }: RecordedTransaction): string {
  const how = outcome === 'committed' ? '' : `, ${outcome}`;
  return `${name} (${session}${how}): ${operations.map(operationText).join('; ') || 'nothing'}`;
}

export function keysText(keys: readonly string[]): string {
  const [first = '', last = ''] = [keys[0], keys.at(-1)];
  return keys.length > 2 ? `${first} … ${last}` : keys.join(', ');
}

/** The ends of a list say where a history went apart; its middle does not. */
const elementsShownMax = 8;

export function valueText(value: unknown): string {
  if (value === undefined || value === null) return 'none';
  if (Array.isArray(value)) {
    const texts = value.map(valueText);
    if (texts.length > elementsShownMax) texts.splice(2, texts.length - elementsShownMax, '…');
    return `[${texts.join(' ')}]`;
  }
  if (typeof value === 'object') return JSON.stringify(value, (_key, part: unknown) => plain(part));
  return String(plain(value));
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

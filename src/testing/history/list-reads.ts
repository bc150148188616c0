import { operationText } from './history-text.ts';
import { MalformedHistoryError, type ListElement, type RecordedTransaction } from './transaction-history.ts';

/** One list that a transaction saw: by its key, or as one of a range. */
export interface ListRead {
  readonly key: string;
  readonly elements: readonly ListElement[];
  /** A range looked for the key and found nothing. */
  readonly absentInRange: boolean;
}

const none: readonly ListElement[] = Object.freeze([]);

/** What the transaction saw and what it appended, in the order in which it did so. */
export function* listSteps({
  name,
  operations,
}: RecordedTransaction): Generator<ListRead | { readonly key: string; readonly appended: ListElement }> {
  for (const operation of operations) {
    switch (operation.act) {
      case 'append':
        yield { key: operation.key, appended: operation.element };
        break;
      case 'read':
        yield { key: operation.key, elements: listOf(operation.value, name, operation.key), absentInRange: false };
        break;
      case 'range': {
        const missed = [...operation.found.keys()].find((key) => !operation.keys.includes(key));
        if (missed !== undefined) throw new MalformedHistoryError(`${name} found ${missed}, which its range has not`);
        for (const key of operation.keys) {
          const elements = listOf(operation.found.get(key), name, key);
          yield { key, elements, absentInRange: !operation.found.has(key) };
        }
        break;
      }
      case 'write':
        throw new MalformedHistoryError(
          `${name} does ${operationText(operation)}: only lists tell who wrote before whom. Append, or use checkSerialOrder`,
        );
    }
  }
}

export function* listReads(transaction: RecordedTransaction): Generator<ListRead> {
  for (const step of listSteps(transaction)) if ('elements' in step) yield step;
}

function listOf(value: unknown, name: string, key: string): readonly ListElement[] {
  if (value === undefined || value === null) return none;
  if (Array.isArray(value)) return value as readonly ListElement[];
  throw new MalformedHistoryError(`${name} read ${key}, which is no list`);
}

import { endOf, placeReaders } from './serial-placement.ts';
import { type SerialOrderViolation, SerialReplay, sighting, writes } from './serial-replay.ts';
import {
  MalformedHistoryError,
  type History,
  type Operation,
  type RecordedTransaction,
} from './transaction-history.ts';

export type SerialOrderReport =
  | {
      readonly ok: true;
      /** The order that explains every answer: those that claimed no place are where they can have been. */
      readonly order: readonly RecordedTransaction[];
    }
  | { readonly ok: false; readonly violations: readonly SerialOrderViolation[] };

export interface SerialOrderOptions {
  /** Whether the order has to respect real time: strict serializability. Default true. */
  readonly strict?: boolean;
}

/**
 * Holds a history against the serial order that the database itself claims: it is run one transaction at a time, in the
 * order of `position`, and whatever was read, found absent or found in a range must be what is there. This needs no
 * inference, so nothing wrong escapes it, and its time is linear but for the sorting.
 *
 * `position` is where a writer took effect: the version or the timestamp of its commit, its place in the log, the order
 * in which commits were answered where a database answers in that order. Who wrote nothing may share the place of a writer,
 * and stands behind it then; or claim none, and stands where all that it read held. That of unknown outcome counts if a read shows
 * its `version`, or, where reads tell no versions, a value that it wrote.
 */
export function checkSerialOrder(history: History, { strict = true }: SerialOrderOptions = {}): SerialOrderReport {
  const present = whoTookEffect(history);
  const placed = present.filter(({ position }) => position !== undefined).sort(byPosition);
  const unplaced = present.filter(({ position }) => position === undefined);
  const writing = unplaced.find(({ operations }) => operations.some(writes));
  if (writing !== undefined) {
    throw new MalformedHistoryError(`${writing.name} wrote and claims no position, so its place cannot be checked`);
  }
  const violations: SerialOrderViolation[] = [];
  const replay = new SerialReplay();
  for (const transaction of placed) violations.push(...replay.run(transaction));
  if (strict) violations.push(...realTimeViolations(placed));
  const order = placeReaders(placed, unplaced, { replay, strict, violations });
  return violations.length === 0 ? { ok: true, order } : { ok: false, violations };
}

function byPosition(one: RecordedTransaction, other: RecordedTransaction): number {
  const [a = 0, b = 0] = [one.position, other.position];
  if (a !== b) return a < b ? -1 : 1;
  const rank = ({ operations }: RecordedTransaction): number => (operations.some(writes) ? 0 : 1);
  return rank(one) - rank(other) || one.invoked - other.invoked;
}

function whoTookEffect({ transactions }: History): RecordedTransaction[] {
  const unknown = transactions.filter(({ outcome, operations }) => outcome === 'unknown' && operations.some(writes));
  const committed = transactions.filter(({ outcome }) => outcome === 'committed');
  if (unknown.length === 0) return committed;
  const present = [...committed];
  const waiting = new Set(unknown);
  const seen = new Sightings(unknown);
  // It grows on the way: what one of unknown outcome read counts as soon as its own writes were seen.
  for (const transaction of present) {
    for (const operation of transaction.operations) seen.add(operation);
    if (present.at(-1) !== transaction) continue;
    for (const one of waiting) {
      if (!seen.show(one)) continue;
      waiting.delete(one);
      present.push(one);
    }
  }
  return present;
}

/** Of those with a place: nobody may stand before one that was over when it began. */
function* realTimeViolations(placed: readonly RecordedTransaction[]): Generator<SerialOrderViolation> {
  let latest: RecordedTransaction | undefined;
  for (const transaction of placed) {
    if (latest !== undefined && endOf(transaction) < latest.invoked) {
      const message = `${transaction.name} was over before ${latest.name} began, and stands behind it, at ${String(transaction.position)}`;
      yield { name: 'real-time', transaction, other: latest, message };
    }
    if (latest === undefined || transaction.invoked > latest.invoked) latest = transaction;
  }
}

/** What reads have shown. */
class Sightings {
  /** Only what was written to these by somebody of unknown outcome is asked for. */
  readonly #keys: ReadonlySet<string>;
  readonly #shown = new Set<string>();
  readonly #versions = new Set<RecordedTransaction['version']>();

  constructor(unknown: readonly RecordedTransaction[]) {
    const writing = unknown.flatMap(({ operations }) => operations.filter(writes));
    this.#keys = new Set(writing.flatMap((operation) => ('key' in operation ? operation.key : [])));
  }

  add(operation: Operation): void {
    if (operation.act === 'read') {
      if (operation.version === undefined) this.#note(operation.key, operation.value);
      else this.#versions.add(operation.version);
    }
    if (operation.act === 'range') for (const [key, value] of operation.found) this.#note(key, value);
  }

  show({ version, operations }: RecordedTransaction): boolean {
    if (version !== undefined && this.#versions.has(version)) return true;
    return operations.some(
      (operation) =>
        (operation.act === 'append' && this.#shown.has(sighting(operation.key, operation.element))) ||
        (operation.act === 'write' && this.#shown.has(sighting(operation.key, operation.value))),
    );
  }

  #note(key: string, value: unknown): void {
    if (!this.#keys.has(key)) return;
    this.#shown.add(sighting(key, value));
    if (Array.isArray(value)) for (const element of value) this.#shown.add(sighting(key, element));
  }
}

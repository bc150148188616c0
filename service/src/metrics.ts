import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { ConflictError } from 'semel';
import type { AnswerOutcome } from 'semel/http';

/**
 * What the service measures, in Prometheus' words. Every label is from a closed set: a route's pattern, never a path; an
 * outcome, never a key or a tenant.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly operations = new Counter({
    name: 'semel_operations_total',
    help: 'Requests with an Idempotency-Key, by outcome.',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly requestSeconds = new Histogram({
    name: 'semel_http_request_seconds',
    help: 'Time from a request to its answer.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });
  readonly conflicts = new Counter({
    name: 'semel_store_conflicts_total',
    help: 'Attempts that ended because another transaction had changed what they read.',
    registers: [this.registry],
  });
  readonly retries = new Counter({
    name: 'semel_store_retries_total',
    help: 'Attempts that follow a failed one of the same transaction, by what that failed of.',
    labelNames: ['fault'] as const,
    registers: [this.registry],
  });
  readonly suppressed = new Counter({
    name: 'semel_duplicates_suppressed_total',
    help: 'Duplicates that did not execute again.',
    registers: [this.registry],
  });
  #executed = 0;
  #suppressed = 0;

  constructor() {
    // From the first scrape on: a counter that appears with its first event hides that event from `rate`.
    for (const outcome of outcomes) this.operations.inc({ outcome }, 0);
    for (const fault of ['conflict', 'deadlock']) this.retries.inc({ fault }, 0);
    const ratio = (): number => this.#suppressed / Math.max(1, this.#executed + this.#suppressed);
    const help = 'Share of duplicates that did not execute again, of those and all that executed, since the start.';
    this.watch('semel_duplicate_suppression_ratio', help, ratio);
    this.watch('process_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss());
  }

  /** Counts a request with an Idempotency-Key. */
  countOutcome(outcome: AnswerOutcome): void {
    this.operations.inc({ outcome });
    if (outcome === 'executed') this.#executed++;
    else if (duplicateOutcomes.has(outcome)) {
      this.#suppressed++;
      this.suppressed.inc();
    }
  }

  /** Counts the conflict that a transaction fails of. Storages tell of those that it answers with another attempt. */
  countFailure(error: unknown): void {
    if (error instanceof ConflictError) this.conflicts.inc();
  }

  countRetry(fault: 'conflict' | 'deadlock'): void {
    if (fault === 'conflict') this.conflicts.inc();
    this.retries.inc({ fault });
  }

  /** A gauge whose value is asked for when somebody looks. */
  watch(name: string, help: string, value: () => number): void {
    // oxlint-disable-next-line no-new -- the registry holds it.
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }
}

const outcomes: readonly AnswerOutcome[] = ['executed', 'replayed', 'in-progress', 'mismatch', 'expired', 'refused'];

/** What a duplicate meets when it is kept from executing again. A refusal before execution suppresses nothing. */
const duplicateOutcomes: ReadonlySet<AnswerOutcome> = new Set(['replayed', 'in-progress', 'mismatch', 'expired']);

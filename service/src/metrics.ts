import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { ConflictError } from 'semel';
import type { StoreEvent } from 'semel/embedded';
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
  readonly batchEntries = new Histogram({
    name: 'semel_store_batch_entries',
    help: 'Entries of the log that one sync made durable.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
    registers: [this.registry],
  });
  readonly batchBytes = new Histogram({
    name: 'semel_store_batch_bytes',
    help: 'Bytes of the log that one sync made durable.',
    buckets: [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216],
    registers: [this.registry],
  });
  readonly syncSeconds = new Histogram({
    name: 'semel_store_sync_seconds',
    help: 'Time that a sync of the log took.',
    buckets: [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
    registers: [this.registry],
  });
  readonly suppressed = new Counter({
    name: 'semel_duplicates_suppressed_total',
    help: 'Duplicates that did not execute again.',
    registers: [this.registry],
  });
  readonly checkpoints = new Counter({
    name: 'semel_store_checkpoints_total',
    help: 'Checkpoints of the store, by whether they were written or failed.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly recoveredEntries = this.#gauge(
    'semel_store_recovered_entries',
    'Entries of the checkpoint and the log that opening read.',
  );
  readonly recoveredBytes = this.#gauge(
    'semel_store_recovered_bytes',
    'Bytes of the checkpoint and the log that opening read.',
  );
  readonly tornBytes = this.#gauge('semel_store_recovered_torn_bytes', 'Bytes that opening cut off and kept aside.');
  readonly recoverySeconds = this.#gauge('semel_store_recovery_seconds', 'Time that reading the log at opening took.');
  #executed = 0;
  #suppressed = 0;

  constructor() {
    // From the first scrape on: a counter that appears with its first event hides that event from `rate`.
    for (const outcome of outcomes) this.operations.inc({ outcome }, 0);
    for (const outcome of ['written', 'failed']) this.checkpoints.inc({ outcome }, 0);
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

  /** Counts the conflict that a transaction fails of. The store tells of those that it answers with another attempt. */
  countFailure(error: unknown): void {
    if (error instanceof ConflictError) this.conflicts.inc();
  }

  countStoreEvent(event: StoreEvent): void {
    switch (event.type) {
      case 'recovered':
        this.recoveredEntries.set(event.entries);
        this.recoveredBytes.set(event.bytes + event.checkpointBytes);
        this.tornBytes.set(event.tornBytes);
        this.recoverySeconds.set(event.durationMs / 1_000);
        return;
      case 'synced':
        this.batchEntries.observe(event.entries);
        this.batchBytes.observe(event.bytes);
        this.syncSeconds.observe(event.syncMs / 1_000);
        return;
      case 'checkpointed':
      case 'checkpoint-failed':
        this.checkpoints.inc({ outcome: event.type === 'checkpointed' ? 'written' : 'failed' });
        return;
      case 'retried':
        if (event.fault === 'conflict') this.conflicts.inc();
        this.retries.inc({ fault: event.fault });
        return;
      case 'poisoned':
        // `semel_store_poisoned` asks the store.
        return;
    }
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
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

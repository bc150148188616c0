import { Counter, Gauge, Histogram, Registry } from 'prom-client';
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
  readonly recovered = new Gauge({
    name: 'semel_store_recovered',
    help: 'What opening the store found: entries and bytes of the log, bytes of a torn tail, the milliseconds it took.',
    labelNames: ['fact'] as const,
    registers: [this.registry],
  });
  #executed = 0;
  #suppressed = 0;

  constructor() {
    // From the first scrape on: a counter that appears with its first event hides that event from `rate`.
    for (const outcome of outcomes) this.operations.inc({ outcome }, 0);
    for (const fault of ['conflict', 'deadlock']) this.retries.inc({ fault }, 0);
    const suppressed = (): number => this.#suppressed;
    const ratio = (): number => this.#suppressed / Math.max(1, this.#executed + this.#suppressed);
    this.watch('semel_duplicates_suppressed', 'Duplicates since the start that did not execute again.', suppressed);
    this.watch('semel_duplicate_suppression_ratio', 'Their share of all that executed or were suppressed.', ratio);
    this.watch('process_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss());
  }

  /** Counts a request with an Idempotency-Key. */
  countOutcome(outcome: AnswerOutcome): void {
    this.operations.inc({ outcome });
    if (outcome === 'executed') this.#executed++;
    else if (duplicateOutcomes.has(outcome)) this.#suppressed++;
  }

  countStoreEvent(event: StoreEvent): void {
    switch (event.type) {
      case 'recovered':
        this.recovered.set({ fact: 'entries' }, event.entries);
        this.recovered.set({ fact: 'bytes' }, event.bytes);
        this.recovered.set({ fact: 'torn_bytes' }, event.tornBytes);
        this.recovered.set({ fact: 'duration_ms' }, event.durationMs);
        return;
      case 'synced':
        this.batchEntries.observe(event.entries);
        this.batchBytes.observe(event.bytes);
        this.syncSeconds.observe(event.syncMs / 1_000);
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

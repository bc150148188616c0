import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { StoreEvent } from 'semel/embedded';

/** What only an engine with a log of its own can tell. */
export class EmbeddedMetrics {
  readonly #registry: Registry;
  readonly #batchEntries: Histogram;
  readonly #batchBytes: Histogram;
  readonly #syncSeconds: Histogram;
  readonly #checkpoints: Counter<'outcome'>;
  readonly #recoveredEntries: Gauge;
  readonly #recoveredBytes: Gauge;
  readonly #tornBytes: Gauge;
  readonly #recoverySeconds: Gauge;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#batchEntries = new Histogram({
      name: 'semel_store_batch_entries',
      help: 'Entries of the log that one sync made durable.',
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
      registers: [registry],
    });
    this.#batchBytes = new Histogram({
      name: 'semel_store_batch_bytes',
      help: 'Bytes of the log that one sync made durable.',
      buckets: [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216],
      registers: [registry],
    });
    this.#syncSeconds = new Histogram({
      name: 'semel_store_sync_seconds',
      help: 'Time that a sync of the log took.',
      buckets: [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers: [registry],
    });
    this.#checkpoints = new Counter({
      name: 'semel_store_checkpoints_total',
      help: 'Checkpoints of the store, by whether they were written or failed.',
      labelNames: ['outcome'],
      registers: [registry],
    });
    this.#recoveredEntries = this.#gauge(
      'semel_store_recovered_entries',
      'Entries of the checkpoint and the log that opening read.',
    );
    this.#recoveredBytes = this.#gauge(
      'semel_store_recovered_bytes',
      'Bytes of the checkpoint and the log that opening read.',
    );
    this.#tornBytes = this.#gauge('semel_store_recovered_torn_bytes', 'Bytes that opening cut off and kept aside.');
    this.#recoverySeconds = this.#gauge('semel_store_recovery_seconds', 'Time that reading the log at opening took.');
    // From the first scrape on, for `rate`.
    for (const outcome of ['written', 'failed']) this.#checkpoints.inc({ outcome }, 0);
  }

  count(event: Exclude<StoreEvent, { type: 'retried' }>): void {
    switch (event.type) {
      case 'recovered':
        this.#recoveredEntries.set(event.entries);
        this.#recoveredBytes.set(event.bytes + event.checkpointBytes);
        this.#tornBytes.set(event.tornBytes);
        this.#recoverySeconds.set(event.durationMs / 1_000);
        return;
      case 'synced':
        this.#batchEntries.observe(event.entries);
        this.#batchBytes.observe(event.bytes);
        this.#syncSeconds.observe(event.syncMs / 1_000);
        return;
      case 'checkpointed':
      case 'checkpoint-failed':
        this.#checkpoints.inc({ outcome: event.type === 'checkpointed' ? 'written' : 'failed' });
        return;
      case 'poisoned':
        // `semel_store_poisoned` asks the store.
        return;
    }
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.#registry] });
  }
}

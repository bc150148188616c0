import {
  context,
  metrics,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Histogram,
  type Meter,
  type Tracer,
} from '@opentelemetry/api';
import type { StoreEvent } from '../engines/embedded/embedded.ts';
import { SemelError } from '../kv/errors.ts';
import { realWorld, type World } from '../kv/world.ts';
import type { OperationEvent } from '../operations/operations.ts';

export interface TelemetryOptions {
  /** Default: `semel` of the global tracer provider. */
  readonly tracer?: Tracer;
  /** Default: `semel` of the meter provider that is registered by now; one that comes later gets nothing. */
  readonly meter?: Meter;
  /** Where the spans' times come from. */
  readonly world?: World;
}

/** Observers, to be handed over as they are. */
export interface Telemetry {
  /** A span and metrics for each operation: `onOperation` of `createOnce`, `onEvent` of `createOperations`. */
  readonly onOperation: (event: OperationEvent) => void;
  /** Metrics of a store: `onEvent` of `openStore`. */
  readonly onStoreEvent: (event: StoreEvent) => void;
}

/**
 * Makes OpenTelemetry's spans and metrics of what the library tells anyway: nothing in it is instrumented.
 *
 * A span is made when its operation has ended, from the time that it took. Its parent is the span in which the operation
 * was asked for, because an event is told where the call returns, in the caller's own context.
 *
 * An attribute's value is a word from the code or a number, never from a request: no scope, no key, no payload, no message
 * of an error.
 */
export function createTelemetry(options: TelemetryOptions = {}): Telemetry {
  const { tracer = trace.getTracer('semel'), meter = metrics.getMeter('semel'), world = realWorld } = options;
  return { onOperation: observeOperations(tracer, meter, world), onStoreEvent: observeStore(meter) };
}

function observeOperations(tracer: Tracer, meter: Meter, world: World): Telemetry['onOperation'] {
  const duration = createDuration(meter, 'semel.operation.duration', {
    description: 'Time from asking for an operation to its outcome.',
    bounds: operationSeconds,
  });
  const duplicates = meter.createCounter('semel.operation.duplicates', {
    description: 'Requests that an earlier one under the same key kept from executing.',
    unit: '{request}',
  });
  return (event) => {
    const labels = labelsOf(event);
    const attributes = { ...labels, 'semel.operation.attempts': event.attempts };
    const endedAt = world.now();
    const span = tracer.startSpan('semel.operation', { startTime: endedAt - event.durationMs, attributes });
    if (labels['error.type'] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endedAt);
    // So that an exemplar leads to this span and not to its parent.
    const measured = trace.setSpan(context.active(), span);
    duration.record(event.durationMs / 1_000, labels, measured);
    if (isSuppressed(event)) duplicates.add(1, labels, measured);
  };
}

function observeStore(meter: Meter): Telemetry['onStoreEvent'] {
  const retries = meter.createCounter('semel.store.retries', {
    description: 'Attempts that follow a failed one of the same transaction, by what that failed of.',
    unit: '{attempt}',
  });
  const poisoned = meter.createCounter('semel.store.poisoned', {
    description: 'Stores that a failed write or sync has stopped for good.',
    unit: '{store}',
  });
  // It happens once, and a counter that appears with its only event hides it from whoever asks for an increase.
  poisoned.add(0);
  const checkpoints = meter.createCounter('semel.store.checkpoints', {
    description: 'Checkpoints that were written, or with an error.type could not be.',
    unit: '{checkpoint}',
  });
  const observeSync = syncObserver(meter);
  const observeRecovery = recoveryObserver(meter);
  return (event) => {
    switch (event.type) {
      case 'recovered':
        observeRecovery(event);
        return;
      case 'synced':
        observeSync(event);
        return;
      case 'checkpointed':
        checkpoints.add(1);
        return;
      case 'checkpoint-failed':
        checkpoints.add(1, { 'error.type': event.type });
        return;
      case 'retried':
        retries.add(1, { 'error.type': event.fault });
        return;
      case 'poisoned':
        poisoned.add(1);
        return;
    }
  };
}

type Observer<Type extends StoreEvent['type']> = (event: Extract<StoreEvent, { type: Type }>) => void;

function syncObserver(meter: Meter): Observer<'synced'> {
  const duration = createDuration(meter, 'semel.store.sync.duration', {
    description: 'Time that a sync of the log took.',
    bounds: syncSeconds,
  });
  const entries = meter.createHistogram('semel.store.sync.entries', {
    description: 'Entries of the log that one sync made durable.',
    unit: '{entry}',
    advice: { explicitBucketBoundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024] },
  });
  const size = meter.createHistogram('semel.store.sync.size', {
    description: 'Bytes of the log that one sync made durable.',
    unit: 'By',
    advice: {
      explicitBucketBoundaries: [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216],
    },
  });
  return (event) => {
    // It served many, so it belongs to the trace of none, whoever's context it happens to be told in.
    duration.record(event.syncMs / 1_000, {}, ROOT_CONTEXT);
    entries.record(event.entries, {}, ROOT_CONTEXT);
    size.record(event.bytes, {}, ROOT_CONTEXT);
  };
}

/** Sums, so that the stores of one process add up instead of hiding each other. */
function recoveryObserver(meter: Meter): Observer<'recovered'> {
  const duration = createDuration(meter, 'semel.store.recovery.duration', {
    description: 'Time that reading the checkpoint and the log at opening took.',
    bounds: recoverySeconds,
  });
  const entries = meter.createCounter('semel.store.recovery.entries', {
    description: 'Entries of the checkpoint and the log that opening read.',
    unit: '{entry}',
  });
  const size = meter.createCounter('semel.store.recovery.size', {
    description: 'Bytes of the checkpoint and the log that opening read.',
    unit: 'By',
  });
  const tornSize = meter.createCounter('semel.store.recovery.torn_size', {
    description: 'Bytes that opening cut off and kept aside.',
    unit: 'By',
  });
  return (event) => {
    duration.record(event.durationMs / 1_000);
    entries.add(event.entries);
    size.add(event.bytes + event.checkpointBytes);
    tornSize.add(event.tornBytes);
  };
}

/** From a replay out of memory to the default deadline of an execution. */
const operationSeconds = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From a disk that only says so to one that is about to fail. */
const syncSeconds = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** From an empty log to one that keeps a restart waiting. */
const recoverySeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

interface DurationOptions {
  readonly description: string;
  readonly bounds: readonly number[];
}

/** In seconds, as the conventions have it: their default bounds are for milliseconds. */
function createDuration(meter: Meter, name: string, { description, bounds }: DurationOptions): Histogram {
  return meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: [...bounds] } });
}

/** What tells operations apart, fit for metrics too: each from a small set that the code decides. */
function labelsOf(event: OperationEvent): Attributes {
  const errorType = errorTypeOf(event);
  return {
    'semel.operation.outcome': event.outcome,
    'semel.operation.coalesced': event.coalesced,
    ...(event.keep === undefined ? {} : { 'semel.operation.keep': event.keep }),
    ...(event.reason === undefined ? {} : { 'semel.operation.refusal_reason': event.reason }),
    ...(errorType === undefined ? {} : { 'error.type': errorType }),
  };
}

/** `undefined` where the outcome is an answer: a mismatch or a burnt key is no failure of who gives it. */
function errorTypeOf({ outcome, reason, error }: OperationEvent): string | undefined {
  if (outcome === 'failed') return typeOfThrown(error);
  return outcome === 'refused' && reason !== 'cancelled' ? reason : undefined;
}

/**
 * A fault of ours by its code, any other error by its class, which the program's text decides. Its `name`, `code` and
 * `message` may be anything.
 */
function typeOfThrown(error: unknown): string {
  if (error instanceof SemelError) return error.code;
  const prototype: unknown = error instanceof Error ? Object.getPrototypeOf(error) : undefined;
  // An anonymous class has an empty name.
  return (prototype instanceof Object && prototype.constructor.name) || otherError;
}

/** The conventions' word for what has no type. */
const otherError = '_OTHER';

function isSuppressed({ outcome, reason }: OperationEvent): boolean {
  switch (outcome) {
    case 'replayed':
    case 'in-progress':
    case 'mismatch':
    case 'expired':
      return true;
    case 'refused':
      return reason === 'too-many-waiters';
    case 'executed':
    case 'failed':
      return false;
  }
}

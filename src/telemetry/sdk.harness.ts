import { context, ROOT_CONTEXT, trace, type Attributes, type Context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, expect } from 'vitest';
import { createTelemetry, type Telemetry } from 'semel/opentelemetry';
import type { ManualWorld } from 'semel/testing';

export interface Measured {
  /** With the unit behind it. */
  readonly name: string;
  readonly dataPoints: readonly { readonly attributes: Attributes; readonly value: unknown }[];
}

/** The active context follows each chain of asynchronous calls, as where OpenTelemetry's SDK for Node.js is started. */
export function followContexts(): void {
  beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
  afterAll(() => context.disable());
}

/** OpenTelemetry's own SDK, and in it what was made of the events. */
export class Sdk {
  readonly tracerProvider: TracerProvider;
  readonly meterProvider: MeterProvider;
  readonly telemetry: Telemetry;
  /** For each measurement the span of its context. */
  readonly spansMeasuredIn: (string | undefined)[] = [];
  readonly #exporter = new InMemorySpanExporter();
  readonly #reader = new Reader();

  constructor(world: ManualWorld) {
    this.tracerProvider = new TracerProvider({
      spanProcessors: [new SimpleSpanProcessor({ exporter: this.#exporter })],
    });
    // An SDK asks this when it takes a measurement, which it does not show otherwise: its context, where exemplars come from.
    const process = (attributes: Attributes, where?: Context): Attributes => {
      this.spansMeasuredIn.push(where && trace.getSpanContext(where)?.spanId);
      return attributes;
    };
    this.meterProvider = new MeterProvider({
      readers: [this.#reader],
      views: [{ instrumentName: '*', attributesProcessors: [{ process }] }],
    });
    const tracer = this.tracerProvider.getTracer('semel');
    this.telemetry = createTelemetry({ tracer, meter: this.meterProvider.getMeter('semel'), world });
  }

  get spans(): readonly ReadableSpan[] {
    return this.#exporter
      .getFinishedSpans()
      .filter(({ instrumentationScope }) => instrumentationScope.name === 'semel');
  }

  /** Calls it in a span of the application's. */
  async within<T>(name: string, act: () => Promise<T>): Promise<T> {
    const span = this.tracerProvider.getTracer('application').startSpan(name, {}, ROOT_CONTEXT);
    try {
      return await context.with(trace.setSpan(ROOT_CONTEXT, span), act);
    } finally {
      span.end();
    }
  }

  /** Each span's outcome, and the name of its parent. */
  parents(): readonly string[] {
    const all = this.#exporter.getFinishedSpans();
    return this.spans.map(({ attributes, parentSpanContext }) => {
      const parent = all.find((span) => span.spanContext().spanId === parentSpanContext?.spanId);
      return `${String(attributes['semel.operation.outcome'])} in ${parent?.name}`;
    });
  }

  async metrics(): Promise<readonly Measured[]> {
    const { resourceMetrics, errors } = await this.#reader.collect();
    expect(errors).toEqual([]);
    return resourceMetrics.scopeMetrics
      .flatMap((scope) => scope.metrics)
      .map(({ descriptor, dataPoints }) => ({ name: `${descriptor.name} ${descriptor.unit}`, dataPoints }));
  }

  /** Of histograms the count and the sum. */
  async measured(): Promise<Record<string, unknown>> {
    const measured = (await this.metrics()).map(({ name, dataPoints }) => [
      name,
      dataPoints.map(({ attributes, value }) => [attributes, typeof value === 'number' ? value : totals(value)]),
    ]);
    return Object.fromEntries(measured) as Record<string, unknown>;
  }
}

function totals(value: unknown): unknown {
  const { count, sum } = value as { count: number; sum: number };
  return { count, sum };
}

/** Collects when it is asked to. */
class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

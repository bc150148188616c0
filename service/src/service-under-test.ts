import type { Disk, EmbeddedStore, OpenOptions } from 'semel/embedded';
import { SimulatedDisk } from 'semel/testing';
import { onTestFinished } from 'vitest';
import { openEmbeddedStorage } from './embedded-storage.ts';
import { type ServiceOptions, startService } from './service.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, where it is JSON. */
  readonly json: unknown;
}

export interface ServiceUnderTest {
  readonly url: string;
  readonly disk: SimulatedDisk;
  /** What was logged, a line each. */
  readonly log: readonly string[];
  send(method: string, path: string, options?: SendOptions): Promise<Answered>;
  /** Stores JSON under a key, and answers its version. */
  put(key: string, value: unknown): Promise<string>;
  stop(): Promise<void>;
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes and text go as they are; anything else as JSON. */
  readonly body?: unknown;
}

export interface TestedOptions extends Partial<ServiceOptions> {
  readonly disk?: Disk;
  /** Instead of the engine's own. */
  readonly openStore?: (options: OpenOptions) => Promise<EmbeddedStore>;
}

/** The real service on a disk in memory and a port that the system chooses. It stops with its test. */
export async function serviceUnderTest({ openStore, ...options }: TestedOptions = {}): Promise<ServiceUnderTest> {
  const disk = new SimulatedDisk({ seed: 1 });
  const log: string[] = [];
  const service = await startService({
    place: { engine: 'embedded', directory: 'unused' },
    host: '127.0.0.1',
    port: 0,
    apiKeys: undefined,
    logLevel: 'debug',
    openStorage: (context) => openEmbeddedStorage(context, { on: { disk: options.disk ?? disk }, open: openStore }),
    logTo: { write: (line) => void log.push(line) },
    ...options,
  });
  onTestFinished(() => service.stop());
  const { url, stop } = service;
  const send = (method: string, path: string, sendOptions?: SendOptions): Promise<Answered> =>
    sendTo(url, method, path, sendOptions);
  return {
    url,
    disk,
    log,
    send,
    stop,
    async put(key, value) {
      const answered = await send('PUT', `/v1/kv/${encodeURIComponent(key)}`, { body: JSON.stringify(value) });
      if (answered.status > 201) throw new Error(answered.text);
      return answered.headers.get('etag')?.slice(1, -1) ?? '';
    },
  };
}

export async function sendTo(
  url: string,
  method: string,
  path: string,
  { headers = {}, body }: SendOptions = {},
): Promise<Answered> {
  const raw = typeof body === 'string' || body instanceof Uint8Array || body === undefined;
  const response = await fetch(url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: raw ? new Blob([body]) : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

/** The last part of a problem's type. */
export function problemOf({ json }: Answered): string | undefined {
  const type = typeof json === 'object' && json !== null && 'type' in json ? String(json.type) : undefined;
  return type?.replace('https://semel.dev/problems/', '');
}

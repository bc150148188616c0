import { TransactionClosedError } from './errors.ts';
import type { Key } from './key.ts';
import { encodeKey, type EncodedKey } from './tuple.ts';
import { storeValue, type Value } from './value.ts';
import { type Additions, type Write, WriteBuffer } from './write-buffer.ts';

/** What a transaction needs of its attempt to buffer writes. */
export interface BufferingContext {
  readonly running: boolean;
  /** What was told to fit, and is not among the writes any more. */
  registerBounds(told: Additions): void;
}

/**
 * The half of a transaction that is alike in every engine: its writes wait in a buffer, over which a nested scope lays
 * another one. *Open* → *resting* while a nested scope is open, and back; → *closed* with its scope or its attempt.
 */
export abstract class BufferedTransaction {
  readonly #context: BufferingContext;
  readonly #buffer: WriteBuffer;
  #state: 'open' | 'resting' | 'closed' = 'open';

  constructor(context: BufferingContext, buffer: WriteBuffer) {
    this.#context = context;
    this.#buffer = buffer;
  }

  /** A transaction of the same attempt, in a scope of its own. */
  protected abstract within(buffer: WriteBuffer): this;

  /** For the commit. @throws TransactionClosedError where a nested scope is still open, whose writes it would miss */
  takeBuffer(): WriteBuffer {
    if (this.#state === 'resting') throw new TransactionClosedError('a nested scope of it is still open');
    return this.#buffer;
  }

  hasWritten(key: EncodedKey): boolean {
    return this.#buffer.get(key) !== undefined;
  }

  set(key: Key, value: Value): void {
    this.requireOpen();
    this.#replace({ kind: 'set', key: encodeKey(key), stored: storeValue(value) });
  }

  delete(key: Key): void {
    this.requireOpen();
    this.#replace({ kind: 'deleted', key: encodeKey(key), stored: undefined });
  }

  async nest<T>(body: (tx: this) => T | Promise<T>): Promise<T> {
    this.requireOpen();
    const inner = this.within(new WriteBuffer(this.#buffer));
    this.#state = 'resting';
    try {
      const result = await body(inner);
      inner.takeBuffer().join();
      return result;
    } catch (error) {
      inner.#forgetAdditions();
      throw error;
    } finally {
      inner.#state = 'closed';
      // Its own scope may have ended meanwhile, if nobody waited for this one.
      if (this.#state === 'resting') this.#state = 'open';
    }
  }

  protected requireOpen(): void {
    if (!this.#context.running) throw new TransactionClosedError('its attempt has ended');
    if (this.#state === 'closed') throw new TransactionClosedError('its nested scope has ended');
    if (this.#state === 'resting') throw new TransactionClosedError('a nested scope of it is open');
  }

  /** A write that takes the place of additions. That they fitted was told, so it must hold although they are gone. */
  #replace(write: Write): void {
    const before = this.#buffer.put(write);
    if (before?.kind === 'added') this.#context.registerBounds(before);
  }

  #forgetAdditions(): void {
    for (const write of this.#buffer.own()) if (write.kind === 'added') this.#context.registerBounds(write);
  }
}

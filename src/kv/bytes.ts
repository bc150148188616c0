import { assert } from './assert.ts';

const initialBytes = 1_024;

/** A buffer that grows. What it wrote, `ByteReader` reads back in the same order. Numbers are little-endian. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(initialBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** An unsigned integer up to 2^53 - 1, seven bits a byte, low bits first (LEB128). */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a varint is an unsigned safe integer');
    this.#reserve(8);
    let rest = value;
    // Division rather than shifts, which would cut at 32 bits.
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string, encoding: 'utf8' | 'latin1'): void {
    const length = encoding === 'latin1' ? value.length : Buffer.byteLength(value);
    this.varint(length);
    this.#reserve(length);
    this.#length += this.#buffer.write(value, this.#length, encoding);
  }

  /** A copy of all that was written. */
  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
      assert(scale <= 2 ** 49, 'a varint is at most eight bytes');
    }
  }

  double(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  /** A copy, so that nothing keeps the whole buffer alive. */
  bytes(): Uint8Array {
    const length = this.varint();
    const at = this.#take(length);
    return new Uint8Array(this.#buffer.subarray(at, at + length));
  }

  text(encoding: 'utf8' | 'latin1'): string {
    const length = this.varint();
    const at = this.#take(length);
    return this.#buffer.toString(encoding, at, at + length);
  }

  #take(count: number): number {
    const at = this.#at;
    assert(at + count <= this.#buffer.length, 'what is read was written');
    this.#at = at + count;
    return at;
  }
}

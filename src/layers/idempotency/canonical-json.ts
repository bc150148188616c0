/**
 * The largest text of which the canonical form is looked for. That takes up to four times as long as `JSON.parse`, on the thread
 * that serves everybody, and again for each duplicate: at this size some 5 ms for ordinary documents, and 20 ms for the worst
 * known, one object of 13,000 unsorted names. A larger text counts by its bytes. Who sends it again in another spelling meets a
 * mismatch, the answer that does no harm.
 */
export const canonicalBytesMax = 131_072;

/**
 * The canonical form of RFC 8785, if `bytes` are I-JSON (RFC 7493) and no more than `canonicalBytesMax`; otherwise `undefined`.
 *
 * Only I-JSON has one meaning for every reader, so only for it may two spellings count as the same. `JSON.parse` alone
 * would make 9007199254740993 equal to 9007199254740992, and `{"a":1,"a":2}` equal to `{"a":2}`: one request would be
 * answered with the outcome of another.
 *
 * What `JSON.parse` forgets is looked for beside it: in the bytes, numbers that lose digits; in the strings, characters that are
 * none; and where fewer names are left than were written, some were duplicates.
 */
export function canonicalJson(bytes: Uint8Array): string | undefined {
  if (bytes.length > canonicalBytesMax) return undefined;
  // In this order, for the survey stops where a parser would begin to suffer.
  const namesWritten = survey(bytes);
  if (namesWritten === undefined) return undefined;
  const parsed = parse(bytes);
  if (parsed === undefined) return undefined;
  const writer = new CanonicalWriter();
  const text = writer.write(parsed.value);
  return writer.forbidden || writer.names !== namesWritten ? undefined : text;
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** It keeps a byte order mark, on which `JSON.parse` then fails: RFC 8259, section 8.1, forbids to send one. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parse(bytes: Uint8Array): { readonly value: Json } | undefined {
  try {
    return { value: JSON.parse(utf8.decode(bytes)) as Json };
  } catch {
    return undefined;
  }
}

/** Far beyond any document with a meaning, and far from where recursion ends. */
const depthMax = 1_000;

const quote = 0x22;
const minus = 0x2d;
const point = 0x2e;
const nine = 0x39;
const zero = 0x30;
const colon = 0x3a;
const plus = 0x2b;
const backslash = 0x5c;
const letterE = 0x65;
/** `[` and `{`, `]` and `}` differ in one bit. */
const lowerCaseBit = 0x20;
const opening = 0x7b;
const closing = 0x7d;

/**
 * How many names of members a text has, if it is JSON at all; `undefined`, if it is too deep or has a number that loses digits. One
 * loop over the bytes, which suffice: everything that matters is ASCII, and no part of another character in UTF-8 is.
 */
function survey(bytes: Uint8Array): number | undefined {
  const characters = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  let names = 0;
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = endOfString(bytes, at + 1);
    else if (byte === minus || (byte >= zero && byte <= nine)) {
      const end = endOfNumber(bytes, at, characters);
      if (end === undefined) return undefined;
      at = end;
    } else if (byte === colon) names += 1;
    else if ((byte | lowerCaseBit) === opening) {
      depth += 1;
      if (depth > depthMax) return undefined;
    } else if ((byte | lowerCaseBit) === closing) depth -= 1;
  }
  return names;
}

/** Where the closing quote is. */
function endOfString(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

/** Where the number's last character is; `undefined` if the number loses digits. */
function endOfNumber(bytes: Uint8Array, start: number, characters: string): number | undefined {
  let digits = 0;
  let exponent = 0;
  let inExponent = false;
  let at = start;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte >= zero && byte <= nine) {
      if (inExponent) exponent = exponent * 10 + byte - zero;
      else digits += 1;
    } else if ((byte | lowerCaseBit) === letterE) inExponent = true;
    else if (byte !== point && byte !== minus && byte !== plus) break;
  }
  const plain = digits <= digitsKept && digits + exponent <= magnitudePlain;
  return plain || keepsItsValue(characters.slice(start, at)) ? at - 1 : undefined;
}

/** Any decimal of 15 significant digits survives the way to a double and back (DBL_DIG of C), */
const digitsKept = 15;
/** as long as the double is neither infinite nor subnormal: it lies between 1e-307 and 1e307. */
const magnitudePlain = 307;

/** Whether the double nearest to a number prints as the decimal value that was written: 1.10 does, 1e400 and 2^53 + 1 do not. */
function keepsItsValue(written: string): boolean {
  const value = Number(written);
  const printed = String(value);
  if (printed === written) return true;
  return Number.isFinite(value) && decimal(printed) === decimal(written);
}

/** A decimal number in one spelling: its digits from the first to the last that is not zero, and the exponent before them. */
function decimal(number: string): string {
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(number);
  if (match === null) return number;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return '0';
  const significant = digits.slice(0, digits.length - trailingZeros(digits));
  // The value is 0.significant times ten to this power.
  const power = digits.length - fraction.length + Number(exponent);
  return `${sign}0.${significant}e${power}`;
}

/** By hand: the pattern /0+$/ takes quadratic time over long runs of zeros inside. */
function trailingZeros(digits: string): number {
  let count = 0;
  while (digits.charAt(digits.length - 1 - count) === '0') count += 1;
  return count;
}

/**
 * RFC 8785, section 3.2: no white space, numbers and strings as ECMAScript writes them, members in the order of their names' code
 * units. It recurses no deeper than the survey let through.
 */
class CanonicalWriter {
  /** Names written so far. */
  names = 0;
  /** Whether a string had a character that I-JSON forbids. */
  forbidden = false;

  write(value: Json): string {
    if (typeof value === 'string') return this.#string(value);
    if (value === null || typeof value !== 'object') return String(value);
    return isArray(value) ? this.#array(value) : this.#object(value);
  }

  #array(items: readonly Json[]): string {
    let text = '[';
    for (const item of items) text += `${text === '[' ? '' : ','}${this.write(item)}`;
    return `${text}]`;
  }

  #object(members: { readonly [name: string]: Json }): string {
    const names = Object.keys(members).sort();
    this.names += names.length;
    let text = '{';
    for (const name of names) {
      text += `${text === '{' ? '' : ','}${this.#string(name)}:${this.write(members[name] ?? null)}`;
    }
    return `${text}}`;
  }

  #string(content: string): string {
    if (!notPlain.test(content)) return `"${content}"`;
    this.forbidden ||= forbiddenCharacter.test(content);
    return JSON.stringify(content);
  }
}

/** Anything but ASCII that is written as it is. */
const notPlain = /[^ !#-[\]-~]/;

/** RFC 7493, section 2.1: neither surrogates (lone ones, under the flag `u`) nor noncharacters. */
const forbiddenCharacter = /[\p{Surrogate}\p{Noncharacter_Code_Point}]/u;

/** `Array.isArray` does not tell the compiler about read-only arrays. */
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

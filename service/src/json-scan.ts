export interface JsonBounds {
  /** Levels of arrays and objects. */
  readonly depthMax: number;
  /** Values in all: the document, and every item and member in it. */
  readonly nodesMax: number;
}

/** Carries a refusal up out of the recursion; it never leaves `parseJson`. */
export class Refusal extends Error {
  readonly pointer: string | undefined;

  constructor(reason: string, pointer?: string) {
    super(reason);
    this.pointer = pointer;
  }
}

/** One member of a JSON Pointer, escaped. */
export function pointerPart(name: string | number): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/**
 * One pass over the bytes of a JSON text, which makes nothing: it finds out whether the text is JSON, within bounds, and
 * without what a reader alters in silence. It does not look at whether strings are UTF-8; what decodes them does.
 */
export class JsonScan {
  readonly #bytes: Uint8Array;
  readonly #bounds: JsonBounds;
  readonly #refusesDuplicates: boolean;
  /** Where it is: at each level the index of the item, or the complement (`~`) of where the member's name begins. */
  readonly #places: number[] = [];
  #level = 0;
  #at = 0;
  #nodes = 0;
  #members = 0;

  constructor(bytes: Uint8Array, bounds: JsonBounds, { refusesDuplicates = false } = {}) {
    this.#bytes = bytes;
    this.#bounds = bounds;
    this.#refusesDuplicates = refusesDuplicates;
  }

  /** Members of all objects that were scanned. */
  get members(): number {
    return this.#members;
  }

  /** @throws Refusal */
  document(): 'json' | 'too-many-nodes' {
    const [first, second, third] = this.#bytes;
    if (first === 0xef && second === 0xbb && third === 0xbf) this.#at = 3;
    try {
      this.#value();
    } catch (error) {
      if (error instanceof TooManyNodes) return 'too-many-nodes';
      throw error;
    }
    if (this.#next() !== undefined) this.#fail('the end');
    return 'json';
  }

  #value(): void {
    if (++this.#nodes > this.#bounds.nodesMax) throw new TooManyNodes();
    const character = this.#next();
    switch (character) {
      case code.openBrace:
        return this.#object();
      case code.openBracket:
        return this.#array();
      case code.quote:
        return this.#string();
      case code.t:
        return this.#word('true');
      case code.f:
        return this.#word('false');
      case code.n:
        return this.#word('null');
      default:
        return this.#number();
    }
  }

  #object(): void {
    this.#descend();
    const names = this.#refusesDuplicates ? new Set<string>() : undefined;
    if (this.#takes(code.closeBrace)) return;
    do {
      if (this.#next() !== code.quote) this.#fail("a member's name");
      const start = this.#at;
      this.#string();
      this.#members++;
      this.#places[this.#level++] = ~start;
      if (names !== undefined && names.size === names.add(this.#nameAt(start)).size) {
        this.#refuse('the object has two members of this name');
      }
      if (!this.#takes(code.colon)) this.#fail('a colon');
      this.#value();
      this.#level--;
    } while (this.#takes(code.comma));
    if (!this.#takes(code.closeBrace)) this.#fail('a comma or the end of the object');
  }

  #array(): void {
    this.#descend();
    if (this.#takes(code.closeBracket)) return;
    let index = 0;
    do {
      this.#places[this.#level++] = index++;
      this.#value();
      this.#level--;
    } while (this.#takes(code.comma));
    if (!this.#takes(code.closeBracket)) this.#fail('a comma or the end of the array');
  }

  #string(): void {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    for (;;) {
      const byte = bytes[at];
      if (byte === code.quote) break;
      if (byte === code.backslash) {
        this.#at = at;
        this.#escape();
        at = this.#at;
      } else if (byte === undefined || byte < 0x20) {
        this.#at = at;
        this.#fail('a character of a string, or its end');
      } else {
        at++;
      }
    }
    this.#at = at + 1;
  }

  #escape(): void {
    const kind = this.#bytes[this.#at + 1] ?? 0;
    if (kind !== code.u) {
      if (!escapes.has(kind)) this.#fail('an escape');
      this.#at += 2;
      return;
    }
    const unit = this.#unit(this.#at);
    if (unit === undefined) this.#fail('four hexadecimal digits');
    this.#at += 6;
    if (unit < 0xd800 || unit > 0xdfff) return;
    // Half of a pair: only the first half, with the second right behind it, will do.
    const second = this.#unit(this.#at) ?? 0;
    if (unit > 0xdbff || second < 0xdc00 || second > 0xdfff) {
      this.#refuse('the string holds half of a surrogate pair, which is no character');
    }
    this.#at += 6;
  }

  /** The UTF-16 code unit that the escape at a place stands for; undefined where there is none. */
  #unit(at: number): number | undefined {
    const bytes = this.#bytes;
    if (bytes[at] !== code.backslash || bytes[at + 1] !== code.u) return undefined;
    let unit = 0;
    for (let place = at + 2; place < at + 6; place++) {
      const digit = hexadecimal(bytes[place] ?? 0);
      if (digit === undefined) return undefined;
      unit = unit * 16 + digit;
    }
    return unit;
  }

  #number(): void {
    const start = this.#at;
    if (this.#bytes[this.#at] === code.minus) this.#at++;
    const integerDigits = this.#bytes[this.#at] === code.zero ? this.#skip(1) : this.#digits();
    if (integerDigits === 0) this.#failAt(start, 'a value');
    if (this.#bytes[this.#at] === code.point) this.#fraction();
    const exponent = this.#bytes[this.#at];
    const hasExponent = exponent === code.e || exponent === code.E;
    if (hasExponent) this.#exponent();
    // Most numbers are short, and need not be made to be known as safe.
    if (integerDigits <= safeDigits && !hasExponent) return;
    const value = Number(Buffer.from(this.#bytes.subarray(start, this.#at)).toString());
    if (!Number.isFinite(value)) this.#refuse('the number is beyond what an IEEE 754 double can hold');
    if (!hasExponent && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
      this.#refuse('the number is beyond ±(2^53 - 1), where JSON readers round; send it as a string');
    }
  }

  #fraction(): void {
    this.#at++;
    if (this.#digits() === 0) this.#fail('a digit');
  }

  #exponent(): void {
    this.#at++;
    const sign = this.#bytes[this.#at];
    if (sign === code.plus || sign === code.minus) this.#at++;
    if (this.#digits() === 0) this.#fail('a digit');
  }

  /** Past the digits that follow. The answer is how many they were. */
  #digits(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    for (let byte = bytes[at]; byte !== undefined && byte >= code.zero && byte <= code.nine; byte = bytes[at]) at++;
    this.#at = at;
    return at - start;
  }

  #skip(count: number): number {
    this.#at += count;
    return count;
  }

  #word(word: string): void {
    for (let place = 0; place < word.length; place++) {
      if (this.#bytes[this.#at + place] !== word.charCodeAt(place)) this.#fail('a value');
    }
    this.#at += word.length;
  }

  #takes(character: number): boolean {
    if (this.#next() !== character) return false;
    this.#at++;
    return true;
  }

  /** The byte behind the whitespace, which is skipped; undefined at the end. */
  #next(): number | undefined {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at++;
    }
  }

  /** Past the opening bracket. The recursion is bounded here, or a body of brackets would exhaust the stack. */
  #descend(): void {
    this.#at++;
    const { depthMax } = this.#bounds;
    if (this.#level >= depthMax) this.#refuse(`the value is nested deeper than ${depthMax} levels`);
  }

  #fail(expected: string): never {
    this.#failAt(this.#at, expected);
  }

  #failAt(at: number, expected: string): never {
    const found = at < this.#bytes.length ? `at byte ${at}` : 'at its end';
    throw new Refusal(`the body is not JSON: expected ${expected} ${found}`);
  }

  #refuse(reason: string): never {
    const places = this.#places.slice(0, this.#level);
    throw new Refusal(reason, places.map((place) => pointerPart(place < 0 ? this.#nameAt(~place) : place)).join(''));
  }

  /** The name that begins at a place and was scanned before. */
  #nameAt(start: number): string {
    const scan = new JsonScan(this.#bytes, this.#bounds);
    scan.#at = start;
    scan.#string();
    return String(JSON.parse(Buffer.from(this.#bytes.subarray(start, scan.#at)).toString()));
  }
}

class TooManyNodes extends Error {}

const code = Object.freeze({
  quote: 0x22,
  plus: 0x2b,
  comma: 0x2c,
  minus: 0x2d,
  point: 0x2e,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  E: 0x45,
  openBracket: 0x5b,
  backslash: 0x5c,
  closeBracket: 0x5d,
  a: 0x61,
  e: 0x65,
  f: 0x66,
  n: 0x6e,
  t: 0x74,
  u: 0x75,
  openBrace: 0x7b,
  closeBrace: 0x7d,
});

/** What may follow a backslash, beside the u. */
const escapes: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));

/** Every integer of so many digits is below 2^53. */
const safeDigits = 15;

function hexadecimal(byte: number): number | undefined {
  if (byte >= code.zero && byte <= code.nine) return byte - code.zero;
  // The small letters are the capital ones plus 0x20.
  const letter = byte | 0x20;
  return letter >= code.a && letter <= code.f ? letter - code.a + 10 : undefined;
}

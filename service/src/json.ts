/** What JSON can say, and nothing else. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export type JsonOutcome =
  | { readonly outcome: 'ok'; readonly value: Json }
  | {
      readonly outcome: 'refused';
      /** Says what is wrong, without a copy of what was sent. */
      readonly reason: string;
      /** RFC 6901, to the value that is refused; absent where the text is no JSON at all. */
      readonly pointer?: string;
    };

/**
 * Reads I-JSON (RFC 7493): JSON that every reader understands alike. `JSON.parse` alters in silence what is not: it rounds
 * 9007199254740993 to …992, and of two members with one name it drops the first. A store that hands back something else
 * than it was given has lost data, so both are refused here. Fractions and numbers with an exponent are taken as the
 * nearest IEEE 754 double, as RFC 7493 says.
 */
export function parseJson(bytes: Uint8Array, options: { readonly depthMax: number }): JsonOutcome {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return { outcome: 'refused', reason: 'the body is not UTF-8' };
  }
  try {
    return { outcome: 'ok', value: new Parser(text, options.depthMax).document() };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.pointer === undefined
      ? { outcome: 'refused', reason: error.message }
      : { outcome: 'refused', reason: error.message, pointer: error.pointer };
  }
}

/** One member of a JSON Pointer, escaped. */
export function pointerPart(name: string | number): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** RFC 8259, section 8.1: a parser may ignore a byte order mark rather than fail; a decoder without `ignoreBOM` drops it. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

const whitespace = /[ \t\n\r]*/y;
const numeral = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

/** Carries a refusal up out of the recursion; it never leaves this file. */
class Refusal extends Error {
  readonly pointer: string | undefined;

  constructor(reason: string, pointer?: string) {
    super(reason);
    this.pointer = pointer;
  }
}

class Parser {
  readonly #text: string;
  readonly #depthMax: number;
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  document(): Json {
    const value = this.#value();
    this.#skipWhitespace();
    if (this.#at < this.#text.length) this.#fail('the end');
    return value;
  }

  #value(): Json {
    this.#skipWhitespace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(): Json {
    this.#descend();
    const object: Record<string, Json> = {};
    if (!this.#takes('}')) {
      do {
        this.#skipWhitespace();
        if (this.#text[this.#at] !== '"') this.#fail("a member's name");
        const name = this.#string();
        this.#path.push(name);
        if (Object.hasOwn(object, name)) this.#refuse('the object has two members of this name');
        if (!this.#takes(':')) this.#fail('a colon');
        setMember(object, name, this.#value());
        this.#path.pop();
      } while (this.#takes(','));
      if (!this.#takes('}')) this.#fail('a comma or the end of the object');
    }
    return object;
  }

  #array(): Json {
    this.#descend();
    const array: Json[] = [];
    if (!this.#takes(']')) {
      do {
        this.#path.push(array.length);
        array.push(this.#value());
        this.#path.pop();
      } while (this.#takes(','));
      if (!this.#takes(']')) this.#fail('a comma or the end of the array');
    }
    return array;
  }

  /** `JSON.parse` judges the escapes and control characters, once the end is found: the next quote with no odd backslash. */
  #string(): string {
    let end = this.#at;
    let backslashes: number;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end === -1) this.#fail('the end of a string');
      backslashes = 0;
      while (this.#text[end - 1 - backslashes] === '\\') backslashes++;
    } while (backslashes % 2 === 1);
    let value: unknown;
    try {
      value = JSON.parse(this.#text.slice(this.#at, end + 1));
    } catch {
      this.#fail('a string');
    }
    if (typeof value !== 'string') this.#fail('a string');
    if (!value.isWellFormed()) this.#refuse('the string holds half of a surrogate pair, which is no character');
    this.#at = end + 1;
    return value;
  }

  #number(): number {
    numeral.lastIndex = this.#at;
    const match = numeral.exec(this.#text);
    if (match === null) this.#fail('a value');
    const [literal, , exponent] = match;
    const value = Number(literal);
    if (!Number.isFinite(value)) this.#refuse('the number is beyond what an IEEE 754 double can hold');
    if (exponent === undefined && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
      this.#refuse('the number is beyond ±(2^53 - 1), where JSON readers round; send it as a string');
    }
    this.#at += literal.length;
    return value;
  }

  #word(word: string, value: Json): Json {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value');
    this.#at += word.length;
    return value;
  }

  #takes(character: string): boolean {
    this.#skipWhitespace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipWhitespace(): void {
    // Mostly there is none, and a pattern costs ten times as much as a look.
    if (this.#text.charCodeAt(this.#at) > 0x20) return;
    whitespace.lastIndex = this.#at;
    whitespace.test(this.#text);
    this.#at = whitespace.lastIndex;
  }

  /** Past the opening bracket. The recursion is bounded here, or a body of brackets would exhaust the stack. */
  #descend(): void {
    this.#at++;
    if (this.#path.length >= this.#depthMax) this.#refuse(`the value is nested deeper than ${this.#depthMax} levels`);
  }

  #fail(expected: string): never {
    const found = this.#at < this.#text.length ? `at character ${this.#at}` : 'at its end';
    throw new Refusal(`the body is not JSON: expected ${expected} ${found}`);
  }

  #refuse(reason: string): never {
    throw new Refusal(reason, this.#path.map(pointerPart).join(''));
  }
}

/** Plain assignment to `__proto__` would set the prototype instead of a member. */
function setMember(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') Object.defineProperty(object, name, { value, enumerable: true, configurable: true });
  else object[name] = value;
}

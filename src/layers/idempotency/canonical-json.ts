import canonicalize from 'canonicalize';

/**
 * The canonical form of RFC 8785, if `bytes` are I-JSON (RFC 7493); otherwise `undefined`.
 *
 * Only I-JSON has one meaning for every reader, so only for it may two spellings count as the same. `JSON.parse` alone
 * would make 9007199254740993 equal to 9007199254740992, and `{"a":1,"a":2}` equal to `{"a":2}`: one request would be
 * answered with the outcome of another.
 */
export function canonicalJson(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes);
    // In this order, for the scan stops where a parser would begin to suffer.
    return hasOneMeaning(text) ? canonicalize(JSON.parse(text)) : undefined;
  } catch {
    return undefined;
  }
}

/** It keeps a byte order mark, on which `JSON.parse` then fails: RFC 8259, section 8.1, forbids to send one. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Far beyond any document with a meaning. A megabyte of brackets would keep parser and canonicalizer busy for a second. */
const depthMax = 1_000;

/**
 * Whether a text, if it is JSON at all, has no duplicate names, no forbidden characters, no number that loses digits, and a
 * sane depth. It is a loop over tokens and neither recurses nor backtracks: on a string of 20 MB, a pattern for string
 * tokens overflows V8's stack.
 */
function hasOneMeaning(text: string): boolean {
  /** The names seen so far in each open object; `undefined` for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let nameIsNext = false;
  let at = 0;
  while (at < text.length) {
    const first = text.charAt(at);
    const end = endOfToken(text, at, first);
    switch (first) {
      case '{':
      case '[':
        if (open.length >= depthMax) return false;
        open.push(first === '{' ? new Set() : undefined);
        nameIsNext = first === '{';
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        nameIsNext = open.at(-1) !== undefined;
        break;
      case '"': {
        const content: unknown = JSON.parse(text.slice(at, end));
        if (typeof content !== 'string' || forbiddenCharacter.test(content)) return false;
        if (nameIsNext && !isNew(open.at(-1), content)) return false;
        nameIsNext = false;
        break;
      }
      default:
        if (beginsNumber(first) && !keepsItsValue(text.slice(at, end))) return false;
    }
    at = end;
  }
  return true;
}

const numberCharacters = '0123456789.eE+-';

/** White space, colons and the letters of literals need no look; they pass one by one. */
function endOfToken(text: string, start: number, first: string): number {
  if (first === '"') return endOfString(text, start);
  let end = start + 1;
  if (beginsNumber(first)) while (end < text.length && numberCharacters.includes(text.charAt(end))) end += 1;
  return end;
}

function beginsNumber(character: string): boolean {
  return character === '-' || (character >= '0' && character <= '9');
}

/** Behind the quote that no odd number of backslashes precedes. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let content = quote;
    while (text.charAt(content - 1) === '\\') content -= 1;
    if ((quote - content) % 2 === 0) return quote + 1;
  }
  return text.length;
}

function isNew(names: Set<string> | undefined, name: string): boolean {
  if (names?.has(name)) return false;
  names?.add(name);
  return true;
}

/** RFC 7493, section 2.1: neither surrogates (lone ones, under the flag `u`) nor noncharacters. */
const forbiddenCharacter = /[\p{Surrogate}\p{Noncharacter_Code_Point}]/u;

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

import canonicalize from 'canonicalize';

/**
 * The canonical form of RFC 8785, if `bytes` are I-JSON (RFC 7493); otherwise `undefined`.
 *
 * Only I-JSON has one meaning for every reader, so only for it may two spellings count as the same. `JSON.parse` alone
 * would make 9007199254740993 equal to 9007199254740992, and `{"a":1,"a":2}` equal to `{"a":2}`: one request would be
 * answered with the outcome of another. Nothing here recurses, so depth cannot overflow the stack.
 */
export function canonicalJson(bytes: Uint8Array): string | undefined {
  let text: string;
  let parsed: unknown;
  try {
    text = utf8.decode(bytes);
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  return hasOneMeaning(text) ? canonicalize(parsed) : undefined;
}

/** It keeps a byte order mark, on which `JSON.parse` then fails: RFC 8259, section 8.1, forbids to send one. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What a token of JSON begins with; white space, colons and literals need no look. Sticky, so that a match is a step. */
const token = /"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[{}[\],]/g;

/** Whether a text that `JSON.parse` took has no duplicate names, no forbidden characters and no number that loses digits. */
function hasOneMeaning(text: string): boolean {
  /** The names seen so far in each open object; `undefined` for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let nameIsNext = false;
  for (const [found] of text.matchAll(token)) {
    const names = open.at(-1);
    switch (found[0]) {
      case '{':
        open.push(new Set());
        nameIsNext = true;
        break;
      case '[':
        open.push(undefined);
        nameIsNext = false;
        break;
      case '}':
      case ']':
        open.pop();
        nameIsNext = false;
        break;
      case ',':
        nameIsNext = names !== undefined;
        break;
      case '"': {
        const content: unknown = JSON.parse(found);
        if (typeof content !== 'string' || forbiddenCharacter.test(content)) return false;
        if (nameIsNext && names !== undefined) {
          if (names.has(content)) return false;
          names.add(content);
          nameIsNext = false;
        }
        break;
      }
      default:
        if (!keepsItsValue(found)) return false;
    }
  }
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

export type ParsedIdempotencyKey =
  | { readonly outcome: 'key'; readonly key: string }
  | { readonly outcome: 'absent' }
  /** `reason` tells the rule that was broken and nothing of what was sent, so that it may stand in an answer. */
  | { readonly outcome: 'invalid'; readonly reason: string };

/** Every server that was looked at takes at least a UUID; 255 is the largest bound that any of them publishes (Stripe's). */
export const idempotencyKeyCharsMax = 255;

const visibleAscii = /^[\x21-\x7e]+$/;

/** Whether `key` is one as this library stores it: 1 to 255 visible ASCII characters. */
export function isIdempotencyKey(key: string): boolean {
  return key.length <= idempotencyKeyCharsMax && visibleAscii.test(key);
}

/**
 * Reads the field `Idempotency-Key`. The draft (draft-ietf-httpapi-idempotency-key-header-07, section 2.1) wants a String of
 * RFC 9651: `"8e03978e-…"`. The clients in the field send it bare, which no structured type allows when it begins with
 * a digit. Both are taken, and `"k"` is the same key as `k`: a client that corrects its spelling between two attempts
 * must not execute twice.
 *
 * Several fields of the name arrive joined by commas. That is a list, and refused: which of them is the identity?
 */
export function parseIdempotencyKey(field: string | undefined): ParsedIdempotencyKey {
  if (field === undefined) return { outcome: 'absent' };
  const text = withoutOuterBlanks(field);
  if (text === '') return invalid('the key must not be empty');
  const unquoted = text.startsWith('"') ? unquote(text) : bare(text);
  if (unquoted.outcome === 'invalid') return unquoted;
  const { key } = unquoted;
  if (key === '') return invalid('the key must not be empty');
  if (key.length > idempotencyKeyCharsMax) {
    return invalid(`the key must have at most ${idempotencyKeyCharsMax} characters`);
  }
  if (!visibleAscii.test(key)) return invalid('the key must consist of visible ASCII characters, without spaces');
  return unquoted;
}

type Unquoted = Extract<ParsedIdempotencyKey, { outcome: 'key' | 'invalid' }>;

function bare(text: string): Unquoted {
  if (/[,;"]/.test(text)) {
    return invalid(
      'a key without quotes must not contain commas, semicolons or quotes; lists and parameters are refused',
    );
  }
  return { outcome: 'key', key: text };
}

/** RFC 9651, section 4.2.5, with nothing allowed behind the closing quote. */
function unquote(text: string): Unquoted {
  let key = '';
  for (let at = 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') {
      if (at < text.length - 1) return invalid('nothing may follow the quoted key; lists and parameters are refused');
      return { outcome: 'key', key };
    }
    if (character !== '\\') {
      key += character;
      continue;
    }
    at += 1;
    const escaped = text.charAt(at);
    if (escaped !== '"' && escaped !== '\\')
      return invalid('a backslash in a quoted key must precede a quote or a backslash');
    key += escaped;
  }
  return invalid('a quoted key must end with a quote');
}

/** Blanks round a field's value belong to HTTP, not to the value (RFC 9110, section 5.5). */
function withoutOuterBlanks(field: string): string {
  return field.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '');
}

function invalid(reason: string): Extract<ParsedIdempotencyKey, { outcome: 'invalid' }> {
  return { outcome: 'invalid', reason };
}

/**
 * How long the server asks to wait, in milliseconds: whole seconds, or an HTTP-date (RFC 9110, section 10.2.3). `undefined`
 * where it does not ask, or nobody can tell for how long.
 *
 * A date is compared with the answer's own `Date`, so that it does not matter how wrong the clock here is.
 */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('retry-after')?.trim();
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const untilMs = httpDate(value);
  if (untilMs === undefined) return undefined;
  return Math.max(0, untilMs - (httpDate(headers.get('date')) ?? nowMs));
}

/** `Date.parse` makes something of almost anything, so what is no date of HTTP's forms is sorted out before. */
function httpDate(value: string | null): number | undefined {
  if (value === null || !/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(value)) return undefined;
  // The obsolete form of asctime has no zone, and means GMT.
  const atMs = Date.parse(value.includes(',') ? value : `${value} GMT`);
  return Number.isNaN(atMs) ? undefined : atMs;
}

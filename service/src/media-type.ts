/** Whether a body is JSON as the service takes it: `application/json`, in UTF-8, and not compressed. */
export function isJson(headers: {
  readonly 'content-type'?: string | undefined;
  readonly 'content-encoding'?: string | undefined;
}): boolean {
  const [essence = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';');
  if (essence.trim() !== 'application/json') return false;
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') return false;
  // RFC 8259, section 8.1: JSON between systems is UTF-8. A charset that says so does no harm.
  return parameters.every((parameter) => /^\s*(charset\s*=\s*"?utf-8"?)?\s*$/.test(parameter));
}

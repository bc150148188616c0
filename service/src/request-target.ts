/**
 * A request target comes as `/path`, or in its absolute form, `http://host/path`, which a server must take too (RFC 9112,
 * section 3.2.2). What follows reads either.
 */
const absoluteForm = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i;

/** The target without a scheme and host before it. */
export function originForm(target: string): string {
  return target.replace(absoluteForm, '');
}

export function pathOf(target: string): string {
  return originForm(target).split('?', 1)[0] ?? '';
}

/** The host and port that are addressed. Section 3.2.2: those of an absolute form count, whatever the field `Host` says. */
export function authorityOf(target: string, host: string | undefined): string | undefined {
  return absoluteForm.exec(target)?.[1] ?? host;
}

/** Whether a host's name is one that no other machine can have: a loopback address, or the name that stands for them. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

/** The same of a host with its port, as it stands in `Host` or in an origin; an IPv6 address is in brackets there. */
export function isLoopbackAuthority(authority: string): boolean {
  const [, address, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?$/.exec(authority.toLowerCase()) ?? [];
  return isLoopback(address ?? name ?? '');
}

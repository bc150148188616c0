/** Where the data are, as the command line says it. */
export type DataPlace =
  | { readonly engine: 'embedded'; readonly directory: string }
  /** `url` holds a password, most often: it goes to the driver and nowhere else. */
  | { readonly engine: 'postgres'; readonly url: string; readonly schema: string };

/** The place in words, for people and logs, without user and password. */
export function nameOfPlace(place: DataPlace): string {
  if (place.engine === 'embedded') return place.directory;
  const { protocol, host, pathname } = new URL(place.url);
  return `${protocol}//${host}${pathname}, schema ${place.schema}`;
}

/** What is wrong with the address of a database, in words that do not quote it. */
export function postgresUrlFault(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^postgres(?:ql)?:$/.test(parsed.protocol)) {
    return 'expected postgres://user:password@host:port/database, with what is not a letter or a digit percent-encoded';
  }
  // A password with / or ? or # in it ends early, and its rest would be taken for the name of a database, which errors quote.
  if (parsed.hash !== '' || parsed.pathname.includes('@') || parsed.search.includes('@')) {
    return 'there is an @ or a # behind the host: percent-encode what the password has of / ? # and @';
  }
  return undefined;
}

/** For words that quote what was typed, in the wrong place say. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(/:\/\/\S*@/g, '://…@');
}

import { chown } from 'node:fs/promises';
import process from 'node:process';

interface Identity {
  /** For `spawn`: as whom a server runs. */
  readonly credentials: { readonly uid?: number; readonly gid?: number };
  /** Gives a file to who runs the server. */
  readonly own: (path: string) => Promise<void>;
}

/** It has this number wherever there is one. */
const nobody = { uid: 65_534, gid: 65_534 };

/** As whom a server runs that refuses to run as root, as PostgreSQL and PgBouncer do: containers run as nothing else. */
export function unprivileged(): Identity {
  if (process.getuid?.() !== 0) return { credentials: {}, own: async () => undefined };
  return { credentials: nobody, own: (path) => chown(path, nobody.uid, nobody.gid) };
}

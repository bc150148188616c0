import type { ReadTransaction, Store, World } from 'semel';
import { entryJson } from './entry-json.ts';
import { checkKey } from './kv-key.ts';
import { kvRange, nameOf, restOf, type Stretch } from './kv-space.ts';
import { serviceLimits } from './service-limits.ts';

export interface RangeQuery {
  readonly stretch: Stretch;
  readonly limit: number;
  readonly reverse: boolean;
}

export interface Page {
  /** Each entry as JSON. */
  readonly entries: readonly string[];
  /** Leads to the next page; absent on the last. */
  readonly cursor: string | undefined;
}

export type PageOutcome =
  | { readonly outcome: 'page'; readonly page: Page }
  | { readonly outcome: 'cursor-gone' }
  | { readonly outcome: 'cursor-of-another-query' };

/**
 * Pages through a range on one snapshot. A session is a `store.read` whose body is held open between requests.
 *
 *     (none) --first page, and there is more--> open --idle, old, crowded out, or the service closes--> gone
 *
 * A cursor is the session's name, which cannot be guessed, and the last key of the page before. The server keeps no
 * position: any cursor of a session may be sent again and yields its page again, so a retry never skips one. A session
 * does not end with its last page, for the same reason; it ends when it has been idle. A body that fails (the store closes)
 * ends its session; a page being read from it then is gone as well.
 */
export class Paging {
  readonly #store: Store;
  readonly #world: World;
  readonly #sessionsMax: number;
  /** In order of last use. */
  readonly #sessions = new Map<string, Session>();
  #closed = false;

  constructor({ store, max, world }: { readonly store: Store; readonly max: number; readonly world: World }) {
    this.#store = store;
    this.#world = world;
    this.#sessionsMax = max;
  }

  get openCount(): number {
    return this.#sessions.size;
  }

  async firstPage(tenant: string, query: RangeQuery): Promise<Page> {
    const session = await this.#open(tenant, query);
    let page: Page;
    try {
      page = await readPage(session, query, query.stretch);
    } catch (error) {
      session.end();
      throw error;
    }
    if (page.cursor === undefined || this.#closed) session.end();
    else this.#keep(session);
    return page;
  }

  async nextPage(tenant: string, query: RangeQuery, cursor: string): Promise<PageOutcome> {
    const { id, last } = parseCursor(cursor);
    const session = this.#sessions.get(id);
    // A stranger's session is no different from none: the answer must not tell that it exists.
    if (session?.tenant !== tenant) return { outcome: 'cursor-gone' };
    // Made up: no page ends with what is no key.
    if (checkKey(last).outcome === 'refused') return { outcome: 'cursor-gone' };
    if (session.identity !== identityOf(query)) return { outcome: 'cursor-of-another-query' };
    this.#touch(session);
    try {
      return { outcome: 'page', page: await readPage(session, query, restOf(query.stretch, last, query)) };
    } catch (error) {
      if (session.ended) return { outcome: 'cursor-gone' };
      // What failed here is the snapshot; the next answer says that it is gone.
      session.end();
      throw error;
    }
  }

  /** Ends all sessions and waits until the store is rid of them. */
  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#sessions.values()].map((session) => session.running);
    for (const session of this.#sessions.values()) session.end();
    await Promise.all(running);
  }

  async #open(tenant: string, query: RangeQuery): Promise<Session> {
    const opened = Promise.withResolvers<ReadTransaction>();
    const ended = Promise.withResolvers<void>();
    const running = this.#store
      .read(async (tx) => {
        opened.resolve(tx);
        await ended.promise;
      })
      // Before the body began, it is the opener's error; afterwards the session is over, and its next page will say so.
      .catch(opened.reject);
    const tx = await opened.promise;
    const id = Buffer.from(this.#world.randomBytes(sessionIdBytes)).toString('base64url');
    const session: Session = {
      id,
      tenant,
      identity: identityOf(query),
      tx,
      running,
      ended: false,
      cancelTimers: [],
      end: () => {
        session.ended = true;
        this.#sessions.delete(id);
        for (const cancel of session.cancelTimers) cancel();
        ended.resolve();
      },
    };
    void running.then(session.end);
    return session;
  }

  #keep(session: Session): void {
    if (this.#sessions.size >= this.#sessionsMax) this.#crowdOut();
    const cancelAge = this.#world.after(serviceLimits.pagingAgeMsMax, session.end);
    session.cancelTimers = [cancelAge];
    this.#touch(session);
  }

  #touch(session: Session): void {
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
    const [cancelAge, cancelIdle] = session.cancelTimers;
    cancelIdle?.();
    const idle = this.#world.after(serviceLimits.pagingIdleMsMax, session.end);
    session.cancelTimers = cancelAge === undefined ? [idle] : [cancelAge, idle];
  }

  /** The tenant with the most sessions loses the one that it used least recently, so that none can crowd out the others. */
  #crowdOut(): void {
    const counts = new Map<string, number>();
    for (const { tenant } of this.#sessions.values()) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    const most = Math.max(...counts.values());
    for (const session of this.#sessions.values()) {
      if (counts.get(session.tenant) === most) return session.end();
    }
  }
}

interface Session {
  readonly id: string;
  readonly tenant: string;
  readonly identity: string;
  readonly tx: ReadTransaction;
  /** Settles when the store is rid of the snapshot. Never rejects. */
  readonly running: Promise<void>;
  readonly end: () => void;
  ended: boolean;
  cancelTimers: readonly (() => void)[];
}

/** 128 bits: whoever guesses a billion a second finds none in the life of the sun. */
const sessionIdBytes = 16;

async function readPage(session: Session, query: RangeQuery, stretch: Stretch): Promise<Page> {
  const entries: string[] = [];
  let chars = 0;
  let last = '';
  const range = kvRange(session.tenant, stretch);
  for await (const entry of session.tx.scan(range, { limit: query.limit + 1, reverse: query.reverse })) {
    if (entries.length === query.limit || chars >= serviceLimits.pageCharsMax) {
      return { entries, cursor: formatCursor(session.id, last) };
    }
    last = nameOf(entry.key);
    const json = entryJson(last, entry);
    entries.push(json);
    chars += json.length;
  }
  return { entries, cursor: undefined };
}

function identityOf({ stretch, limit, reverse }: RangeQuery): string {
  return JSON.stringify([stretch.prefix ?? '', stretch.start ?? null, stretch.end ?? null, limit, reverse]);
}

function formatCursor(id: string, last: string): string {
  return `${id}.${Buffer.from(last).toString('base64url')}`;
}

/** What is no cursor names no session, and so is gone. */
function parseCursor(cursor: string): { readonly id: string; readonly last: string } {
  const [id = '', last = ''] = cursor.split('.', 2);
  return { id, last: Buffer.from(last, 'base64url').toString() };
}

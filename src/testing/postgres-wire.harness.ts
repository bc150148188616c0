import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { WireConnection, type WireFault, type WireStatement } from './postgres-wire-connection.harness.ts';

type Match = WireFault['match'];

/**
 * A proxy between clients and PostgreSQL that counts round trips, writes down statements, and breaks connections where it
 * is told to. It speaks without encryption, and knows neither COPY nor function calls. See `WireConnection` for how it
 * counts, and what a fault does.
 */
export interface Wire {
  readonly url: string;
  /** Those that are open, and those that were, in the order in which they came. */
  readonly connections: readonly WireConnection[];
  /** Of all connections, since the mark. */
  readonly roundTrips: number;
  /** Of all connections, in the order in which they arrived, since the mark. */
  readonly statements: readonly WireStatement[];
  mark(): void;
  /** The first statement that matches is lost on its way to the server. Resolves when the server has ended the session. */
  cutBefore(match: Match): Promise<void>;
  /** The first statement that matches reaches the server, which does it, and the client is gone from the beginning. */
  cutMidway(match: Match): Promise<void>;
  /** The first statement that matches is answered, and the answer is lost. */
  cutAfter(match: Match): Promise<void>;
  /** Rejects if a cut is left that struck nothing: whatever the test has shown, it has not shown it of a cut. */
  close(): Promise<void>;
}

export async function startWire(serverUrl: string): Promise<Wire> {
  const url = new URL(serverUrl);
  const server = { host: url.hostname, port: Number(url.port) };
  const connections: WireConnection[] = [];
  let statements: WireStatement[] = [];
  const faults = new Set<WireFault>();
  const note = (statement: WireStatement): WireFault | undefined => {
    statements.push(statement);
    const fault = [...faults].find(({ match }) => match(statement));
    if (fault !== undefined) faults.delete(fault);
    return fault;
  };
  const cut = (where: WireFault['where'], match: Match): Promise<void> =>
    new Promise((done) => faults.add({ where, match, done }));

  const listener = createServer({ noDelay: true }, (client) => {
    connections.push(new WireConnection(client, { server, note }));
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;

  return {
    url: url.href,
    connections,
    get roundTrips() {
      return connections.reduce((sum, { roundTrips }) => sum + roundTrips, 0);
    },
    get statements() {
      return statements;
    },
    mark() {
      statements = [];
      for (const connection of connections) connection.mark();
    },
    cutBefore: (match) => cut('before', match),
    cutMidway: (match) => cut('midway', match),
    cutAfter: (match) => cut('after', match),
    async close() {
      listener.close();
      for (const connection of connections) connection.destroy();
      await Promise.all(connections.map(({ ended }) => ended));
      if (faults.size > 0) throw new Error(`${faults.size} cuts struck nothing`);
    },
  };
}

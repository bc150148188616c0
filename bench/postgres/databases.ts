import type { PostgresServer } from '../../src/testing/postgres-server.harness.ts';
import type { Places } from '../measure.ts';

/** A database of one server for each contender. */
export function databases(server: PostgresServer): Places {
  const prepared: string[] = [];
  return {
    async prepare() {
      const name = `contender_${prepared.length}`;
      prepared.push(name);
      return server.createDatabase(name);
    },
    async clear() {
      for (const name of prepared.splice(0)) await server.run(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { PostgresServer } from '../../testing/postgres-server.harness.ts';

export interface TestDatabase {
  readonly name: string;
  /** As its owner, or as a role that the test made, who has no password. */
  url(role?: string): string;
  /** A connection that ends with the test. */
  connect(config?: pg.ClientConfig & { readonly role?: string }): Promise<pg.Client>;
}

let count = 0;

/** A database of the test's own. */
export async function createDatabase(server: PostgresServer): Promise<TestDatabase> {
  const name = `test_${++count}`;
  const own = await server.createDatabase(name);
  const url = (role?: string): string => {
    const address = new URL(own);
    if (role !== undefined) {
      address.username = role;
      address.password = rolePassword;
    }
    return address.href;
  };
  return {
    name,
    url,
    async connect({ role, ...config } = {}) {
      const client = new pg.Client({ ...config, connectionString: url(role) });
      await client.connect();
      onTestFinished(() => client.end());
      return client;
    },
  };
}

const rolePassword = 'sesame';

/** A role without rights; its name is its own in the whole server. */
export async function createRole(server: PostgresServer): Promise<string> {
  const role = `role_${++count}`;
  await server.run(`create role ${role} login password '${rolePassword}'`);
  return role;
}

import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { World } from 'semel';
import { serviceLimits } from './service-limits.ts';

/**
 * API keys. A key is 256 random bits, so its plain SHA-256 is as good to store as a slow, salted hash: those make guessing
 * a *human's* password dear, and no number of guesses finds 256 random bits.
 *
 * The file is a JSON array of `{ "tenant": …, "sha256": … }`. A tenant may have several entries, so that a key can be
 * replaced without a moment in which neither the old nor the new one is good.
 */
export interface ApiKeyEntry {
  readonly tenant: string;
  /** The SHA-256 of the key's characters, in hexadecimal. */
  readonly sha256: string;
}

export interface ApiKeys {
  /** The tenant whose key this is, or undefined. */
  tenantOf(apiKey: string): string | undefined;
}

export function apiKeysOf(entries: readonly ApiKeyEntry[]): ApiKeys {
  const known = entries.map(({ tenant, sha256 }) => ({ tenant, digest: Buffer.from(sha256, 'hex') }));
  return {
    tenantOf(apiKey) {
      const digest = digestOf(apiKey);
      let found: string | undefined;
      // Every entry is compared, each in constant time: how long it takes says nothing about which one was close.
      for (const entry of known) if (timingSafeEqual(entry.digest, digest)) found = entry.tenant;
      return found;
    },
  };
}

/** @throws Error that names the file, the entry and the member at fault */
export function readApiKeysFile(path: string): readonly ApiKeyEntry[] {
  const text = readFileSync(path, 'utf8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(`${path} is not JSON`);
  }
  if (!Array.isArray(parsed) || parsed.length === 0) throw new Error(`${path} is not an array of at least one entry`);
  const entries = parsed.map((entry: unknown, index) => checkEntry(entry, `${path}, entry ${index}`));
  const digests = entries.map(({ sha256 }) => sha256);
  for (const [index, digest] of digests.entries()) {
    const first = digests.indexOf(digest);
    // One key for two tenants would be whichever stands last; twice for one tenant is a slip of the hand.
    if (first < index) throw new Error(`${path}, entry ${index}: its sha256 is that of entry ${first}`);
  }
  return entries;
}

/** Makes a key for a tenant. The key is shown here once and kept nowhere; the entry goes into the file. */
export function makeApiKey(tenant: string, world: World): { readonly apiKey: string; readonly entry: ApiKeyEntry } {
  const apiKey = `semel_${Buffer.from(world.randomBytes(32)).toString('base64url')}`;
  return { apiKey, entry: { tenant, sha256: digestOf(apiKey).toString('hex') } };
}

/** Undefined, or what is wrong with the name. */
export function tenantFault(tenant: string): string | undefined {
  if (tenant === '') return 'a tenant has a name of at least one character';
  const bytes = Buffer.byteLength(tenant);
  if (bytes > serviceLimits.tenantBytesMax) return `tenantBytesMax is ${serviceLimits.tenantBytesMax}, found ${bytes}`;
  return tenant.isWellFormed() ? undefined : 'the name is not well-formed Unicode';
}

function checkEntry(entry: unknown, where: string): ApiKeyEntry {
  if (typeof entry !== 'object' || entry === null) throw new Error(`${where} is not an object`);
  for (const name of Object.keys(entry)) {
    if (name !== 'tenant' && name !== 'sha256')
      throw new Error(`${where} has an unknown member ${JSON.stringify(name)}`);
  }
  if (!('tenant' in entry) || typeof entry.tenant !== 'string') throw new Error(`${where}: tenant is not a string`);
  const fault = tenantFault(entry.tenant);
  if (fault !== undefined) throw new Error(`${where}: ${fault}`);
  if (!('sha256' in entry) || typeof entry.sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(entry.sha256)) {
    throw new Error(`${where}: sha256 is not 64 hexadecimal digits`);
  }
  return { tenant: entry.tenant, sha256: entry.sha256.toLowerCase() };
}

function digestOf(apiKey: string): Buffer {
  return createHash('sha256').update(apiKey).digest();
}

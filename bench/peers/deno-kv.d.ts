/** The part of @deno/kv that is used here; why, says lmdb.d.ts. */
declare module '@deno/kv' {
  export interface KvEntry {
    readonly key: readonly string[];
    readonly value: unknown;
    readonly versionstamp: string | null;
  }

  export interface AtomicOperation {
    check(entry: Pick<KvEntry, 'key' | 'versionstamp'>): this;
    set(key: readonly string[], value: unknown): this;
    commit(): Promise<{ readonly ok: boolean }>;
  }

  export interface Kv {
    get(key: readonly string[]): Promise<KvEntry>;
    list(
      selector: { readonly prefix: readonly string[] },
      options?: { readonly batchSize?: number },
    ): AsyncIterable<KvEntry>;
    atomic(): AtomicOperation;
    close(): void;
  }

  export function openKv(path?: string): Promise<Kv>;
}

/**
 * The part of lmdb that is used here. Its own declarations are there only once bench/ is installed, and the types of this folder
 * are checked without that.
 */
declare module 'lmdb' {
  export interface OpenOptions {
    readonly path: string;
    readonly overlappingSync?: boolean;
    readonly noSync?: boolean;
    readonly useWritemap?: boolean;
    readonly encoding?: 'string';
  }

  export interface ReadSnapshot {
    done(): void;
  }

  export interface Database {
    get(key: string, options?: { readonly transaction: ReadSnapshot }): unknown;
    put(key: string, value: unknown): Promise<boolean>;
    transaction<T>(act: () => T): Promise<T>;
    transactionSync<T>(act: () => T): T;
    useReadTransaction(): ReadSnapshot;
    readonly flushed: Promise<unknown>;
    close(): Promise<void>;
  }

  export function open(options: OpenOptions): Database;
}

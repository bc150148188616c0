/** The part of undici that is used here; why, says ../peers/lmdb.d.ts. */
declare module 'undici' {
  export interface PoolResponse {
    readonly statusCode: number;
    readonly body: { text(): Promise<string> };
  }

  export class Pool {
    constructor(origin: string, options: { readonly connections: number; readonly pipelining: number });
    request(options: {
      readonly method: string;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    }): Promise<PoolResponse>;
    close(): Promise<void>;
  }
}

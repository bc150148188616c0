/** The part of better-sqlite3 that is used here; why, says lmdb.d.ts. */
declare module 'better-sqlite3' {
  export interface Statement {
    get(...values: readonly unknown[]): unknown;
    run(...values: readonly unknown[]): unknown;
    pluck(): this;
  }

  export default class Database {
    constructor(path: string);
    pragma(text: string): unknown;
    exec(sql: string): this;
    prepare(sql: string): Statement;
    close(): this;
  }
}

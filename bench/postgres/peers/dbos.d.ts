/** The parts of DBOS that are used here; why, says ../../peers/lmdb.d.ts. */
declare module '@dbos-inc/dbos-sdk' {
  export const DBOS: {
    setConfig(config: {
      readonly name: string;
      readonly systemDatabaseUrl: string;
      readonly systemDatabasePoolSize: number;
      readonly logLevel: string;
      readonly runAdminServer: boolean;
    }): void;
    launch(): Promise<void>;
    shutdown(): Promise<void>;
    registerWorkflow<Argument, Result>(
      workflow: (argument: Argument) => Promise<Result>,
      config: { readonly name: string },
    ): (argument: Argument) => Promise<Result>;
    withNextWorkflowID<Result>(id: string, act: () => Promise<Result>): Promise<Result>;
  };
}

declare module '@dbos-inc/postgres-datasource' {
  export interface ConnectionOptions {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly database: string;
    readonly max: number;
  }

  export class PostgresDataSource {
    static initializeDBOSSchema(options: ConnectionOptions): Promise<void>;
    constructor(name: string, options: ConnectionOptions);
    readonly client: {
      unsafe<Row>(text: string, values: readonly unknown[]): Promise<readonly Row[]>;
    };
    runTransaction<Result>(
      act: () => Promise<Result>,
      config: { readonly name: string; readonly isolationLevel: 'READ COMMITTED' | 'SERIALIZABLE' },
    ): Promise<Result>;
  }
}

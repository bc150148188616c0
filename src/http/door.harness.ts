import type { Server } from 'node:http';
import type { Store, Transaction } from 'semel';
import type { Handler, OnceOptions, RouteOptions } from 'semel/http';

/** One door behind its framework, as the shared suite drives it. */
export interface Door {
  /** The specifier by which it is imported. */
  readonly name: string;
  /** Serves the routes on a free port of 127.0.0.1. */
  open(store: Store, routes: readonly DoorRoute[], setup: DoorSetup): Promise<OpenDoor>;
}

/** What every door's context has. */
export interface DoorContext {
  readonly params: Readonly<Record<string, string>>;
}

export interface DoorRoute {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** With parameters as in `/accounts/:account`. */
  readonly path: string;
  readonly handler: Handler<Transaction, DoorContext>;
  readonly options: RouteOptions<DoorContext>;
}

export interface DoorSetup {
  /** The scope is the request's field `tenant`, or `one`. */
  readonly options: Omit<OnceOptions<never>, 'scope'>;
  /** The framework's own middlewares round the routes. */
  readonly around: readonly Around[];
}

/** Compression; CORS for `allowedOrigin`; a middleware that sets the field `x-frame-options: DENY` and the cookie `seen=1`. */
export type Around = 'compression' | 'cors' | 'fields';

export const allowedOrigin = 'https://shop.example';

export interface OpenDoor {
  readonly server: Server;
  close(): Promise<void>;
}

export function tenantOf(field: unknown): string {
  return typeof field === 'string' ? field : 'one';
}

import type { KillPoint } from '../kill-point.ts';

/**
 * The ways in which a round on PostgreSQL kills: who dies, and where. `statement` is any statement of a transaction of the service,
 * `commit` its COMMIT; *before* it reaches the server, *amid*: it is on its way and nobody has an answer, *after*: it was answered, and
 * the service has not read that.
 */
export const killClasses = Object.freeze([
  'service-after-claim',
  'service-after-mutation',
  'service-before-commit',
  'service-amid-commit',
  /** A part of a response's bytes has reached the client. */
  'service-mid-response',
  /** Whenever it may be, from outside. */
  'service-random',
  'backend-before-statement',
  'backend-after-statement',
  'backend-before-commit',
  'backend-amid-commit',
  'backend-after-commit',
  'server-before-commit',
  'server-amid-commit',
  'server-after-commit',
  'server-random',
] as const);

export type KillClass = (typeof killClasses)[number];

/** A backend is terminated, as an administrator does it; the server and a service die of SIGKILL. */
export type Victim = 'service' | 'backend' | 'server';

/** The moments at which a service kills itself; the same on every engine. */
export type ServicePoint = Extract<KillPoint, 'after-claim' | 'after-mutation' | 'before-commit'>;

export type Place = 'before' | 'amid' | 'after';

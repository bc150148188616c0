/**
 * The moments, inside the service's process, at which it can be made to kill itself: each is a place in the path of one
 * operation, in the order in which it passes them, and one is before all of that.
 */
export const killPoints = Object.freeze({
  'during-recovery': 'the store is opening: before or after an operation on the disk, or behind the last one',
  'after-claim': "the operation's transaction has read its record, and there is none",
  'after-mutation': 'the handler has returned, and what it wrote is buffered',
  'before-commit':
    'the waiting is over, and the record and the commit are next; of a database, where the rest is not ours',
  'before-log-write': 'a group of commits is about to be written',
  'amid-log-write': 'a part of the group has been written',
  'between-write-and-sync': 'the group has been written, and its sync is about to begin',
  'after-sync': 'the sync is done, and nobody has been told',
} as const);

export type KillPoint = keyof typeof killPoints;

/** The ways in which a round kills. Each but the last five is a point of its own name. */
export const killClasses = Object.freeze([
  'after-claim',
  'after-mutation',
  'before-log-write',
  'amid-log-write',
  'between-write-and-sync',
  'after-sync',
  /** A part of a response's bytes has reached the client. */
  'mid-response',
  /** Whenever it may be, from outside. */
  'random',
  /** At a point, or at random, with hundreds of requests in flight. */
  'backlog',
  /** In flight, and then twice in a row while the service starts. */
  'recovery',
] as const);

export type KillClass = (typeof killClasses)[number];

/** An order to die the n-th time that a point is passed. */
export interface Arming {
  readonly point: KillPoint;
  readonly hit: number;
}

/** What the process writes down in the instant before it kills itself. */
export interface Marker extends Arming {
  readonly pid: number;
  /** The Idempotency-Key of the transaction that was cut, where the point belongs to one. */
  readonly operation?: string;
  /** What the disk was asked to do, where the point is there. */
  readonly step?: string;
}

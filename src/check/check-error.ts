/** What was given to the checker is not usable: an address, a request, a path. Nothing was sent. */
export class InvalidInputError extends Error {
  readonly code = 'INVALID_INPUT';
  override readonly name = 'InvalidInputError';
}

/** The run cannot tell anything: the endpoint does not answer, or the count does not count. */
export class CannotRunError extends Error {
  readonly code = 'CANNOT_RUN';
  override readonly name = 'CannotRunError';
}

/** This one check cannot be tried here; the others can. */
export class NotTriedError extends Error {
  readonly code = 'NOT_TRIED';
  override readonly name = 'NotTriedError';
}

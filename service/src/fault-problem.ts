import { LimitExceededError, SemelError, InvalidArgumentError } from 'semel';
import { DatabaseRefusedError } from 'semel/postgres';
import { wayToRecover } from './disk-full.ts';
import { bodyTooLarge, problem, type Problem } from './problem.ts';
import { serviceLimits } from './service-limits.ts';

/** The problem that a thrown error becomes. What it says is of this request alone, and never an error's own message. */
export function problemOfFault(error: unknown): Problem {
  if (error instanceof SemelError) return problemOfSemelError(error);
  const { code, statusCode } = frameworkFault(error);
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return bodyTooLarge();
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problem('media-type-unsupported', 'this route takes application/json');
    case 'FST_ERR_BAD_URL':
      return problem('request-malformed', 'the path is not the percent-encoding of UTF-8');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return problem('request-malformed', 'a part of the path is longer than any that could be there');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return problem('request-too-slow', `requestMsMax is ${serviceLimits.requestMsMax}`);
    case 'ECONNRESET':
      // Nothing here connects to anyone, so it is the request's own connection. Nobody is left to read this.
      return problem('request-malformed', 'the client left before its request was whole');
    case 'HPE_HEADER_OVERFLOW':
      return problem('head-too-large', `headBytesMax is ${serviceLimits.headBytesMax}`);
    default:
      if (code?.startsWith('HPE_') === true) return problem('request-malformed', 'this is no request of HTTP/1.1');
      // The framework refuses a request that contradicts itself, such as a body shorter than its Content-Length.
      return statusCode >= 400 && statusCode < 500
        ? problem('request-malformed', 'the request contradicts itself, such as in its length')
        : problem('fault', 'something failed that is not the request’s fault; nothing is known to have taken effect');
  }
}

/**
 * Also to who is refused before anything was looked at. Never "elsewhere": another service has another store, where the
 * same key executes once more.
 */
export function stoppingProblem(): Problem {
  return problem('stopping', sendAgain);
}

/**
 * It speaks of this request alone. An earlier one under the same key may have taken effect, which its retry will be told.
 * Where a key matters is where the request is one that takes a key; the others have none to keep.
 */
const sendAgain = 'this request executed nothing; send it again to this same service, with the same Idempotency-Key';

const afterwards = 'what an earlier request under the same Idempotency-Key did, its retry is told then';

const operatorFirst = `this request executed nothing; the operator finds the reason in the log; ${afterwards}`;

function problemOfSemelError(error: SemelError): Problem {
  switch (error.code) {
    case 'conflict':
    case 'deadlock':
    case 'lock-timeout':
      return problem('contended', sendAgain);
    case 'deadline-exceeded':
    case 'aborted':
      return problem('deadline-exceeded', sendAgain);
    case 'commit-unknown':
      return problem(
        'commit-unknown',
        'it may or may not have taken effect; with an Idempotency-Key, send it again with the same one: that settles it',
      );
    case 'poisoned':
      return problem('poisoned', `this request executed nothing; ${wayToRecover(error)}; ${afterwards}`);
    case 'store-closed':
    case 'transaction-closed':
      return stoppingProblem();
    case 'limit-exceeded':
      return error instanceof LimitExceededError
        ? problem('limit-exceeded', error.message, { limit: error.limit, maximum: error.maximum, found: error.found })
        : problem('fault', 'a limit was exceeded');
    case 'invalid-argument':
      return error instanceof InvalidArgumentError && error.field.startsWith('value')
        ? problem('json-invalid', `expected ${error.expected}`)
        : problem('fault', 'the service used its store wrongly; nothing took effect');
    case 'database-unavailable':
      return problem('database-unavailable', sendAgain);
    case 'database-refused':
      return error instanceof DatabaseRefusedError
        ? problemOfRefusal(error)
        : problem('database-refused', operatorFirst);
    case 'damaged':
    case 'directory-locked':
    case 'schema-missing':
    case 'schema-newer':
    case 'schema-outdated':
      return problem('fault', 'the store cannot be opened');
    default:
      return problem('fault', 'something failed; nothing is known to have taken effect');
  }
}

/** PostgreSQL's codes are in appendix A of its manual. */
function problemOfRefusal({ sqlState }: DatabaseRefusedError): Problem {
  switch (sqlState) {
    case '57014':
      // A statement took longer than `statement_timeout`, or was cancelled.
      return problem('deadline-exceeded', sendAgain);
    case '53100':
      return problem('database-full', operatorFirst);
    default:
      return problem('database-refused', operatorFirst);
  }
}

/** How Fastify and Node.js mark the errors that are a request's own. */
function frameworkFault(error: unknown): { readonly code: string | undefined; readonly statusCode: number } {
  if (typeof error !== 'object' || error === null) return { code: undefined, statusCode: 500 };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const statusCode = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  return { code, statusCode };
}

/** What of an error goes into the log: its kind and place. A message may quote a key or a value, so it stays out. */
export function faultForLog(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { name: typeof error };
  const stack = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  const facts = {
    name: error.name,
    ...('code' in error ? { code: error.code } : {}),
    ...('syscall' in error ? { syscall: error.syscall } : {}),
    stack,
  };
  return error.cause === undefined ? facts : { ...facts, cause: faultForLog(error.cause) };
}

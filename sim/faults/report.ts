import { SemelError, type Effect } from 'semel';

/**
 * What the process under attack tells of itself, each report written to a pipe before the next step, so that whenever it dies,
 * the kernel has what it had told.
 */
export type Report =
  | { readonly type: 'opened'; readonly session: number }
  | { readonly type: 'refused'; readonly session: number; readonly fault: Fault }
  | { readonly type: 'begun'; readonly writer: string; readonly operation: number }
  | { readonly type: 'acknowledged'; readonly writer: string; readonly operation: number }
  | { readonly type: 'failed'; readonly writer: string; readonly operation: number; readonly fault: Fault }
  /** What a store tells its observer of a failure. */
  | { readonly type: 'event'; readonly event: 'poisoned' | 'checkpoint-failed' }
  | { readonly type: 'checkpointed' }
  | { readonly type: 'closed'; readonly session: number; readonly fault: Fault | undefined };

/** Whether the process says that something has failed. */
export function isTrouble(report: Report): boolean {
  switch (report.type) {
    case 'refused':
    case 'failed':
    case 'event':
      return true;
    case 'closed':
      return report.fault !== undefined;
    case 'opened':
    case 'begun':
    case 'acknowledged':
    case 'checkpointed':
      return false;
  }
}

export interface Fault {
  /** Of an error of ours, or of the operating system's. */
  readonly code: string | undefined;
  /** Only an error of ours says. */
  readonly effect: Effect | undefined;
  readonly message: string;
}

export function faultOf(error: unknown): Fault {
  if (error instanceof SemelError) return { code: error.code, effect: error.effect, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return { code, effect: undefined, message };
}

/** The last line may have been cut by a kill. */
export function parseReports(text: string): readonly Report[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.slice(0, -1).map((line) => {
    const report: Report = JSON.parse(line);
    return report;
  });
}

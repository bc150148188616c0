import process from 'node:process';
import type { Claim, Measured } from './claim.ts';

/**
 * One contender in a process of its own, so that neither the heap nor what the compiler has learnt of another weighs on it. It
 * is silent except in its turns.
 *
 *     node contender.ts <module of the claims> <claim> <contender> <place>
 */
export interface Turn {
  readonly inFlight: number;
  readonly durationMs: number;
}

export type Report = { readonly kind: 'open' } | { readonly kind: 'measured'; readonly measured: Measured };

const [claimsModule = '', claimName, contenderName = '', place = ''] = process.argv.slice(2);
const { claims } = (await import(claimsModule)) as { readonly claims: readonly Claim[] };
const open = claims.find(({ name }) => name === claimName)?.contenders[contenderName];
if (open === undefined) throw new Error(`no contender "${contenderName}" of a claim "${claimName}"`);

const contender = await open(place);
// A fault ends this process, with its trace, and so the run.
process.on('message', ({ inFlight, durationMs }: Turn) => {
  void contender.run(inFlight, durationMs).then((measured) => report({ kind: 'measured', measured }));
});
process.on('disconnect', () => void contender.close().then(() => process.exit()));
report({ kind: 'open' });

function report(report: Report): void {
  process.send?.(report);
}

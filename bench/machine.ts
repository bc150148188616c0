import { cpus, loadavg, totalmem, type } from 'node:os';
import process from 'node:process';

/** What the figures were measured on, and how busy it was: a load beyond what the bench makes itself comes from others. */
export function describeMachine(): string {
  const processors = cpus();
  const loads = loadavg().map((load) => load.toFixed(1));
  return [
    `${processors.length} x ${processors[0]?.model ?? 'an unknown processor'}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()}, Node.js ${process.version}`,
    `load ${loads.join(' ')} (1, 5, 15 min)`,
  ].join('; ');
}

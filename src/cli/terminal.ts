import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';

/** What a command has to do with who typed it. */
export interface Terminal {
  /** What was asked for. */
  print(text: string): void;
  /** What happens meanwhile. */
  tell(text: string): void;
  /** `undefined` where nobody is there to answer. */
  readonly confirm: ((question: string) => Promise<boolean>) | undefined;
  /** Calls `act` at the first Ctrl-C, or when the process is asked to end; a second one ends it. The answer takes it back. */
  onInterrupt(act: () => void): () => void;
}

export const processTerminal: Terminal = {
  print: (text) => void process.stdout.write(text),
  tell: (text) => void process.stderr.write(text),
  confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : undefined,
  onInterrupt(act) {
    const signals = ['SIGINT', 'SIGTERM'] as const;
    const stop = (): void => signals.forEach((signal) => process.off(signal, onSignal));
    const onSignal = (): void => {
      stop();
      act();
    };
    for (const signal of signals) process.on(signal, onSignal);
    return stop;
  },
};

async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D close it, and its question is never answered then.
  const closed = once(lines, 'close').then(() => '');
  try {
    return /^y(es)?$/i.test((await Promise.race([lines.question(`${question} [y/N] `), closed])).trim());
  } finally {
    lines.close();
  }
}

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
  /** Calls `act` at the first Ctrl-C; a second one ends the process. The answer takes it back. */
  onInterrupt(act: () => void): () => void;
}

export const processTerminal: Terminal = {
  print: (text) => void process.stdout.write(text),
  tell: (text) => void process.stderr.write(text),
  confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : undefined,
  onInterrupt(act) {
    process.once('SIGINT', act);
    return () => void process.off('SIGINT', act);
  },
};

async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

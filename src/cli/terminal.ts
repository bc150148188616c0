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
  confirm:
    process.stdin.isTTY && process.stderr.isTTY
      ? (question) => confirm(question, process.stdin, process.stderr)
      : undefined,
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

/** Anything but yes is no: so are Ctrl-C and the end of the input. */
export async function confirm(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<boolean> {
  const lines = createInterface({ input, output });
  // At either of them some versions of Node.js reject, and others leave the question unanswered for ever.
  const closed = once(lines, 'close').then(() => '');
  const answered = lines.question(`${question} [y/N] `).catch(() => '');
  try {
    return /^y(es)?$/i.test((await Promise.race([answered, closed])).trim());
  } finally {
    lines.close();
  }
}

#!/usr/bin/env node
import process from 'node:process';
import { checkCommand } from './check-command.ts';
import { processTerminal } from './terminal.ts';

/** The command `semel`. Exit codes are those of its commands; 2 where there is no such command. */
const usage = `semel <command>

  check   whether an HTTP endpoint acts once, however often a request is sent: semel check --help
`;

// 1 would say that a check failed.
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exit(2);
});
// Whoever reads the report through `head` is gone before its end; the files and the exit code are for others.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const [command, ...words] = process.argv.slice(2);
switch (command) {
  case 'check':
    process.exitCode = await checkCommand(words, processTerminal);
    break;
  case '--help':
  case '-h':
    process.stdout.write(usage);
    break;
  default:
    process.stderr.write(command === undefined ? usage : `there is no command ${command}\n\n${usage}`);
    process.exitCode = 2;
}

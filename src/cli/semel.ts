#!/usr/bin/env node
import process from 'node:process';
import { checkCommand } from './check-command.ts';
import { migrateCommand, runMigrateCommand } from './migrate-command.ts';
import { backupCommand, restoreCommand } from './store/backup-command.ts';
import { exportCommand } from './store/export-command.ts';
import { importCommand } from './store/import-command.ts';
import { inspectCommand } from './store/inspect-command.ts';
import { salvageCommand } from './store/salvage-command.ts';
import { runStoreCommand, type StoreCommand } from './store/store-command.ts';
import { processTerminal } from './terminal.ts';

const storeCommands: readonly StoreCommand[] = [
  backupCommand,
  restoreCommand,
  exportCommand,
  importCommand,
  inspectCommand,
  salvageCommand,
];

/** The command `semel`. Exit codes are those of its commands; 2 where there is no such command. */
const usage = `semel <command>

  check    whether an HTTP endpoint acts once, however often a request is sent
${[...storeCommands, migrateCommand].map(({ name, purpose }) => `  ${name.padEnd(7)}  ${purpose}\n`).join('')}
semel <command> --help says more.
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
process.exitCode = await run();

async function run(): Promise<number> {
  if (command === 'check') return checkCommand(words, processTerminal);
  if (command === migrateCommand.name) return runMigrateCommand(words, processTerminal);
  const storeCommand = storeCommands.find(({ name }) => name === command);
  if (storeCommand !== undefined) return runStoreCommand(storeCommand, words, processTerminal);
  if (command === '--help' || command === '-h') {
    process.stdout.write(usage);
    return 0;
  }
  process.stderr.write(command === undefined ? usage : `there is no command ${command}\n\n${usage}`);
  return 2;
}

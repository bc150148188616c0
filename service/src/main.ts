import { realWorld } from 'semel';
import { makeApiKey } from './api-keys.ts';
import { parseCommandLine, type ServiceConfig } from './command-line.ts';
import { nameOfPlace } from './data-place.ts';
import { startService, type Service } from './service.ts';
import { startFailure } from './start-failure.ts';

/** The command. Exit codes: 0 it did what was asked; 1 it could not start; 2 the command line was refused. */
const asked = parseCommandLine(process.argv.slice(2), process.env);
switch (asked.outcome) {
  case 'serve':
    await serve(asked.config);
    break;
  case 'make-api-key': {
    const { apiKey, entry } = makeApiKey(asked.tenant, realWorld);
    process.stdout.write(`key    ${apiKey}\nentry  ${JSON.stringify(entry)}\n`);
    process.stdout.write('The key is shown this once. The entry goes into the array in the file of --api-keys.\n');
    break;
  }
  case 'exit':
    (asked.exitCode === 0 ? process.stdout : process.stderr).write(asked.text);
    process.exitCode = asked.exitCode;
    break;
}

async function serve(config: ServiceConfig): Promise<void> {
  let service: Service;
  try {
    service = await startService(config);
  } catch (error) {
    process.stderr.write(`semel cannot start: ${startFailure(error, config)}\n`);
    process.exitCode = 1;
    return;
  }
  const { url, stop } = service;
  let asks = 0;
  const onSignal = (): void => {
    asks++;
    // Whoever asks twice means now. Nothing is lost: what was acknowledged is durable.
    if (asks > 1) process.exit(1);
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`semel did not stop cleanly: ${startFailure(error, config)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  // The one line of standard output, for people and for programs that let the system choose the port.
  process.stdout.write(`semel listens on ${url} with its data in ${nameOfPlace(config.place)}\n`);
}

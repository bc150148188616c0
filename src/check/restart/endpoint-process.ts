import { connect } from 'node:net';
import { pause, within, type Environment } from '../../client/environment.ts';
import { CannotRunError, NotTriedError } from '../check-error.ts';
import type { EffectMeter } from '../effects/effect-meter.ts';
import type { Limits } from '../limits.ts';
import type { Restart, Starting } from './restart.ts';

export interface EndpointProcessOptions {
  readonly restart: Restart;
  readonly url: URL;
  readonly meter: EffectMeter | undefined;
  readonly limits: Limits;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

/** An aim that was taken, so that nothing stands between the moment to strike and the strike. */
export interface Strike {
  /** Ends the process. */
  readonly strike: () => Promise<void>;
  /** Resolves when the endpoint accepts connections again, and the count can be read. */
  readonly comeBack: () => Promise<void>;
}

/**
 * The process behind the endpoint. It serves; it is struck: killed, if there is a way to, and then started, if there is a way to; it comes
 * back, or the run ends.
 *
 * That it was struck is seen by a connection that was open before: when a process dies, the kernel closes all that it has. Where that
 * connection lives, and new ones are accepted, somebody else serves (a parent was killed, such as npm; or a proxy stands before the endpoint), and whatever
 * passed then would prove nothing.
 */
export class EndpointProcess {
  readonly script: string;
  readonly #restart: Restart;
  readonly #url: URL;
  readonly #meter: EffectMeter | undefined;
  readonly #limits: Limits;
  readonly #environment: Environment;
  readonly #signal: AbortSignal;

  constructor({ restart, url, meter, limits, environment, signal }: EndpointProcessOptions) {
    this.script = restart.script;
    this.#restart = restart;
    this.#url = url;
    this.#meter = meter;
    this.#limits = limits;
    this.#environment = environment;
    this.#signal = signal;
  }

  /** @throws NotTriedError where nothing can be struck */
  async aim(): Promise<Strike> {
    const kill = await this.#aimToKill();
    const witness = await this.#open();
    if (witness === undefined) throw new NotTriedError('the endpoint accepts no connection');
    let starting: Starting | undefined;
    return {
      strike: async () => {
        // Where there is nothing to be killed nothing is to be started.
        kill?.();
        try {
          if (kill !== undefined) await this.#awaitDeath(witness);
        } finally {
          // Also when the run was interrupted meanwhile: what the checker ended it starts again.
          starting = this.#restart.start?.();
        }
      },
      comeBack: () => this.#comeBack(witness, starting),
    };
  }

  async #aimToKill(): Promise<(() => void) | undefined> {
    const { aim } = this.#restart;
    if (aim === undefined) return undefined;
    const kill = await this.#until(aim);
    if (kill !== undefined) return kill;
    throw new NotTriedError(
      `--pid named nothing for ${this.#limits.startupMsMax / 1_000} s but what was killed, or what may not be killed`,
    );
  }

  async #awaitDeath(witness: Witness): Promise<void> {
    await within(this.#environment, deathMsMax, this.#signal, () => witness.closed.promise).catch(() => {
      witness.close();
      this.#signal.throwIfAborted();
      throw new NotTriedError(`a connection to the endpoint outlived the kill, ${survivors}`);
    });
  }

  async #comeBack(witness: Witness, starting: Starting | undefined): Promise<void> {
    let ended: number | string | undefined;
    void starting?.ended.then((how) => (ended = how));
    // Alone it ends what it starts again, and so must be over before it is run again.
    const mustEnd = this.#restart.aim === undefined;
    const isBack = await this.#until(async () => {
      if (ended !== undefined && ended !== 0) return false;
      if (!witness.isClosed) await this.#lookForEnd(witness);
      const isOver = witness.isClosed && (ended === 0 || !mustEnd);
      return isOver && (await this.#serves()) ? true : undefined;
    });
    const isStruck = witness.isClosed;
    witness.close();
    if (isBack === true) return;
    let reason = `the endpoint did not come back within ${this.#limits.startupMsMax / 1_000} s`;
    if (ended !== undefined && ended !== 0) reason = `the command that restarts the endpoint ended with ${ended}`;
    else if (!isStruck) reason = `a connection to the endpoint outlived the restart, ${survivors}`;
    else if (mustEnd && ended === undefined) reason = 'the command that restarts the endpoint does not end';
    const connection = await this.#open();
    if (connection === undefined) throw new CannotRunError(reason);
    connection.close();
    throw new NotTriedError(reason);
  }

  /** A server that is asked to end refuses connections, and may wait for those that it has: the witness has seen enough then. */
  async #lookForEnd(witness: Witness): Promise<void> {
    const connection = await this.#open();
    if (connection === undefined) witness.close();
    else connection.close();
  }

  async #serves(): Promise<boolean> {
    const connection = await this.#open();
    connection?.close();
    return connection !== undefined && (this.#meter === undefined || (await this.#meter.isReadable()));
  }

  /** What `look` finds, or `undefined` where it finds nothing for as long as a start may take. */
  async #until<Found>(look: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const beganMs = this.#environment.monotonicMs();
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (this.#environment.monotonicMs() - beganMs > this.#limits.startupMsMax) return undefined;
      await pause(this.#environment, pollMs, this.#signal);
    }
  }

  /** A connection on which nothing is sent. `undefined` where there is none. */
  async #open(): Promise<Witness | undefined> {
    const { hostname, port, protocol } = this.#url;
    const socket = connect({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port || (protocol === 'https:' ? 443 : 80)),
    });
    const opened = Promise.withResolvers<boolean>();
    const closed = Promise.withResolvers<void>();
    const witness: Witness = {
      closed,
      isClosed: false,
      close() {
        this.isClosed = true;
        socket.destroy();
      },
    };
    socket.on('connect', () => opened.resolve(true)).on('error', () => opened.resolve(false));
    // The end of what comes is seen only where something reads. Nobody shall wait for a witness whom nobody asked.
    socket
      .unref()
      .resume()
      .on('close', () => {
        witness.isClosed = true;
        closed.resolve();
      });
    const isOpen = await within(this.#environment, this.#limits.answerMsMax, this.#signal, () => opened.promise).catch(
      () => false,
    );
    if (isOpen) return witness;
    socket.destroy();
    this.#signal.throwIfAborted();
    return undefined;
  }
}

interface Witness {
  readonly closed: PromiseWithResolvers<void>;
  isClosed: boolean;
  close(): void;
}

const survivors = 'so something else serves there: a child of what was struck, as under npm, or a proxy';

/** The kernel closes what a killed process has within milliseconds; the rest is for a machine that is busy. */
const deathMsMax = 5_000;

const pollMs = 20;

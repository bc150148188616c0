import { CannotRunError, NotTriedError } from './check-error.ts';
import type { EffectMeter } from './effects/effect-meter.ts';
import type { Probe } from './probe.ts';

/**
 * What must hold before anything can be told: nothing raises the count by none, and a fresh request raises it by one.
 *
 * @throws CannotRunError where it does not
 */
export async function takeBaseline(probe: Probe, meter: EffectMeter | undefined): Promise<void> {
  const send = async (): Promise<void> => {
    try {
      probe.usualStatus = (await probe.execute(probe.given(probe.freshKey()))).status;
    } catch (error) {
      if (!(error instanceof NotTriedError)) throw error;
      throw new CannotRunError(error.message);
    }
  };
  if (meter === undefined) return send();
  const idle = await meter.during(async () => undefined);
  if (idle !== 0) {
    throw new CannotRunError(`the count rose by ${idle} while nothing was sent; does somebody else use the endpoint?`);
  }
  const acted = await meter.learnFrom(send);
  if (acted === 1) return;
  const status = probe.usualStatus;
  if (acted !== 0) {
    throw new CannotRunError(
      `a fresh request, answered ${status}, raised the count by ${acted}; it must be a count that rises by 1. Does something that was sent before still act, or ` +
        'somebody else use the endpoint?',
    );
  }
  throw new CannotRunError(
    `a fresh request was answered ${status}, and the count did not rise: either it counts something else, or a fresh key with ` +
      'a body that was sent before is taken for a duplicate',
  );
}

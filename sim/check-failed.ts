/** A promise of the engine that was broken. Which one, is the name of the check; what was found, the message. */
export class CheckFailed extends Error {
  readonly check: string;

  constructor(check: string, found: string, options?: ErrorOptions) {
    super(`${check}: ${found}`, options);
    this.name = 'CheckFailed';
    this.check = check;
  }
}

export function check(holds: boolean, name: string, found: () => string): void {
  if (!holds) throw new CheckFailed(name, found());
}

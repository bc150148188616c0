/** The service has broken its promise. The first one ends the run. */
export class Violation extends Error {
  /** The rule. */
  readonly rule: string;
  readonly operation: string | undefined;

  constructor(rule: string, found: string, operation?: string) {
    super(`${rule}: ${found}`);
    this.name = 'Violation';
    this.rule = rule;
    this.operation = operation;
  }
}

export function demand(holds: boolean, rule: string, found: string, operation?: string): asserts holds {
  if (!holds) throw new Violation(rule, found, operation);
}

/**
 * Tells an observer of what has happened. It stands whatever the observer makes of it, so a failure of the observer is dropped,
 * be it thrown or, by an async function, rejected later: whoever waits for the outcome must not be told otherwise.
 */
export function tell<Event>(observer: ((event: Event) => unknown) | undefined, event: Event): void {
  if (observer === undefined) return;
  (async () => observer(event))().catch(() => undefined);
}

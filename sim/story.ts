/** What happened, as far as anybody asked for it: a run that nobody reads costs nothing. */
export interface Story {
  tell(line: () => string): void;
}

export const untold: Story = Object.freeze({ tell: () => undefined });

export class WrittenStory implements Story {
  readonly lines: string[] = [];
  readonly #when: () => string;

  constructor(when: () => string) {
    this.#when = when;
  }

  tell(line: () => string): void {
    this.lines.push(`${this.#when()}  ${line()}`);
  }
}

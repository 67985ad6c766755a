/**
 * A threshold of the plugin world, `[@]start:end` (Monitoring Plugins Development Guidelines, "Threshold and
 * ranges"): it alerts outside the range, ends included in the range; with `@` inside it.
 */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly alertInside: boolean;
  /** As it was written: performance data repeats it. */
  readonly text: string;
}

/** Performance data repeats it. */
const LONGEST_RANGE = 40;

const NUMBER = String.raw`-?(?:\d+(?:\.\d+)?|\.\d+)`;
const RANGE = new RegExp(`^(@?)(?:(${NUMBER}|~)?:)?(${NUMBER})?$`);

/**
 * Reads a range: `10` (alert below 0 or above 10), `10:` (below 10), `~:10` (above 10), `10:20` (outside),
 * `@10:20` (inside). Numbers are plain decimals.
 *
 * @returns null where the text is no range, or its start lies above its end
 */
export function parseRange(text: string): Range | null {
  const parts = text.length > LONGEST_RANGE ? null : RANGE.exec(text);
  if (parts === null) return null;
  const [, at, from, to] = parts;
  if (from === undefined && to === undefined) return null;
  const start = from === undefined ? 0 : from === '~' ? Number.NEGATIVE_INFINITY : Number(from);
  const end = to === undefined ? Number.POSITIVE_INFINITY : Number(to);
  return start > end ? null : { start, end, alertInside: at === '@', text };
}

export function alerts(range: Range, value: number): boolean {
  const inside = value >= range.start && value <= range.end;
  return inside === range.alertInside;
}

/** What a range has against a value, for people: `above 5`, `below 21`, `from 10 to 20`. */
export function describeAlert({ start, end, alertInside }: Range, value: number): string {
  if (!alertInside) return value < start ? `below ${start}` : `above ${end}`;
  if (start === Number.NEGATIVE_INFINITY) return end === Number.POSITIVE_INFINITY ? 'always' : `at ${end} or below`;
  return end === Number.POSITIVE_INFINITY ? `at ${start} or above` : `from ${start} to ${end}`;
}

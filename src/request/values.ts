import { usage } from '../dialogue/failure.ts';
import type { Settings } from './settings.ts';

/** Values of options that many have in common. Each throws a ProbeFailure `usage` that names the option. */

/** Seconds above zero, fractions allowed; 0 means the documented maximum to the cmdlet, and no limit is no plugin's. */
export function seconds(settings: Settings, name: string, otherwise: number, most: number): number {
  const given = settings[name];
  if (given === undefined) return otherwise;
  const value = /^\d{1,4}(\.\d{1,3})?$/.test(String(given)) ? Number(given) : Number.NaN;
  if (value > 0 && value <= most) return value;
  throw usage(`--${name} takes seconds above 0, up to ${most}${unlike(given)}`);
}

/** What was given instead of a number, unless it might be a password gone astray: `-phunter2`. */
const unlike = (given: unknown): string => (/^[-+0-9.]{1,12}$/.test(String(given)) ? `, not "${given}"` : '');

export function wholeNumber(option: string, given: unknown, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(String(given)) ? Number(given) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usage(`${option} takes a whole number from ${least} to ${most}${unlike(given)}`);
}

export function oneOf<T extends string>(option: string, given: unknown, choices: readonly T[], otherwise: T): T {
  if (given === undefined) return otherwise;
  const found = choices.find((choice) => choice === String(given).toLowerCase());
  if (found === undefined) throw usage(`${option} takes ${choices.join(', ')}, not ${JSON.stringify(given)}`);
  return found;
}

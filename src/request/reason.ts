import { type Reason, usage } from '../dialogue/failure.ts';
import { REASONS } from '../verdict/severity.ts';

/**
 * A reason by its name.
 *
 * @throws ProbeFailure `usage`, with those that look like it
 */
export function parseReason(option: string, given: string): Reason {
  const found = REASONS.find((reason) => reason === given);
  if (found !== undefined) return found;
  const word = given.toLowerCase().split('-')[0] as string;
  const alike = word === '' ? [] : REASONS.filter((reason) => reason.includes(word));
  const hint = alike.length === 0 ? 'docs/reasons.md lists them' : `there is ${alike.join(', ')}`;
  throw usage(`${option}: there is no reason ${JSON.stringify(given)}; ${hint}`);
}

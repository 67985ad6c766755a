import { parseReason } from '../request/reason.ts';

/**
 * What docs/reasons.md says of a reason.
 *
 * @throws ProbeFailure `usage` for one there is not
 */
export async function explain(given: string): Promise<string> {
  const reason = parseReason('--explain', given);
  const { default: page } = await import('../../docs/reasons.md');
  const section = page.split(/^## /m).find((each) => each.startsWith(`${reason}\n`)) ?? '';
  return `${section.trim()}\n`;
}

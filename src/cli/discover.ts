import { DISCOVERIES, type Discovered } from '../reporters/discovery.ts';
import type { Settings } from '../request/settings.ts';
import { oneOf } from '../request/values.ts';
import type { Aim } from '../run/run-all.ts';

/**
 * The servers that would be tested, in the form of --discover.
 *
 * @throws ProbeFailure `usage`
 */
export function discover(aims: readonly Aim[], format: Settings[string]): string {
  const write = DISCOVERIES[oneOf('--discover', format, Object.keys(DISCOVERIES), '')];
  return write?.(aims.flatMap(discoveredOf)) ?? '';
}

/** What cannot be tested is not to be found. */
function discoveredOf({ label, request, site }: Aim): readonly Discovered[] {
  if (!('policy' in request)) return [];
  const { server, visit } = request.plan;
  return [{ label, host: server, port: visit.port, connectionType: visit.connectionType, site }];
}

import execution from 'k6/execution';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import type { ConnectionType } from '../../src/pop3/visit.ts';
import type { ProbeResult, Problem } from '../../src/probe/result.ts';
import { type Subject, untested } from '../../src/probe/tell.ts';
import type { World } from '../../src/probe/world.ts';
import { parseRequest, type Request } from '../../src/request/request.ts';
import type { Settings } from '../../src/request/settings.ts';
import { k6Sources } from '../../src/runtimes/k6/sources.ts';
import type { Tags, Transport } from '../../src/runtimes/k6/transport.ts';
import { worldOver } from '../../src/runtimes/k6/world.ts';
import { recordError, recordSession } from './metrics.ts';
import { type Given, inScriptsWords, settingsFrom, tagsFrom, withSecrets } from './options.ts';

/** What a script asked for, read once: the request, or why there is none. */
export interface Asked {
  readonly tags: Tags;
  readonly settings: Settings;
  readonly request: Request | ProbeFailure;
}

/**
 * Reads the options of a call.
 *
 * @param named the function that was called, for the words of a misuse
 * @throws Error for what is a mistake in the script, in one line; whatever else keeps a test from being made is a
 *   failure in the result
 */
export async function readCall(named: 'probe' | 'open', given: unknown, transport: Transport): Promise<Asked> {
  if (isInInit()) throw new Error(`${named}() belongs into the test, not into the init context`);
  try {
    const settings = settingsFrom(given, named === 'open');
    const tags = tagsFrom(given as Given);
    const request = await requestFrom(settings, given as Given, transport).catch(unlessUsage);
    return { tags, settings, request };
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    // k6 ends well where nothing was measured: `rate==1` of nothing holds.
    recordError({ reason: 'usage', phase: null }, {});
    recordSession(false, 0, {});
    throw new Error(`${named}(): ${inScriptsWords(problem.message)}`);
  }
}

/** What a call has of the world. */
export const worldFor = (transport: Transport, { plan }: Request, tags: Tags): World =>
  worldOver(transport, {
    tags,
    port: plan.visit.port,
    timeoutMs: Math.min(plan.timeoutMs, plan.perConnectionTimeoutMs),
  });

/** What is known of a server of which there is no plan, for the result of a test that was never begun. */
export function subjectOf(settings: Settings): Subject {
  const type = String(settings['connection-type'] ?? '').toLowerCase();
  const port = Number(settings['port-client-access-server'] ?? 0);
  const connectionType = TYPES.find((each) => each === type) ?? (port === 995 ? 'ssl' : 'tls');
  return {
    server: String(settings['client-access-server'] ?? ''),
    mailboxServer: null,
    localSite: null,
    port: port > 0 && port < 65_536 ? port : connectionType === 'ssl' ? 995 : 110,
    connectionType,
    userName: String(settings['mailbox-credential'] ?? ''),
  };
}

/** The result of a test that was never begun. */
export const notBegun = (settings: Settings, failure: ProbeFailure): ProbeResult =>
  toldToScripts(untested(subjectOf(settings), 'Failure', failure, new Date().toISOString()));

/** A result whose hints speak of options as a script has them. */
export const toldToScripts = (result: ProbeResult): ProbeResult =>
  ({
    ...result,
    ...(result.error === null ? {} : { error: inScripts(result.error) }),
    warnings: result.warnings.map(inScripts),
  }) as ProbeResult;

export const inScripts = (problem: Problem): Problem => ({ ...problem, hint: inScriptsWords(problem.hint) });

const TYPES: readonly ConnectionType[] = ['plaintext', 'tls', 'ssl'];

/** The init context knows no VU, and says so by throwing. */
function isInInit(): boolean {
  try {
    return execution.vu.idInTest === undefined;
  } catch {
    return true;
  }
}

/** k6 gives an iteration 30 s to end in. */
const DEFAULTS = { timeoutS: 10, test: 'light' } as const;

async function requestFrom(settings: Settings, given: Given, transport: Transport): Promise<Request> {
  const request = await parseRequest(await withSecrets(settings, given, k6Sources), DEFAULTS, k6Sources);
  refuseWhatIsLacking(settings, request, transport);
  return request;
}

function unlessUsage(problem: unknown): ProbeFailure {
  if (!(problem instanceof ProbeFailure) || problem.reason === 'usage') throw problem;
  problem.message = inScriptsWords(problem.message);
  return problem;
}

/** Never left out in silence, and never done in clear instead. */
function refuseWhatIsLacking(settings: Settings, { plan }: Request, { name, lacks, instead }: Transport): void {
  const { connectionType, to } = plan.visit;
  const lacking = lacks.find((each) => {
    const [setting = '', value] = each.split('=');
    return value === undefined ? settings[setting] !== undefined : connectionType === value;
  });
  const refuse = (what: string): ProbeFailure =>
    new ProbeFailure('configuration', `${what} is not supported by this transport (${name}): ${instead}`);
  if (lacking?.includes('=')) throw refuse(`connectionType '${connectionType}'`);
  if (lacking !== undefined) throw refuse(inScriptsWords(`--${lacking}`));
  // It would verify the certificate for the address, and not for the server.
  const isElsewhere = settings.address !== undefined && settings.address !== plan.server;
  if (lacks.length > 0 && connectionType === 'ssl' && isElsewhere && to !== undefined) throw refuse('address with TLS');
}

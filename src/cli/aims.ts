import { nodeSources } from '../credentials/sources.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { parseAddressee } from '../request/delivery.ts';
import { parseRequest, parseTimeout, type Request } from '../request/request.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import type { Aim } from '../run/run-all.ts';
import { find } from './found.ts';
import { refuseSharedServices } from './hand-over.ts';
import type { Command } from './main.ts';
import { targetsOf } from './targets.ts';

/**
 * The targets as requests; what is wrong with one is its own matter, unless it is wrong with all of them.
 *
 * @param settings those for all
 * @throws ProbeFailure `usage` or `configuration`
 */
export async function aimsOf(given: Settings, command: Command): Promise<readonly Aim[]> {
  const asking = askingOnce(nodeSources);
  const settings = given.discover === undefined ? given : listing(given);
  // Who only wants to know what would be done need not say the password.
  const isTested = settings['what-if'] !== true && settings.discover === undefined;
  const sources = isTested ? asking : { ...asking, askOnTerminal: async () => 'not asked for' };
  const found = await find(settings, Math.min(LONGEST_SEARCH_MS, parseTimeout(settings, command) * 0.8), sources);
  const localSite = found?.localSite ?? null;
  const addresseeOf = (server: string, own: Settings): Aim['addressee'] =>
    settings.deliver === undefined ? null : parseAddressee(server, own);
  const aims: Aim[] = [];
  const isAnything = found === null || found.entries.length > 0 || settings.targets !== undefined;
  const entries = found?.entries ?? null;
  for (const target of isAnything ? await targetsOf(settings, command.name, sources, entries) : []) {
    const request = await requestOf(target.settings, command, sources, localSite);
    const server = 'policy' in request ? request.plan.server : target.server;
    const addressee = addresseeOf(server, target.settings);
    const site = found?.sites.get(target.server) ?? null;
    aims.push({ ...target, request, addressee, isSkipped: false, localSite, site });
  }
  for (const { server, why, isSkipped } of found?.others ?? []) {
    if (aims.some(({ label }) => label === server)) continue;
    const addressee = addresseeOf(server, settings);
    aims.push({ label: server, server, request: why, addressee, isSkipped, localSite, site: null });
  }
  refuseSharedServices(aims);
  const refusals = aims
    .filter(({ isSkipped }) => !isSkipped)
    .map(({ request }) => request)
    .filter((request) => request instanceof ProbeFailure);
  const isRefused = refusals.length === aims.length;
  if (isRefused && new Set(refusals.map(({ message }) => message)).size === 1) throw refusals[0];
  if (isRefused) throw new ProbeFailure('configuration', `no target can be tested; the first: ${refusals[0]?.message}`);
  return aims;
}

/** Servers are listed for whoever will log on to them: that need not be known yet. */
function listing({ 'full-test': _, split: __, ...settings }: Settings): Settings {
  return { 'mailbox-credential': 'nobody', ...settings, 'light-mode': true };
}

/** A directory that takes longer is of no use to anybody who waits for a mail server. */
const LONGEST_SEARCH_MS = 15_000;

async function requestOf(
  settings: Settings,
  command: Command,
  sources: Sources,
  localSite: string | null,
): Promise<Request | ProbeFailure> {
  try {
    const prepared = command.people?.prepare(settings) ?? { settings, remarks: [] };
    const request = await parseRequest(prepared.settings, command, sources);
    const { plan, policy } = request;
    const trace = plan.trace || command.people?.conversationIn.includes(String(settings.format)) === true;
    return {
      ...request,
      plan: { ...plan, trace, localSite },
      policy: { ...policy, remarks: [...policy.remarks, ...prepared.remarks] },
    };
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
}

/** Nobody types the same password for each of many servers, and standard input is there once. */
function askingOnce(sources: Sources): Sources {
  const typed = new Map<string, Promise<string | null>>();
  let read: Promise<string> | null = null;
  return {
    ...sources,
    standardInput: () => {
      read ??= sources.standardInput();
      return read;
    },
    askOnTerminal: (prompt, userName) => {
      const answer = typed.get(userName) ?? sources.askOnTerminal(prompt, userName);
      typed.set(userName, answer);
      return answer;
    },
  };
}

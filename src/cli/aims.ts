import { nodeSources } from '../credentials/sources.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { parseAddressee } from '../request/delivery.ts';
import { parseRequest, parseTimeout, type Request } from '../request/request.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import type { Aim, Done } from '../run/run-all.ts';
import { type Found, find, type Other } from './found.ts';
import { refuseSharedServices } from './hand-over.ts';
import type { Command } from './main.ts';
import { targetsOf } from './targets.ts';

/** What a run aims at. */
export interface Aims {
  readonly aims: readonly Aim[];
  /** What is to be done first, and changes with whom they are tested; null where nothing is. */
  readonly upkeep: Upkeep | null;
}

export interface Upkeep {
  /** In the words of -WhatIf. */
  readonly operations: readonly string[];
  readonly carryOut: () => Promise<readonly Aim[]>;
}

/**
 * The targets as requests; what is wrong with one is its own matter, unless it is wrong with all of them.
 *
 * @param settings those for all
 * @throws ProbeFailure `usage` or `configuration`
 */
export async function aimsOf(given: Settings, command: Command): Promise<Aims> {
  const asking = askingOnce(nodeSources);
  const settings = given.discover === undefined ? given : listing(given);
  // Who only wants to know what would be done need not say the password.
  const isTested = settings['what-if'] !== true && settings.discover === undefined;
  const sources = isTested ? asking : { ...asking, askOnTerminal: async () => 'not asked for' };
  const limitMs = Math.min(LONGEST_SEARCH_MS, parseTimeout(settings, command) * 0.8);
  const isPlatform = command.people === undefined;
  const found = await find(settings, { limitMs, isPlatform, sources });
  const account = found?.account ?? null;
  const upkeep = account?.upkeep ?? null;
  const due = account?.due ?? null;
  // What a platform tells by its numbers is not to change its form for a day: there it is a warning of each test.
  const known = due !== null && isPlatform ? [due.failure] : [];
  const before = due === null || isPlatform ? [] : [doneAim(due.done)];
  const aimsBy = async (own: Settings | ProbeFailure | null): Promise<readonly Aim[]> => {
    if (own instanceof ProbeFailure) return aimsWithout(found, own);
    return aimsAt(found, { ...settings, ...own }, { command, sources, known });
  };
  // Whoever is made is tested another time: it may have no mailbox yet.
  const isNobody = account !== null && account.settings === null;
  return {
    aims: isNobody ? [] : [...before, ...(await aimsBy(account?.settings ?? null))],
    upkeep: upkeep && {
      operations: upkeep.operations,
      async carryOut() {
        const { done, settings: own } = await upkeep.carryOut();
        return [doneAim(done), ...(own === null ? [] : await aimsBy(own))];
      },
    },
  };
}

const doneAim = (done: Done): Aim => ({
  // A domain controller may be a mail server too.
  label: `${done.result.scenario} at ${done.result.casServer}`,
  server: done.result.casServer,
  request: done,
  // It is the result of no mail server.
  addressee: null,
  isSkipped: false,
  mailboxServer: done.result.mailboxServer,
  localSite: done.result.localSite,
  site: null,
});

/** The servers that would have been tested, if there were somebody to test them with. */
const aimsWithout = (found: Found | null, why: ProbeFailure): readonly Aim[] =>
  [
    ...(found?.entries ?? []).map((entry): Other => ({ server: String(entry[SERVER]), why, isSkipped: true })),
    ...(found?.others ?? []),
  ].map((other) => untested(other, found?.localSite ?? null));

const SERVER = 'client-access-server';

/** What a request is made with beside its settings. */
interface Making {
  readonly command: Command;
  readonly sources: Sources;
  /** What is known to be wrong before anybody is tested. */
  readonly known: readonly ProbeFailure[];
}

async function aimsAt(found: Found | null, settings: Settings, making: Making): Promise<readonly Aim[]> {
  const { command, sources } = making;
  const localSite = found?.localSite ?? null;
  const mailboxServer = found?.mailboxServer ?? null;
  const addresseeOf = (server: string, own: Settings): Aim['addressee'] =>
    settings.deliver === undefined ? null : parseAddressee(server, own);
  const aims: Aim[] = [];
  const isAnything = found === null || found.entries.length > 0 || settings.targets !== undefined;
  const entries = found?.entries ?? null;
  for (const target of isAnything ? await targetsOf(settings, command.name, sources, entries) : []) {
    const request = await requestOf(target.settings, making, { mailboxServer, localSite });
    const server = 'policy' in request ? request.plan.server : target.server;
    const addressee = addresseeOf(server, target.settings);
    const site = found?.sites.get(target.server) ?? null;
    aims.push({ ...target, request, addressee, isSkipped: false, mailboxServer, localSite, site });
  }
  for (const other of found?.others ?? []) {
    const aim = untested(other, localSite);
    if (aims.some(({ label }) => label === aim.label)) continue;
    // A Mailbox server behind the others is no object of a platform by itself.
    const addressee = other.mailboxServer === undefined ? addresseeOf(other.server, settings) : null;
    aims.push({ ...aim, addressee });
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

function untested({ server, mailboxServer, why, isSkipped }: Other, localSite: string | null): Aim {
  const label = mailboxServer === undefined ? server : `Mailbox server ${mailboxServer}`;
  const common = { addressee: null, localSite, site: null } as const;
  return { ...common, label, server, request: why, isSkipped, mailboxServer: mailboxServer ?? null };
}

/** Servers are listed for whoever will log on to them: that need not be known yet. */
function listing({ 'full-test': _, split: __, ...settings }: Settings): Settings {
  return { 'mailbox-credential': 'nobody', ...settings, 'light-mode': true };
}

/** A directory that takes longer is of no use to anybody who waits for a mail server. */
const LONGEST_SEARCH_MS = 15_000;

async function requestOf(
  settings: Settings,
  { command, sources, known }: Making,
  place: { readonly mailboxServer: string | null; readonly localSite: string | null },
): Promise<Request | ProbeFailure> {
  try {
    const prepared = command.people?.prepare(settings) ?? { settings, remarks: [] };
    const request = await parseRequest(prepared.settings, command, sources);
    const { plan, policy } = request;
    const trace = plan.trace || command.people?.conversationIn.includes(String(settings.format)) === true;
    return {
      ...request,
      plan: { ...plan, trace, known, ...place },
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

import { asFailure, ProbeFailure } from '../dialogue/failure.ts';
import { Damaged, openAccountStore } from '../directory/account-store.ts';
import { type Custody, dateOf, knownPassword, makeAccount, resetPassword } from '../directory/credentials.ts';
import { databasesOn } from '../directory/databases.ts';
import type { ExchangeServer } from '../directory/exchange-server.ts';
import { serverBy } from '../directory/identity.ts';
import { USUAL_UNIT, unitBy } from '../directory/organizational-unit.ts';
import { inDirectory, type Reached } from '../directory/session.ts';
import type { Surroundings } from '../directory/surroundings.ts';
import { type Account, accountOf, guidOfSite, testAccountName } from '../directory/test-account.ts';
import { accountResult } from '../probe/tell.ts';
import { fromFile, parseUserName } from '../request/credential.ts';
import type { DirectoryPlan } from '../request/directory.ts';
import { parseSeverities } from '../request/request.ts';
import { iniSetting } from '../request/secret.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import type { TestAccountPlan } from '../request/test-account.ts';
import type { Done } from '../run/run-all.ts';
import { nodeWorld } from '../runtimes/node/world.ts';

/** The account that logs on where nobody else was named, and what is to be done with it. */
export interface TestAccount {
  /** What is set for every test with it; null where nobody is to be tested. */
  readonly settings: Settings | null;
  /** The Mailbox server its mailbox is at home on; null where none is known. */
  readonly mailboxServer: string | null;
  /** Mailbox servers of the site it is not at home on. */
  readonly without: readonly ExchangeServer[];
  /** That its password is due, where nobody may set another. */
  readonly due: Done | null;
  readonly upkeep: AccountUpkeep | null;
}

/** What is done to the account before anybody is tested. */
export interface AccountUpkeep {
  /** In the words of -WhatIf. */
  readonly operations: readonly string[];
  /** Does it; what is set for every test afterwards is null where nobody is to be tested. */
  readonly carryOut: () => Promise<{ readonly done: Done; readonly settings: Settings | null }>;
}

/** What a run asks of the directory about an account. */
interface Terms {
  readonly plan: TestAccountPlan;
  readonly directory: DirectoryPlan;
  readonly surroundings: Surroundings;
  readonly settings: Settings;
  readonly limitMs: number;
}

/**
 * Finds the test account of the site, and the password that is kept of it.
 *
 * @throws ProbeFailure `test-account-missing`, `configuration`, and those of the phase `directory`
 */
export async function takeTestAccount(reached: Reached, terms: Terms): Promise<TestAccount> {
  const { plan, surroundings, settings } = terms;
  const custody = await custodyOf(reached, terms);
  const { name } = custody;
  if (plan.task === 'make') return await toBeMade(custody, terms);
  const account = await accountOf(reached.directory, name, surroundings.servers);
  if (account === null) {
    throw missing(`there is no test account ${name} for the site ${surroundings.site}: make it by --new-test-user`);
  }
  const wanted = settings['mailbox-server'] as string | undefined;
  if (wanted !== undefined) requireHome(account, wanted, surroundings.servers);
  const isDue = plan.task === 'use' && plan.maxAgeDays !== null && isOld(account, plan.maxAgeDays, nowAt(reached));
  const isReset = plan.task === 'reset' || (isDue && !plan.isUnattended);
  const known = await password(custody, account);
  // Before anything else is done with a password that is not there.
  if (known instanceof ProbeFailure && !isReset) throw known;
  const { home } = account;
  const isOfSite = ({ site, hasMailboxes }: ExchangeServer): boolean =>
    hasMailboxes && site?.toLowerCase() === surroundings.site?.toLowerCase();
  return {
    settings: settingsFor(account, typeof known === 'string' ? known : 'not known yet', settings),
    mailboxServer: home?.fqdn ?? null,
    without:
      wanted !== undefined || home === null
        ? []
        : surroundings.servers.filter((server) => isOfSite(server) && server.dn !== home.dn),
    due: isDue && plan.isUnattended ? dueOf(account, terms) : null,
    upkeep: isReset ? toBeReset(account, known, terms) : null,
  };
}

const missing = (why: string): ProbeFailure => new ProbeFailure('test-account-missing', why, { phase: 'directory' });

async function custodyOf(reached: Reached, { plan, surroundings }: Terms): Promise<Custody> {
  const { site, domain, servers, controller } = surroundings;
  if (site === null) {
    const why = `${controller} does not tell in which site this machine is, and each has its test account: give --local-site`;
    throw new ProbeFailure('configuration', why, { phase: 'directory' });
  }
  const guid = await guidOfSite(reached.directory, site);
  const store = openAccountStore(plan.stateDir, domain, guid);
  return { reached, store, name: testAccountName(guid), domain, servers };
}

/** The password that is kept, or why there is none. */
async function password(custody: Custody, account: Account): Promise<string | ProbeFailure> {
  try {
    return await knownPassword(custody, account);
  } catch (problem) {
    // Both are what a new password cures.
    if (problem instanceof Damaged) return problem;
    if (problem instanceof ProbeFailure && problem.reason === 'test-account-missing') return problem;
    throw problem;
  }
}

/** The secret goes where nobody takes it for one of the command line. */
const settingsFor = ({ userName, mail }: Account, kept: string, settings: Settings): Settings => ({
  'mailbox-credential': userName,
  [iniSetting('password')]: kept,
  ...(mail === null || settings['mail-to'] !== undefined ? {} : { 'mail-to': mail }),
});

/**
 * Whether the mailbox that is tested is behind a Mailbox server.
 *
 * @param given any value that identifies the server
 * @throws ProbeFailure `configuration` or `test-account-missing`, with where it is at home
 */
function requireHome({ userName, home }: Account, given: string, servers: readonly ExchangeServer[]): void {
  const server = serverBy('-MailboxServer', given, servers);
  if (!server.hasMailboxes) {
    throw new ProbeFailure('configuration', `-MailboxServer: ${server.name} has no mailboxes`, { phase: 'directory' });
  }
  if (home === null) {
    throw missing(`-MailboxServer ${server.name}: no server is known to be the home of the mailbox of ${userName}`);
  }
  if (home.dn !== server.dn) {
    throw missing(`-MailboxServer ${server.name}: the mailbox of ${userName} is at home on ${home.name}`);
  }
}

/**
 * Whether the mailbox of whoever was named is at home where it is to be.
 *
 * @returns the host name of the server
 */
export async function homeOfNamed(
  reached: Reached,
  settings: Settings,
  { servers, noServers }: Surroundings,
  sources: Sources,
): Promise<string | null> {
  const wanted = settings['mailbox-server'] as string | undefined;
  if (wanted === undefined) return null;
  if (noServers !== null) throw noServers;
  const given = parseUserName(settings);
  const { userName } = given.startsWith('@')
    ? fromFile('--mailbox-credential', given.slice(1), sources)
    : { userName: given };
  const account = await accountOf(reached.directory, userName, servers);
  if (account === null) throw missing(`-MailboxServer: the directory knows nobody called ${userName}`);
  requireHome(account, wanted, servers);
  return account.home?.fqdn ?? null;
}

/** 100 ns since 1601 as milliseconds since 1970. */
const EPOCH_MS = 11_644_473_600_000;
const DAY_MS = 86_400_000;

/** The age by the directory's own clock: ours may be wrong. */
function isOld({ passwordSet }: Account, days: number, nowMs: number): boolean {
  return passwordSet !== null && ageOf(passwordSet, nowMs) >= days;
}

const ageOf = (passwordSet: string, nowMs: number): number =>
  (nowMs - (Number(BigInt(passwordSet) / BigInt(10_000)) - EPOCH_MS)) / DAY_MS;

/** `currentTime` of the root, in the form of RFC 4517 §3.3.13; our own where it does not say. */
function nowAt({ directory }: Reached): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(directory.root.text('currentTime') ?? '') ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at) ? Date.now() : at;
}

function dueOf(account: Account, terms: Terms): Done {
  const set = account.isExpired ? 'has expired' : `was set on ${dateOf(String(account.passwordSet))}`;
  const why = `the password of ${account.userName} ${set}, and is not reset where nobody watches`;
  const failure = new ProbeFailure('password-due', why);
  return doneWith(terms, resultFor(account, terms, 'Reset Credentials', failure, nodeWorld.now(), true));
}

const doneWith = ({ settings }: Terms, result: Done['result'], remarks: Done['remarks'] = []): Done => ({
  ...{ result, remarks, severity: parseSeverities(settings) },
});

function resultFor(
  { userName, home }: Pick<Account, 'userName' | 'home'>,
  { directory, surroundings }: Terms,
  scenario: 'Reset Credentials' | 'New Test User',
  failure: ProbeFailure | null,
  began: number,
  isSkipped = false,
): Done['result'] {
  const subject = {
    server: surroundings.controller,
    mailboxServer: home?.fqdn ?? null,
    localSite: surroundings.localSite,
    port: directory.port,
    connectionType: directory.connectionType,
    userName,
  } as const;
  const { now, date } = nodeWorld;
  const ms = now() - began;
  const startTime = new Date(date().getTime() - ms).toISOString();
  return accountResult(subject, scenario, failure, isSkipped, ms, startTime);
}

function toBeReset(account: Account, known: string | ProbeFailure, terms: Terms): AccountUpkeep {
  const { surroundings, settings, plan } = terms;
  const { userName, dn } = account;
  const seen = plan.task === 'reset' ? null : account;
  return {
    operations: [`set a new password for ${userName} (${dn}) by way of ${surroundings.controller}`],
    async carryOut() {
      const began = nodeWorld.now();
      const tell = (failure: ProbeFailure | null): Done =>
        doneWith(terms, resultFor(account, terms, 'Reset Credentials', failure, began));
      try {
        const fresh = await again(terms, (custody) => resetPassword(custody, seen));
        return { done: tell(null), settings: settingsFor(account, fresh, settings) };
      } catch (problem) {
        const failure = asFailure(problem);
        // With the old one everything is as it was; without it there is nobody to test with.
        if (failure.reason === 'internal-error' || typeof known !== 'string') throw problem;
        return { done: tell(failure), settings: settingsFor(account, known, settings) };
      }
    },
  };
}

async function toBeMade({ reached, name, domain }: Custody, terms: Terms): Promise<TestAccount> {
  const { plan, surroundings, settings } = terms;
  const { servers, site, controller } = surroundings;
  const unit = await unitBy(reached.directory, plan.unit ?? USUAL_UNIT);
  const wanted = settings['mailbox-server'] as string | undefined;
  const home = wanted === undefined ? null : serverBy('-MailboxServer', wanted, servers);
  const databases = home === null ? [] : await databasesOn(reached.directory, home);
  if (home !== null && databases.length === 0) {
    throw new ProbeFailure('configuration', `-MailboxServer: ${home.name} has no mailbox database`, {
      phase: 'directory',
    });
  }
  const account = { userName: `${name}@${domain}`, home };
  return {
    settings: null,
    mailboxServer: null,
    without: [],
    due: null,
    upkeep: {
      operations: [`make the account ${account.userName} in ${unit} by way of ${controller}`],
      async carryOut() {
        const began = nodeWorld.now();
        await again(terms, (custody) => makeAccount(custody, { unit, site: site as string }));
        const result = resultFor(account, terms, 'New Test User', null, began);
        return {
          done: doneWith(terms, result, servers.length === 0 ? [] : [mailboxNeeded(account.userName, databases[0])]),
          settings: null,
        };
      },
    },
  };
}

/** Only Exchange itself makes a mailbox. */
function mailboxNeeded(userName: string, database: string | undefined): string {
  const where = database === undefined ? '' : ` -Database ${quoted(database)}`;
  return `its mailbox is made by Exchange, in its Management Shell: Enable-Mailbox -Identity ${quoted(userName)}${where}`;
}

/** As PowerShell takes it for what it is. */
const quoted = (text: string): string => `'${text.replace(/'/g, "''")}'`;

/** Somebody may have been asked in between: the directory is gone to anew. */
const again = <T>(terms: Terms, work: (custody: Custody) => Promise<T>): Promise<T> =>
  inDirectory(terms.directory, terms.limitMs, async (reached) => work(await custodyOf(reached, terms)));

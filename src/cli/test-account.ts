import { asFailure, ProbeFailure } from '../dialogue/failure.ts';
import { Damaged, openAccountStore } from '../directory/account-store.ts';
import {
  type Custody,
  Expired,
  isHalfMade,
  isUnsettled,
  knownPassword,
  makeAccount,
  resetPassword,
} from '../directory/credentials.ts';
import { databasesOn } from '../directory/databases.ts';
import type { ExchangeServer } from '../directory/exchange-server.ts';
import { dateOf, isLater, msOf } from '../directory/file-time.ts';
import { unitBy } from '../directory/organizational-unit.ts';
import { inDirectory, type Purpose, type Reached } from '../directory/session.ts';
import type { Surroundings } from '../directory/surroundings.ts';
import { type Account, accountOf, guidOfSite, missing, testAccountName } from '../directory/test-account.ts';
import { accountResult } from '../probe/tell.ts';
import type { DirectoryPlan } from '../request/directory.ts';
import { parseSeverities } from '../request/request.ts';
import { iniSetting } from '../request/secret.ts';
import type { Settings } from '../request/settings.ts';
import type { TestAccountPlan } from '../request/test-account.ts';
import type { Done } from '../run/run-all.ts';
import { nodeWorld } from '../runtimes/node/world.ts';
import { mailboxServerBy, requireHome } from './mailbox-server.ts';

/** The account that logs on where nobody else was named, and what is to be done with it. */
export interface TestAccount {
  /** What is set for every test with it; null where nobody is to be tested. */
  readonly settings: Settings | null;
  /** The Mailbox server its mailbox is at home on; null where none is known. */
  readonly mailboxServer: string | null;
  /** Mailbox servers of the site it is not at home on. */
  readonly without: readonly ExchangeServer[];
  /** That its password is due, where nobody may set another: as a failure, and as a row. */
  readonly due: { readonly failure: ProbeFailure; readonly done: Done } | null;
  readonly upkeep: AccountUpkeep | null;
}

/** What is done to the account before anybody is tested. */
export interface AccountUpkeep {
  /** In the words of -WhatIf. */
  readonly operations: readonly string[];
  /** Does it. */
  readonly carryOut: () => Promise<Outcome>;
}

/** What came of that. */
interface Outcome {
  readonly done: Done;
  /** What is set for every test afterwards; why nobody can be tested; null where nobody is to be. */
  readonly settings: Settings | ProbeFailure | null;
}

/** What a run asks of the directory about an account. */
interface Terms {
  readonly plan: TestAccountPlan;
  readonly directory: DirectoryPlan;
  readonly surroundings: Surroundings;
  readonly settings: Settings;
  readonly severity: Done['severity'];
  readonly limitMs: number;
}

/**
 * Finds the test account of the site, and the password that is kept of it.
 *
 * @throws ProbeFailure `test-account-missing`, `configuration`, and those of the phase `directory`
 */
export async function takeTestAccount(reached: Reached, given: Omit<Terms, 'severity'>): Promise<TestAccount> {
  // Whatever is wrong with the command line is told before anything is done.
  const terms = { ...given, severity: parseSeverities(given.settings) };
  const { plan, surroundings, settings } = terms;
  const custody = await custodyOf(reached, terms);
  const { name } = custody;
  if (plan.task === 'make') return await toBeMade(custody, terms);
  const account = await accountOf(reached.directory, name, surroundings.servers);
  if (account === null) {
    throw missing(`there is no test account ${name} for the site ${surroundings.site}: make it by --new-test-user`);
  }
  const wanted = settings['mailbox-server'] as string | undefined;
  if (wanted !== undefined) requireHome(account, wanted, surroundings);
  const known = await passwordFor(custody, account, settings['what-if'] === true);
  // One that another machine has set is that one's to look after: to take it over is for somebody to say.
  const isOurs = typeof known === 'string' || known instanceof Expired;
  const isDue = plan.task === 'use' && isOurs && (known instanceof Expired || isOld(account, custody, terms));
  const isReset = plan.task === 'reset' || (isDue && plan.maxAgeDays !== null && !plan.isUnattended);
  if (known instanceof ProbeFailure && !isReset) throw known;
  const { home } = account;
  const isOfSite = ({ site, hasMailboxes }: ExchangeServer): boolean =>
    hasMailboxes && site?.toLowerCase() === surroundings.site?.toLowerCase();
  return {
    settings: settingsFor(account, typeof known === 'string' ? known : NOT_KNOWN, settings),
    mailboxServer: home?.fqdn ?? null,
    without:
      wanted !== undefined || home === null
        ? []
        : surroundings.servers.filter((server) => isOfSite(server) && server.dn !== home.dn),
    due: isDue && plan.isUnattended ? dueOf(account, terms) : null,
    upkeep: isReset ? toBeReset(account, known, terms) : null,
  };
}

/** What stands for a password until there is one; nobody is tested with it. */
const NOT_KNOWN = 'not known yet';

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

/**
 * The password that is kept, or why there is none.
 *
 * @param isTold whether nothing may be done: then what it takes a logon to know is not known
 */
async function passwordFor(custody: Custody, account: Account, isTold: boolean): Promise<string | ProbeFailure> {
  try {
    if (isTold && isUnsettled(custody, account)) return NOT_KNOWN;
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

const DAY_MS = 86_400_000;

/**
 * Whether the password is due, by the directory's own clock: ours may be wrong. Where it has not heard of our last reset yet, that
 * counts.
 */
function isOld({ passwordSet }: Account, { reached, store }: Custody, { plan }: Terms): boolean {
  const kept = store.read()?.current?.passwordSet ?? null;
  const set = kept !== null && (passwordSet === null || isLater(kept, passwordSet)) ? kept : passwordSet;
  return plan.maxAgeDays !== null && set !== null && (nowAt(reached) - msOf(set)) / DAY_MS >= plan.maxAgeDays;
}

/** `currentTime` of the root, in the form of RFC 4517 §3.3.13; our own where it does not say. */
function nowAt({ directory }: Reached): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(directory.root.text('currentTime') ?? '') ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at) ? Date.now() : at;
}

function dueOf(account: Account, terms: Terms): TestAccount['due'] {
  const set = dateOf(String(account.passwordSet));
  const why = `the password of ${account.userName} was set on ${set}, and is not reset where nobody watches`;
  const failure = new ProbeFailure('password-due', why);
  const result = resultFor(account, terms, 'Reset Credentials', failure, nodeWorld.now(), true);
  return { failure, done: { result, remarks: [], severity: terms.severity } };
}

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
      const tell = (failure: ProbeFailure | null): Done => ({
        result: resultFor(account, terms, 'Reset Credentials', failure, began),
        remarks: [],
        severity: terms.severity,
      });
      const until = began + terms.limitMs;
      try {
        const fresh = await again(terms, until, 'to write', (custody) => resetPassword(custody, seen));
        return { done: tell(null), settings: settingsFor(account, fresh, settings) };
      } catch (problem) {
        const failure = asFailure(problem);
        if (failure.reason === 'internal-error' || known instanceof ProbeFailure) throw problem;
        const done = tell(failure);
        // What the directory has now need not be the old one, and a wrong one is tried at no server.
        const left = await again(terms, until, 'to read', leftPassword).catch(failureOnly);
        return { done, settings: typeof left === 'string' ? settingsFor(account, left, settings) : left };
      }
    },
  };
}

function failureOnly(problem: unknown): ProbeFailure {
  if (problem instanceof ProbeFailure) return problem;
  throw problem;
}

/** The password that is right after a reset that failed, or why there is none. */
async function leftPassword(custody: Custody): Promise<string | ProbeFailure> {
  const { reached, name, servers } = custody;
  const account = await accountOf(reached.directory, name, servers);
  return account === null ? missing(`there is no account ${name} any more`) : passwordFor(custody, account, false);
}

async function toBeMade(custody: Custody, terms: Terms): Promise<TestAccount> {
  const { reached, name, domain } = custody;
  const { plan, surroundings, settings, severity } = terms;
  const { servers, site, controller } = surroundings;
  const unit = await unitBy(reached.directory, plan.unit);
  const wanted = settings['mailbox-server'] as string | undefined;
  const home = wanted === undefined ? null : mailboxServerBy(wanted, surroundings);
  const databases = home === null ? [] : await databasesOn(reached.directory, home);
  if (home !== null && databases.length === 0) {
    throw new ProbeFailure('configuration', `-MailboxServer: ${home.name} has no mailbox database`, {
      phase: 'directory',
    });
  }
  const account = { userName: `${name}@${domain}`, home };
  const operation = (await isHalfMade(custody))
    ? `log on to ${controller} as ${account.userName}, which an earlier run has made`
    : `make the account ${account.userName} in ${unit} by way of ${controller}`;
  const remarks = servers.length === 0 ? [] : [mailboxNeeded(account.userName, databases[0])];
  return {
    settings: null,
    mailboxServer: null,
    without: [],
    due: null,
    upkeep: {
      operations: [operation],
      async carryOut() {
        const began = nodeWorld.now();
        const place = { unit, site: site as string };
        await again(terms, began + terms.limitMs, 'to write', (fresh) => makeAccount(fresh, place));
        const result = resultFor(account, terms, 'New Test User', null, began);
        return { done: { result, remarks, severity }, settings: null };
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

/** Somebody may have been asked in between: the directory is gone to anew, for the time that is left. */
const again = <T>(terms: Terms, until: number, purpose: Purpose, work: (custody: Custody) => Promise<T>): Promise<T> =>
  inDirectory(terms.directory, Math.max(1, until - nodeWorld.now()), purpose, async (reached) =>
    work(await custodyOf(reached, terms)),
  );

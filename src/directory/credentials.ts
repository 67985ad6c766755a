import { ProbeFailure } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { type AccountStore, Damaged, type Kept } from './account-store.ts';
import type { ExchangeServer } from './exchange-server.ts';
import { LdapRefusal, logsOn, PASSWORD_RESTRICTION, type Values } from './ldap.ts';
import { newPassword } from './new-password.ts';
import type { Reached } from './session.ts';
import { type Account, accountOf } from './test-account.ts';

/** The test account of a site: where it is known, and where its password is kept. */
export interface Custody {
  readonly reached: Reached;
  readonly store: AccountStore;
  /** Its sAMAccountName. */
  readonly name: string;
  readonly domain: string;
  readonly servers: readonly ExchangeServer[];
}

/** How long one run may keep the others of this machine from the account. */
const LONGEST_MS = 15_000;

/** Whether an instant of `pwdLastSet` is after another; not where one of them is not known. */
export const isLater = (one: string | null, other: string | null): boolean =>
  one !== null && other !== null && BigInt(one) > BigInt(other);

/**
 * The password this machine has for the account. A reset that was cut short is settled first, whichever way it went. One that
 * cannot be right any more is not even tried: each wrong one brings the account nearer to being locked.
 *
 * @throws ProbeFailure `test-account-missing`, with what is to be done; of the phase `directory`
 */
export async function knownPassword(custody: Custody, account: Account): Promise<string> {
  const kept = custody.store.read();
  if (!isUnsettled(kept, account)) return trusted(kept, account);
  return await custody.store.alone(LONGEST_MS, async () => {
    const fresh = await look(custody);
    return trusted(await settled(custody, custody.store.read(), fresh), fresh);
  });
}

const isUnsettled = (kept: Kept | null, { passwordSet }: Account): boolean =>
  (kept?.next ?? null) !== null && kept?.next?.refusedAt !== passwordSet;

/** Finds out whether the directory has the new password, and keeps what is right. */
async function settled({ reached, store }: Custody, kept: Kept | null, account: Account): Promise<Kept | null> {
  if (kept === null || kept.next === null || !isUnsettled(kept, account)) return kept;
  const { current, next, userName } = kept;
  const keep = (now: Kept): Kept => {
    store.write(now);
    return now;
  };
  // Nobody has set any since the old one logged on.
  if (current !== null && current.passwordSet !== null && current.passwordSet === account.passwordSet)
    return keep({ userName, current, next: null });
  if (await logsOn(reached.terms, credentialOf(userName, next.password), reached.hold))
    return keep({ userName, current: { password: next.password, passwordSet: account.passwordSet }, next: null });
  return keep({ userName, current, next: { ...next, refusedAt: account.passwordSet } });
}

function trusted(kept: Kept | null, { userName, passwordSet, barred, isExpired }: Account): string {
  if (barred !== null) throw missing(`the test account ${userName} ${barred}`);
  const wrong = (why: string): ProbeFailure =>
    missing(`the password of ${userName} ${why}: -ResetTestAccountCredentials sets a new one`);
  if (isExpired) throw wrong('has expired');
  const current = kept?.current ?? null;
  if (current === null) throw wrong('is not kept on this machine');
  if (isLater(passwordSet, current.passwordSet)) throw wrong(`was set elsewhere on ${dateOf(passwordSet as string)}`);
  return current.password;
}

const missing = (why: string): ProbeFailure => new ProbeFailure('test-account-missing', why, { phase: 'directory' });

const credentialOf = (userName: string, password: string) =>
  ({ kind: 'password', userName, password: new Secret(password) }) as const;

/** 100 ns since 1601 as a date of UTC. */
export const dateOf = (fileTime: string): string =>
  new Date(Number(BigInt(fileTime) / BigInt(10_000)) - 11_644_473_600_000)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');

async function look({ reached, name, servers }: Custody): Promise<Account> {
  const found = await accountOf(reached.directory, name, servers);
  if (found === null) throw missing(`there is no account ${name}`);
  return found;
}

/**
 * Sets a new password. It is on the disk before the directory has it, and the old one is kept until the new one has logged
 * on: wherever this is cut short, one of the two is right, and the next run finds out which.
 *
 * @param seen the account as it was when it was found to be due, for which somebody else may have set a password since; null
 *   where it is reset in any case
 * @returns the password to use from now on
 * @throws ProbeFailure of the phase `directory`
 */
export async function resetPassword(custody: Custody, seen: Account | null): Promise<string> {
  const { reached, store } = custody;
  return await store.alone(LONGEST_MS, async () => {
    const account = await look(custody);
    const { barred } = account;
    if (barred !== null) throw missing(`the test account ${account.userName} ${barred}`);
    const kept = keptOrNothing(store);
    // Of an expired password nobody learns whether it is right.
    const before = account.isExpired ? kept : await settled(custody, kept, account);
    if (seen !== null && account.passwordSet !== seen.passwordSet) return trusted(before, account);
    const { userName } = account;
    const current = before?.current ?? null;
    const password = newPassword(random);
    store.write({ userName, current, next: { password, refusedAt: null } });
    try {
      await reached.directory.replace(account.dn, { unicodePwd: unicodePassword(password) });
    } catch (problem) {
      if (!(problem instanceof LdapRefusal)) throw problem;
      // The directory has said that it has not taken it.
      store.restore(before);
      throw refusalOf(problem, `may not reset the password of ${userName}`);
    }
    await taken(custody, await look(custody), current, password);
    return password;
  });
}

/** The moment is asked for before the logon: whoever sets another one between the two is noticed. */
async function taken({ reached, store }: Custody, account: Account, current: Kept['current'], password: string) {
  const { userName, passwordSet } = account;
  if (await logsOn(reached.terms, credentialOf(userName, password), reached.hold)) {
    store.write({ userName, current: { password, passwordSet }, next: null });
    return;
  }
  store.write({ userName, current, next: { password, refusedAt: passwordSet } });
  throw missing(`another machine has set the password of ${userName} just after this one`);
}

function keptOrNothing(store: AccountStore): Kept | null {
  try {
    return store.read();
  } catch (problem) {
    if (problem instanceof Damaged) return null;
    throw problem;
  }
}

const random = (length: number): Uint8Array => builtin.crypto().randomBytes(length);

/** The value of `unicodePwd`: in quotes, UTF-16 with the least octet first (MS-ADTS §3.1.1.3.1.5.1). */
const unicodePassword = (password: string): Uint8Array => Buffer.from(`"${password}"`, 'utf16le');

const INSUFFICIENT_RIGHTS = 50;

/** What a refusal to write means here. */
function refusalOf(problem: LdapRefusal, mayNot: string): ProbeFailure {
  const why =
    problem.code === INSUFFICIENT_RIGHTS
      ? `the account of --directory-credential ${mayNot}`
      : problem.data === PASSWORD_RESTRICTION
        ? "the domain's password policy refuses a password of 32 characters of four classes"
        : null;
  return why === null
    ? problem
    : new ProbeFailure('directory-refused', `${why} (LDAP ${problem.code})`, { phase: 'directory' });
}

/** Where the account is to be made, and what for. */
export interface Place {
  /** The distinguished name of an organizational unit. */
  readonly unit: string;
  readonly site: string;
}

/**
 * Makes the account, hidden from address lists and held small where the directory knows what that is. One that an earlier run
 * made and did not get round to trying is tried now.
 *
 * @returns its password
 * @throws ProbeFailure of the phase `directory`; `configuration` where it is there already
 */
export async function makeAccount(custody: Custody, { unit, site }: Place): Promise<string> {
  const { reached, store, name, domain } = custody;
  return await store.alone(LONGEST_MS, async () => {
    const there = await accountOf(reached.directory, name, custody.servers);
    const kept = store.read();
    if (there !== null) {
      if (isUnsettled(kept, there)) return trusted(await settled(custody, kept, there), there);
      const hint = kept?.current ? 'and its password is kept here' : '-ResetTestAccountCredentials takes it over';
      throw new ProbeFailure('configuration', `the account ${there.dn} is there already: ${hint}`, {
        phase: 'directory',
      });
    }
    const userName = `${name}@${domain}`;
    const password = newPassword(random);
    const values = {
      ...{ objectClass: ['user'], cn: [name], sAMAccountName: [name], userPrincipalName: [userName] },
      ...{
        displayName: [name],
        description: [`Test account of POP3 monitoring for the site ${site}`],
        mail: [userName],
      },
      unicodePwd: unicodePassword(password),
      userAccountControl: [NORMAL_ACCOUNT],
      ...(await knownTo(reached, LIMITS)),
    };
    store.write({ userName, current: null, next: { password, refusedAt: null } });
    try {
      await reached.directory.add(`CN=${name},${unit}`, values);
    } catch (problem) {
      if (!(problem instanceof LdapRefusal)) throw problem;
      store.restore(kept);
      throw refusalOf(problem, `may not make users in ${unit}`);
    }
    await taken(custody, await look(custody), null, password);
    return password;
  });
}

/** MS-ADTS §2.2.16. */
const NORMAL_ACCOUNT = '512';

/** What Exchange's own script sets: hidden, and messages and mailbox of 1000 KB at the most. */
const LIMITS: Values = {
  msExchHideFromAddressLists: ['TRUE'],
  delivContLength: ['1000'],
  submissionContLength: ['1000'],
  mDBUseDefaults: ['FALSE'],
  mDBOverQuotaLimit: ['1000'],
  mDBOverHardQuotaLimit: ['1000'],
};

/** Those attributes that the schema has. */
async function knownTo({ directory }: Reached, values: Values): Promise<Values> {
  const schema = directory.root.text('schemaNamingContext');
  if (schema === null) return {};
  const known: [string, Values[string]][] = [];
  for (const [attribute, value] of Object.entries(values)) {
    const where = { objectClass: 'attributeSchema', lDAPDisplayName: attribute };
    const found = await directory.search(schema, { scope: 'one', where, attributes: ['cn'] });
    if (found.length > 0) known.push([attribute, value]);
  }
  return Object.fromEntries(known);
}

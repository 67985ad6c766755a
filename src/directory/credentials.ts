import { ProbeFailure } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { type AccountStore, Damaged, type Kept, type KeptPassword } from './account-store.ts';
import type { ExchangeServer } from './exchange-server.ts';
import { dateOf, isLater } from './file-time.ts';
import { isRight, LdapRefusal, PASSWORD_RESTRICTION, type Values } from './ldap.ts';
import { newPassword } from './new-password.ts';
import type { Reached } from './session.ts';
import { type Account, accountOf, missing } from './test-account.ts';

/** The test account of a site: where it is known, and where its password is kept. */
export interface Custody {
  readonly reached: Reached;
  readonly store: AccountStore;
  /** Its sAMAccountName. */
  readonly name: string;
  readonly domain: string;
  readonly servers: readonly ExchangeServer[];
}

/**
 * The password this machine has for the account. A reset that was cut short is settled first, whichever way it went. One that
 * cannot be right any more is not even tried: each wrong one brings the account nearer to being locked.
 *
 * @throws ProbeFailure `test-account-missing`, with what is to be done; of the phase `directory`
 */
export async function knownPassword(custody: Custody, account: Account): Promise<string> {
  const kept = custody.store.read();
  if (!isOpen(kept, account)) return trusted(kept, account);
  return await alone(custody, async () => {
    const fresh = await look(custody);
    return trusted(await settled(custody, custody.store.read(), fresh), fresh);
  });
}

/**
 * Whether it takes a logon to know which password is right: then nothing is known without one.
 *
 * @throws ProbeFailure `configuration`
 */
export const isUnsettled = (custody: Custody, account: Account): boolean => isOpen(custody.store.read(), account);

const alone = <T>({ store, reached }: Custody, work: () => Promise<T>): Promise<T> =>
  store.alone(reached.limitMs, work);

function isOpen(kept: Kept | null, { passwordSet, barred, isExpired }: Account): boolean {
  // What nobody may log on with tells nothing.
  if (kept === null || passwordSet === null || barred !== null || isExpired) return false;
  const { current, next } = kept;
  // Nobody has set any since it logged on, as far as this domain controller knows; the new one may come to it yet.
  if (current !== null && current.passwordSet === passwordSet) return false;
  return (next !== null && next.refusedAt !== passwordSet) || (current !== null && isElsewhere(current, passwordSet));
}

/** Whether a password was set at a domain controller whose clock, or whose copy of the directory, is behind ours. */
const isElsewhere = ({ passwordSet, refusedAt }: KeptPassword, now: string): boolean =>
  passwordSet !== null && passwordSet !== now && !isLater(now, passwordSet) && refusedAt !== now;

/** Finds out what the directory has, and keeps what is right. */
async function settled(custody: Custody, kept: Kept | null, account: Account): Promise<Kept | null> {
  const { passwordSet } = account;
  if (kept === null || passwordSet === null || !isOpen(kept, account)) return kept;
  const { userName, current, next } = kept;
  const keep = (now: Kept): Kept => {
    custody.store.write(now);
    return now;
  };
  if (next !== null && next.refusedAt !== passwordSet) {
    const isNext = await fits(custody, account, next.password);
    const settledNow: Kept = isNext
      ? { userName, current: { password: next.password, passwordSet, refusedAt: null }, next: null }
      : { userName, current, next: { ...next, refusedAt: passwordSet } };
    return settled(custody, keep(settledNow), account);
  }
  if (current === null) return kept;
  const isCurrent = await fits(custody, account, current.password);
  return keep({
    ...kept,
    current: { ...current, refusedAt: isCurrent ? null : passwordSet, ...(isCurrent ? { passwordSet } : {}) },
  });
}

/** By the distinguished name, which every directory takes for who logs on. */
const fits = ({ reached }: Custody, { dn }: Account, password: string): Promise<boolean> =>
  isRight(reached.terms, { kind: 'password', userName: dn, password: new Secret(password) }, reached.hold);

/** The password has expired, which a new one cures. */
export class Expired extends ProbeFailure {}

function trusted(kept: Kept | null, { userName, passwordSet, barred, isExpired }: Account): string {
  if (barred !== null) throw missing(`the test account ${userName} ${barred}`);
  if (passwordSet === null) throw unreadable(userName);
  const wrong = (why: string): string =>
    `the password of ${userName} ${why}: -ResetTestAccountCredentials sets a new one`;
  const current = kept?.current ?? null;
  if (current === null) throw missing(wrong('is not kept on this machine'));
  const isOlder = current.passwordSet !== null && isLater(passwordSet, current.passwordSet);
  if (isOlder || current.refusedAt === passwordSet) throw missing(wrong(`was set elsewhere on ${dateOf(passwordSet)}`));
  if (isExpired) throw new Expired('test-account-missing', wrong('has expired'), { phase: 'directory' });
  return current.password;
}

/** Without it nobody could tell that another machine has set a password, and a wrong one would be tried at every server. */
const unreadable = (userName: string): ProbeFailure =>
  new ProbeFailure(
    'directory-refused',
    `the account of --directory-credential may not read pwdLastSet of ${userName}`,
    {
      phase: 'directory',
    },
  );

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
  return await alone(custody, async () => {
    const account = await look(custody);
    const { userName, barred } = account;
    if (barred !== null) throw missing(`the test account ${userName} ${barred}`);
    if (account.passwordSet === null) throw unreadable(userName);
    const before = await settled(custody, keptOrNothing(store), account);
    if (seen !== null && account.passwordSet !== seen.passwordSet) return trusted(before, account);
    const kept = before ?? { userName, current: null, next: null };
    const password = newPassword(random);
    store.write({ ...kept, next: { password, passwordSet: null, refusedAt: null } });
    try {
      await reached.directory.replace(account.dn, { unicodePwd: unicodePassword(password) });
    } catch (problem) {
      if (!(problem instanceof LdapRefusal)) throw problem;
      // The directory has said that it has not taken it.
      store.restore(before);
      throw refusalOf(problem, `may not reset the password of ${userName}`);
    }
    await taken(custody, kept, password);
    return password;
  });
}

/** The moment is asked for before the logon: whoever sets another one between the two is noticed. */
async function taken(custody: Custody, { userName, current }: Kept, password: string): Promise<void> {
  const account = await look(custody);
  const { passwordSet } = account;
  if (await fits(custody, account, password)) {
    custody.store.write({ userName, current: { password, passwordSet, refusedAt: null }, next: null });
    return;
  }
  custody.store.write({ userName, current, next: { password, passwordSet: null, refusedAt: passwordSet } });
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

const REFERRAL = 10;
const INSUFFICIENT_RIGHTS = 50;

/** What a refusal to write means here. */
function refusalOf(problem: LdapRefusal, mayNot: string): ProbeFailure {
  const why = whyNot(problem, mayNot);
  return why === null
    ? problem
    : new ProbeFailure('directory-refused', `${why} (LDAP ${problem.code})`, { phase: 'directory' });
}

function whyNot({ code, data }: LdapRefusal, mayNot: string): string | null {
  if (code === REFERRAL) return 'this domain controller only reads: name one by --domain-controller that is written to';
  if (code === INSUFFICIENT_RIGHTS) return `the account of --directory-credential ${mayNot}`;
  if (data === PASSWORD_RESTRICTION)
    return "the domain's password policy refuses a password of 32 characters of four classes";
  return null;
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
 * @throws ProbeFailure of the phase `directory`; `configuration` where it is there already
 */
export async function makeAccount(custody: Custody, { unit, site }: Place): Promise<void> {
  const { reached, store, name, domain } = custody;
  await alone(custody, async () => {
    const kept = keptOrNothing(store);
    if (await isHalfMade(custody)) {
      const account = await look(custody);
      trusted(await settled(custody, kept, account), account);
      return;
    }
    const userName = `${name}@${domain}`;
    const password = newPassword(random);
    const values = {
      objectClass: ['user'],
      cn: [name],
      sAMAccountName: [name],
      userPrincipalName: [userName],
      displayName: [name],
      description: [`Test account of POP3 monitoring for the site ${site}`],
      mail: [userName],
      unicodePwd: unicodePassword(password),
      userAccountControl: [NORMAL_ACCOUNT],
      ...(await knownTo(reached, LIMITS)),
    };
    const made = { userName, current: null, next: null };
    store.write({ ...made, next: { password, passwordSet: null, refusedAt: null } });
    try {
      await reached.directory.add(`CN=${name},${unit}`, values);
    } catch (problem) {
      if (!(problem instanceof LdapRefusal)) throw problem;
      store.restore(kept);
      throw refusalOf(problem, `may not make users in ${unit}`);
    }
    await taken(custody, made, password);
  });
}

/**
 * Whether an earlier run made the account and was cut short before it was proved.
 *
 * @returns false where there is no account
 * @throws ProbeFailure `configuration` where there is one, of whatever origin
 */
export async function isHalfMade({ reached, store, name, servers }: Custody): Promise<boolean> {
  const there = await accountOf(reached.directory, name, servers);
  if (there === null) return false;
  const kept = keptOrNothing(store);
  if (kept !== null && kept.current === null && kept.next !== null && kept.next.refusedAt === null) return true;
  const hint = kept?.current ? 'and its password is kept here' : '-ResetTestAccountCredentials takes it over';
  throw new ProbeFailure('configuration', `the account ${there.dn} is there already: ${hint}`, { phase: 'directory' });
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

import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type AdScene, withDomain } from './ad-scene.ts';
import { pathOf } from './installed.ts';
import { type HaltingDoor, type LdapMoment, type LdapOperation, openHaltingDoor } from './ldap-doors.ts';
import { CHECK_POP3, type Circumstances, type Ended, launch, TEST_POP_CONNECTIVITY } from './run.ts';
import { type Account, DOMAIN_DN, type SambaOptions } from './samba.ts';

/** A domain that locks accounts, the test accounts in it, and machines that keep their passwords. */
export interface AccountScene extends Pick<AdScene, 'samba' | 'dovecot' | 'folder'> {
  /** That of Site-A, as the directory had it at first. */
  readonly account: () => Account;
  /** One that keeps nothing yet. Who logs on to the directory is the operator, and the test is that of LightMode. */
  readonly newMachine: (changes?: Partial<Terms>) => Machine;
  /** One that has just set the password of Site-A's account, and has it tested. */
  readonly settledMachine: (servers?: readonly string[]) => Promise<Machine>;
  /** What the directory has of an object. */
  readonly attributes: (dn: string) => Promise<Readonly<Record<string, readonly string[]>>>;
  /** Whether the domain controller lets somebody in, by OpenLDAP's client. */
  readonly letsIn: (user: string, password: string) => Promise<boolean>;
  /** Sets a password as the administrator of the domain. */
  readonly setPassword: (account: Pick<Account, 'dn'>, password: string) => Promise<void>;
}

/** A machine, as far as it is a folder of state: the domain around it is that of all of them. */
export interface Machine {
  readonly state: string;
  readonly cmdlet: (...argv: readonly string[]) => Promise<Ended>;
  readonly check: (...argv: readonly string[]) => Promise<Ended>;
  /** The same machine, used in another way. */
  readonly with: (changes: Partial<Terms>) => Machine;
  /** What it keeps of the account of a site, Site-A if not said otherwise; null where that is nothing. */
  readonly kept: (site?: string) => Kept | null;
  /** The password it keeps. */
  readonly password: () => string;
  /** What is in its folder. */
  readonly files: () => readonly string[];
}

export interface Terms {
  /** Who logs on to the directory. */
  readonly by: Account;
  readonly controller: readonly string[];
  /** What is tested and how. */
  readonly test: readonly string[];
  /** Where runs leave word for each other, as an option; null where that is left to the environment. */
  readonly place: string | null;
  readonly circumstances: Circumstances;
  /** Comes before the command, in the domain. */
  readonly prefix: readonly string[];
}

/** A file of the state folder, as docs/directory.md has it. */
export interface Kept {
  readonly version: number;
  readonly domain: string;
  readonly siteGuid: string;
  readonly userName: string;
  readonly current: { readonly password: string; readonly passwordSet: string | null } | null;
  readonly next: { readonly password: string; readonly refusedAt: string | null } | null;
}

/** Three wrong passwords, and an account is locked for half an hour; before, Samba does not count them. */
const LOCKED_BY_THREE = `dn: ${DOMAIN_DN}
changetype: modify
replace: lockoutThreshold
lockoutThreshold: 3
-
replace: lockoutDuration
lockoutDuration: -18000000000
-
replace: lockOutObservationWindow
lockOutObservationWindow: -18000000000
`;

/** The same for all tests of a file, or of a part of it. */
export function withTestAccounts(options: SambaOptions = {}): AccountScene {
  const { samba, dovecot, folder, reader } = withDomain(options);
  const secrets = new Set<string>();
  beforeAll(() => samba().modify(LOCKED_BY_THREE));
  const account = (): Account => samba().testAccounts['Site-A'];

  const machineAt = (state: string, terms: Terms): Machine => {
    const files = () => readdirSync(state).filter((name) => NAME.test(name));
    const stores = (): readonly Kept[] => files().map((name) => keptIn(join(state, name)));
    const asked = async (command: string, argv: readonly string[]): Promise<Ended> => {
      const { by, controller, test, place, circumstances, prefix } = terms;
      const own = [...(place === null ? [] : ['--state-dir', place]), ...controller, ...reader(by), ...test];
      const [file = '', ...args] = [...samba().inDomain, ...prefix, command, ...argv, ...own];
      for (const each of stores()) for (const password of passwordsIn(each)) secrets.add(password);
      const ended = await launch(file, args, circumstances);
      for (const each of stores()) for (const password of passwordsIn(each)) secrets.add(password);
      for (const { password } of [samba().operator, samba().probe, account()]) secrets.add(password);
      for (const secret of secrets) expectAbsent(secret, ended.stdout + ended.stderr);
      return ended;
    };
    const kept = (site: string = samba().siteGuids['Site-A']): Kept | null =>
      stores().find(({ siteGuid }) => siteGuid === site) ?? null;
    return {
      state,
      cmdlet: (...argv) => asked(TEST_POP_CONNECTIVITY, argv),
      check: (...argv) => asked(CHECK_POP3, argv),
      with: (changes) => machineAt(state, { ...terms, ...changes }),
      kept,
      password: () => kept()?.current?.password as string,
      files: () => readdirSync(state).sort(),
    };
  };
  const newMachine = (changes: Partial<Terms> = {}): Machine => {
    const state = folder.state();
    return machineAt(state, {
      ...{ by: samba().operator, controller: ['--domain-controller', samba().fqdn] },
      ...{ test: lightMode(samba().folder), place: state, circumstances: {}, prefix: [] },
      ...changes,
    });
  };
  return {
    ...{ samba, dovecot, folder, account, newMachine },
    async settledMachine(servers = ['-ClientAccessServer', 'EX2019', '-MailboxServer', 'EX2019']) {
      const machine = newMachine();
      const { code, stdout } = await machine.cmdlet('-ResetTestAccountCredentials', ...servers);
      expect(code, stdout).toBe(0);
      return machine;
    },
    async attributes(dn) {
      const [found] = await samba().search(dn, 'base', '(objectClass=*)', ['*', 'badPwdCount', 'pwdLastSet']);
      return found ?? {};
    },
    async letsIn(user, password) {
      const secret = folder.file('a-password', password);
      const bind = ['-x', '-H', `ldaps://${samba().fqdn}`, '-D', user, '-y', secret, '-o', 'nettimeout=20'];
      const look = ['-LLL', '-s', 'base', '-b', '', '(objectClass=*)', 'defaultNamingContext'];
      const [file = '', ...argv] = [...samba().inDomain, pathOf('ldapsearch'), ...bind, ...look];
      const { code, stderr } = await launch(file, argv, { env: { LDAPTLS_CACERT: samba().caFile } });
      if (code !== 0 && code !== 49) throw new Error(stderr);
      return code === 0;
    },
    async setPassword({ dn }, password) {
      const value = Buffer.from(`"${password}"`, 'utf16le').toString('base64');
      await samba().modify(`dn: ${dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${value}\n`);
    },
  };
}

/** Another way to the domain controller, on which runs can be watched, held up and killed. */
export interface AccountDoor {
  /** What a run asks of the directory, from its beginning to its end. */
  readonly stepsOf: (machine: Machine, ...argv: readonly string[]) => Promise<readonly LdapOperation[]>;
  /** Runs it and kills it at that moment; when this resolves nothing of it is left. */
  readonly killAt: (machine: Machine, moment: LdapMoment, ...argv: readonly string[]) => Promise<void>;
  /** Runs it, and lets it lose the domain controller at that moment; it may come back at once. */
  readonly loseAt: (machine: Machine, moment: LdapMoment, ...argv: readonly string[]) => Promise<Ended>;
  /** Runs it, and something else meanwhile, from that moment until it is over. */
  readonly holdAt: (
    machine: Machine,
    moment: LdapMoment,
    meanwhile: () => Promise<void>,
    ...argv: readonly string[]
  ) => Promise<Ended>;
}

/** The same for all tests of a file. */
export function withAccountDoor({ samba }: AccountScene): AccountDoor {
  let door: HaltingDoor | undefined;
  beforeAll(async () => {
    const identity = await samba().authority.issue({ names: [samba().fqdn] });
    door = await openHaltingDoor({ identity, to: samba().address, address: samba().address });
  });
  afterAll(() => door?.close());
  const opened = (): HaltingDoor => door as HaltingDoor;
  const runThrough = (machine: Machine, argv: readonly string[], circumstances: Circumstances = {}): Promise<Ended> => {
    const controller = ['--domain-controller', samba().fqdn, '--directory-port', String(opened().port)];
    return machine.with({ controller, circumstances }).cmdlet(...argv);
  };
  return {
    async stepsOf(machine, ...argv) {
      opened().restart();
      await runThrough(machine, argv);
      return opened().asked();
    },
    async killAt(machine, moment, ...argv) {
      let child: ChildProcess | undefined;
      const meanwhile = (started: ChildProcess): void => {
        child = started;
      };
      const running = runThrough(machine, argv, { meanwhile });
      await opened().halt(moment, running);
      child?.kill('SIGKILL');
      expect((await running).code).toBe(null);
      opened().cut();
    },
    async loseAt(machine, moment, ...argv) {
      const running = runThrough(machine, argv);
      await opened().halt(moment, running);
      opened().cut();
      return await running;
    },
    async holdAt(machine, moment, meanwhile, ...argv) {
      const running = runThrough(machine, argv);
      await opened().halt(moment, running);
      try {
        await meanwhile();
      } finally {
        opened().resume();
      }
      return await running;
    },
  };
}

/** Nothing is sent: of a logon alone. */
export const lightMode = (folder: string): readonly string[] => [
  '--ca-file',
  join(folder, 'tls/ca.pem'),
  '--light-mode',
];

const NAME = /^test-account-[0-9a-f]{24}\.json$/;

/** Nobody else may read it, and it is a whole file. */
function keptIn(path: string): Kept {
  expect(statSync(path).mode & 0o777).toBe(0o600);
  return JSON.parse(readFileSync(path, 'utf8'));
}

const passwordsIn = ({ current, next }: Kept): readonly string[] =>
  [current, next].flatMap((each) => (each === null ? [] : [each.password]));

/** In clear, and in base 64 at whatever alignment, as text and as the directory takes a password. */
function expectAbsent(secret: string, output: string): void {
  expect(output).not.toContain(secret);
  for (const octets of [Buffer.from(secret), Buffer.from(secret, 'utf16le')]) {
    for (let before = 0; before < 3; before++) {
      const encoded = Buffer.concat([Buffer.alloc(before), octets]).toString('base64');
      expect(output).not.toContain(encoded.slice(before === 0 ? 0 : 4, -4));
    }
  }
}

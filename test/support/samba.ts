import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Authority, createAuthority } from '../../src/sandbox/authority.ts';
import { clock } from './icinga-cluster.ts';
import { type Program, pathOf } from './installed.ts';
import { isRoot } from './own-server.ts';
import { launch } from './run.ts';

/** What `startSamba` runs, for `missing()`. */
export const SAMBA: Program = {
  name: 'a domain controller',
  commands: [
    ...['samba', 'samba-tool', 'ldapsearch', 'ldapmodify', 'mount', 'unshare', 'ip'],
    existsSync('/usr/share/samba/setup/provision.ldif') ? 'sh' : 'samba-ad-provision',
    isRoot() ? 'sh' : 'sh-as-root',
  ],
  install:
    'run as root; apt-get install samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind ' +
    'python3-markdown python3-dnspython ldap-utils iproute2',
};

export interface SambaOptions {
  /** By how many seconds its clock is ahead, or behind if that is negative: needs FAKETIME. So much older are passwords. */
  readonly clock?: number;
  /** A second server named EX2019 and a second organizational unit named Users are there. */
  readonly isAmbiguous?: boolean;
}

/**
 * A domain controller of Active Directory at an address of its own, with what Exchange leaves in a directory. It is at
 * Site-A. Its networks: 127.0.0.0/8 is of Site-A, 127.12.0.0/16 in it of Site-B; 2001:db8::/32 is of Site-A and
 * 2001:db8:b::/48 in it of Site-B. Of two networks that have an address Samba's ping takes either one; where it is to tell
 * Site-B, the wider one has to go. Passwords have seven characters of three classes, and do not expire.
 */
export interface Samba {
  /** 127.10.x.1. LDAP is on 389 (and CLDAP), LDAPS on 636, the global catalogue on 3268 and 3269, DNS on 53, Kerberos on 88. */
  readonly address: string;
  /** It is in the certificate, the address is not. Who speaks to the address does so from 127.0.0.2. */
  readonly fqdn: 'dc01.example.test';
  readonly domain: 'example.test';
  /** Of the authority that vouches for it, PEM. */
  readonly caFile: string;
  /** The same authority, for other servers of the domain. */
  readonly authority: Authority;
  readonly administrator: Account;
  /** An ordinary account that may read. */
  readonly probe: Account;
  /** May make accounts in `testOu` and reset their passwords, and nothing else. */
  readonly operator: Account;
  /** The test accounts are in it: OU=Users,OU=Exchange below the domain. */
  readonly testOu: string;
  /** The test account of each site, enabled. That of Site-A is at home on EX2019, that of Site-B on EXSE. */
  readonly testAccounts: Readonly<Record<Site, Account>>;
  /** The objectGUID of each site in its usual text form, without braces. */
  readonly siteGuids: Readonly<Record<Site, string>>;
  /** Comes before a command that is to ask the DNS of the domain and nobody else; the network stays the same. */
  readonly inDomain: readonly string[];
  /** The private folder with everything of this server. */
  readonly folder: string;
  /** Changes the directory as its administrator may: LDIF with changetype. */
  modify(ldif: string): Promise<void>;
  /** What its administrator sees. A GUID is in its usual text form; octets that are no text are in base 64. */
  search(base: string, scope: 'base' | 'one' | 'sub', filter: string, attributes?: readonly string[]): Promise<Found>;
  /** Lets the DNS of the domain know names in it. */
  publish(addresses: Readonly<Record<string, string>>): Promise<void>;
  /** Moves its clock, if it was started with one: seconds ahead of ours. */
  setClock(seconds: number): void;
  log(): Promise<string>;
  /** Ends it and removes its folder; when it resolves nothing is left of it. */
  stop(): Promise<void>;
}

export type Site = 'Site-A' | 'Site-B';

export interface Account {
  /** Its userPrincipalName, which a simple bind takes. */
  readonly user: string;
  /** Its sAMAccountName. */
  readonly name: string;
  readonly dn: string;
  readonly password: string;
}

export type Found = readonly Readonly<Record<string, readonly string[]>>[];

export const DOMAIN_DN = 'DC=example,DC=test';
export const CONFIGURATION_DN = `CN=Configuration,${DOMAIN_DN}`;
const TEST_OU = `OU=Users,OU=Exchange,${DOMAIN_DN}`;
const SITES: readonly Site[] = ['Site-A', 'Site-B'];

/** They guard nothing but this directory, which is on a loopback while a test runs. */
const PASSWORDS = {
  administrator: 'Correct-Horse-1',
  probe: 'Battery-Staple-2',
  operator: 'Paper-Clip-3',
  'Site-A': 'Morning-Coffee-4',
  'Site-B': 'Evening-Tea-5',
} as const;

/**
 * Starts it; resolves when it answers.
 * @throws with its log when it does not come up
 */
export async function startSamba(options: SambaOptions = {}): Promise<Samba> {
  const template = await templateMade();
  const folder = await mkdtemp(join(tmpdir(), 'samba-')); // short: it holds sockets, with up to 107 octets a path
  try {
    await copy(template, folder);
    const running = await serve(folder, options.clock);
    try {
      return await settle(running, options);
    } catch (error) {
      await end(running);
      throw error;
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function settle(running: Running, { clock: ahead, isAmbiguous = false }: SambaOptions): Promise<Samba> {
  const { folder, address, authority } = running;
  const directory = directoryOf(folder);
  await directory.modify(await movedTo(address, directory));
  if (isAmbiguous) await directory.modify(await fixture('ambiguous'));
  const siteGuids = await guidsOf(directory);
  const testAccount = (site: Site) => accountOf(testAccountName(siteGuids[site]), TEST_OU, PASSWORDS[site]);
  const testAccounts = { 'Site-A': testAccount('Site-A'), 'Site-B': testAccount('Site-B') };
  if (ahead === undefined) {
    // Their passwords are as old as the template; with a clock of its own that is left as it is.
    await directory.modify(Object.values(testAccounts).map(passwordSetNow).join('\n'));
  }
  await writeFile(join(folder, 'resolv.conf'), `nameserver ${address}\n`);
  await writeFile(join(folder, 'hosts'), '127.0.0.1 localhost\n');
  const users = `CN=Users,${DOMAIN_DN}`;
  let ended: Promise<void> | undefined;
  return {
    address,
    fqdn: 'dc01.example.test',
    domain: 'example.test',
    caFile: join(folder, 'tls/ca.pem'),
    authority,
    administrator: accountOf('Administrator', users, PASSWORDS.administrator),
    probe: accountOf('pop3-probe', users, PASSWORDS.probe),
    operator: accountOf('pop3-operator', users, PASSWORDS.operator),
    testOu: TEST_OU,
    testAccounts,
    siteGuids,
    inDomain: [pathOf('unshare'), '--mount', '--', 'sh', '-c', ASK_THE_DOMAIN, 'sh', folder],
    folder,
    ...directory,
    async publish(addresses) {
      const known = await directory.search(ZONE, 'one', '(objectClass=dnsNode)', ['name']);
      const names = known.flatMap(({ name = [] }) => name);
      const ldif = Object.entries(addresses).map(([name, at]) => nodeOf(name, at, names));
      await directory.modify(ldif.join('\n'));
    },
    setClock(seconds) {
      if (ahead === undefined) throw new Error('it was started with the clock of this machine');
      clock(join(folder, 'clock')).set(seconds);
    },
    log: () => readLog(folder),
    stop() {
      ended ??= end(running);
      return ended;
    },
  };
}

const ASK_THE_DOMAIN =
  'mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/hosts" /etc/hosts && shift && exec "$@"';

function accountOf(name: string, parent: string, password: string): Account {
  return { user: `${name}@example.test`, name, dn: `CN=${name},${parent}`, password };
}

const passwordSetNow = ({ dn }: Account): string =>
  `dn: ${dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: -1\n`;

/** As Exchange names it: after the first thirteen digits of the site's GUID. */
const testAccountName = (siteGuid: string): string => `extest_${siteGuid.replaceAll('-', '').slice(0, 13)}`;

async function guidsOf(directory: Directory): Promise<Readonly<Record<Site, string>>> {
  const sites = await directory.search(`CN=Sites,${CONFIGURATION_DN}`, 'one', '(objectClass=site)', [
    'cn',
    'objectGUID',
  ]);
  const guids = sites.map(({ cn, objectGUID }) => [cn?.[0], objectGUID?.[0]]);
  return Object.fromEntries(guids) as Record<Site, string>;
}

// --- The directory, as its administrator uses it: by a socket for root alone, which wants no TLS. ---

type Directory = Pick<Samba, 'modify' | 'search'>;

function directoryOf(folder: string): Directory {
  const socket = `ldapi://${encodeURIComponent(join(folder, 'private/ldap_priv/ldapi'))}`;
  const bind = ['-x', '-H', socket, '-D', 'Administrator@example.test', '-y', join(folder, 'password')];
  const ask = async (command: string, argv: readonly string[], stdin = ''): Promise<string> => {
    const { code, stdout, stderr } = await launch(pathOf(command), [...bind, ...argv], { stdin });
    if (code !== 0) throw new Error(`${command}: ${stderr}${stdout}`);
    return stdout;
  };
  return {
    async modify(ldif) {
      await ask('ldapmodify', [], ldif);
    },
    async search(base, scope, filter, attributes = []) {
      const argv = ['-LLL', '-o', 'ldif-wrap=no', '-s', scope, '-b', base, filter, ...attributes];
      return readLdif(await ask('ldapsearch', argv));
    },
  };
}

function readLdif(ldif: string): Found {
  const entries = ldif.split('\n\n').map((entry) => entry.split('\n').filter((line) => /^[^#]/.test(line)));
  return entries.filter((lines) => lines.length > 0).map(readEntry);
}

function readEntry(lines: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const entry: Record<string, string[]> = {};
  for (const line of lines) {
    const [, name = '', isCoded, value = ''] = /^([^:]+):(:?) ?(.*)$/.exec(line) ?? [];
    const values = entry[name] ?? [];
    values.push(isCoded === '' ? value : readOctets(name, value));
    entry[name] = values;
  }
  return entry;
}

function readOctets(name: string, coded: string): string {
  const octets = Buffer.from(coded, 'base64');
  if (/GUID$/.test(name)) return guidText(octets);
  const text = octets.toString('utf8');
  return Buffer.from(text, 'utf8').equals(octets) && !text.includes('\0') ? text : coded;
}

/** The first three groups are numbers, and those are kept with the low octet first. */
function guidText(octets: Buffer): string {
  const hex = (from: number, to: number) => octets.subarray(from, to).toString('hex');
  const number = (from: number, to: number) => Buffer.from(octets.subarray(from, to)).reverse().toString('hex');
  return [number(0, 4), number(4, 6), number(6, 8), hex(8, 10), hex(10, 16)].join('-');
}

// --- Names. A record of DNS in the directory: length, type, version and rank, serial, TTL, two fields unused, data. ---

const ZONE = `DC=example.test,CN=MicrosoftDNS,DC=DomainDnsZones,${DOMAIN_DN}`;
const A = 1;
const AAAA = 28;
const PROVISIONED_AT = '127.10.0.1';

function addressRecord(address: string): Buffer {
  const record = Buffer.alloc(28);
  record.writeUInt16LE(4, 0);
  record.writeUInt16LE(A, 2);
  record.writeUInt16LE(0xf005, 4); // version 5; the rank of a zone's own data
  record.writeUInt32LE(1, 8);
  record.writeUInt32BE(60, 12);
  for (const [at, part] of address.split('.').entries()) record.writeUInt8(Number(part), 24 + at);
  return record;
}

function nodeOf(fqdn: string, address: string, known: readonly string[]): string {
  const name = fqdn.replace(/\.example\.test$/, '');
  const record = `dnsRecord:: ${addressRecord(address).toString('base64')}\n`;
  const dn = `dn: DC=${name},${ZONE}\n`;
  return known.includes(name)
    ? `${dn}changetype: modify\nreplace: dnsRecord\n${record}`
    : `${dn}changetype: add\nobjectClass: dnsNode\n${record}`;
}

/** Where the template says at which address it was made, it is to say where it is now. IPv6 it does not serve. */
async function movedTo(address: string, directory: Directory): Promise<string> {
  const found = await Promise.all(
    ['DomainDnsZones', 'ForestDnsZones'].map((zones) =>
      directory.search(`DC=${zones},${DOMAIN_DN}`, 'sub', '(dnsRecord=*)', ['dnsRecord']),
    ),
  );
  const ours = found.flat().filter(({ dn = [] }) => !dn[0]?.includes('DC=RootDNSServers'));
  const changes = ours.map(({ dn = [], dnsRecord = [] }) => {
    const records = dnsRecord.map((record) => Buffer.from(record, 'base64'));
    const kept = records.filter((record) => ![A, AAAA].includes(record.readUInt16LE(2)));
    if (kept.length === records.length) return '';
    const values = [...kept, addressRecord(address)].map((record) => `dnsRecord:: ${record.toString('base64')}\n`);
    return `dn: ${dn[0]}\nchangetype: modify\nreplace: dnsRecord\n${values.join('')}\n`;
  });
  return changes.join('');
}

// --- The template: a controller as it was provisioned and filled, kept between runs. ---

const FIXTURES = ['schema', 'sites', 'exchange', 'accounts', 'ambiguous'] as const;
const fixturePath = (name: (typeof FIXTURES)[number]): string => new URL(`./ad/${name}.ldif`, import.meta.url).pathname;
const fixture = (name: (typeof FIXTURES)[number]): Promise<string> => readFile(fixturePath(name), 'utf8');

/** It is made once for what it is made from: this file, the fixtures, and Samba. */
async function templateMade(): Promise<string> {
  const { stdout: version } = await launch(pathOf('samba'), ['--version'], {});
  const inputs = [new URL(import.meta.url).pathname, ...FIXTURES.map(fixturePath)].map((file) => readFileSync(file));
  const hash = createHash('sha256').update(version);
  for (const input of inputs) hash.update(input);
  const kept = join(new URL('../../.cache/samba', import.meta.url).pathname, hash.digest('hex').slice(0, 16));
  if (existsSync(kept)) return kept;
  const folder = await mkdtemp(join(tmpdir(), 'samba-'));
  try {
    await provision(folder);
    await mkdir(dirname(kept), { recursive: true });
    const unfinished = `${kept}.${randomBytes(4).toString('hex')}`;
    await mkdir(unfinished, { mode: 0o700 });
    for (const part of ['private', 'state']) await copy(join(folder, part), join(unfinished, part));
    await rename(unfinished, kept).catch((error: NodeJS.ErrnoException) => {
      rmSync(unfinished, { recursive: true, force: true });
      if (error.code !== 'ENOTEMPTY') throw error; // somebody else made it meanwhile
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return kept;
}

async function provision(folder: string): Promise<void> {
  await writeFile(join(folder, 'none.conf'), ''); // else the smb.conf of this machine has a say
  await tool(folder, [
    ...['domain', 'provision', `--configfile=${folder}/none.conf`, `--targetdir=${folder}`, '--server-role=dc'],
    ...['--realm=EXAMPLE.TEST', '--domain=EXAMPLE', '--host-name=dc01', `--host-ip=${PROVISIONED_AT}`, '--site=Site-A'],
    ...['--dns-backend=SAMBA_INTERNAL', `--adminpass=${PASSWORDS.administrator}`],
  ]);
  const running = await serve(folder, undefined);
  let operator: string | undefined;
  let rights: readonly string[];
  try {
    const directory = directoryOf(folder);
    for (const name of ['schema', 'sites', 'exchange'] as const) await directory.modify(await fixture(name));
    await directory.modify(await accounts(await guidsOf(directory)));
    const found = await directory.search(DOMAIN_DN, 'sub', '(sAMAccountName=pop3-operator)', ['objectSid']);
    operator = sidText(found[0]?.objectSid?.[0] ?? '');
    rights = await rightsOf(operator, directory);
  } finally {
    await halt(running);
  }
  const config = `--configfile=${folder}/smb.conf`;
  await tool(folder, [...['domain', 'passwordsettings', 'set', '--max-pwd-age=0', '--min-pwd-age=0'], config]);
  await tool(folder, [...['dsacl', 'set', `--objectdn=${TEST_OU}`, `--sddl=${rights.join('')}`], config]);
}

async function tool(folder: string, argv: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await launch(pathOf('samba-tool'), argv, { cwd: folder });
  if (code !== 0) throw new Error(`samba-tool ${argv[1]}:\n${stderr}${stdout}`);
}

async function accounts(siteGuids: Readonly<Record<Site, string>>): Promise<string> {
  const filling = new Map<string, string>();
  for (const [whose, password] of Object.entries(PASSWORDS)) {
    const name = SITES.includes(whose as Site) ? whose : `the ${whose}`;
    filling.set(`password of ${name}`, Buffer.from(`"${password}"`, 'utf16le').toString('base64'));
  }
  for (const site of SITES) filling.set(`test account of ${site}`, testAccountName(siteGuids[site]));
  return (await fixture('accounts')).replace(/\{\{(.+?)\}\}/g, (_, name: string) => filling.get(name) ?? `{{${name}}}`);
}

const USER = 'bf967aba-0de6-11d0-a285-00aa003049e2';
const RESET_PASSWORD = '00299570-246d-11d0-a768-00aa006e0529';
/** What a test account is given when it is made, and what a reset writes beside the password. */
const WRITTEN = [
  ...['pwdLastSet', 'userAccountControl', 'msExchHideFromAddressLists', 'delivContLength', 'submissionContLength'],
  ...['mDBUseDefaults', 'mDBStorageQuota', 'mDBOverQuotaLimit', 'mDBOverHardQuotaLimit'],
];

/** In SDDL: to create users in the unit, to reset their passwords, and to write some of their attributes. */
async function rightsOf(operator: string, directory: Directory): Promise<readonly string[]> {
  const schema = `CN=Schema,${CONFIGURATION_DN}`;
  const named = WRITTEN.map((name) => `(lDAPDisplayName=${name})`).join('');
  const attributes = await directory.search(schema, 'one', `(|${named})`, ['schemaIDGUID']);
  return [
    `(OA;;CC;${USER};;${operator})`,
    `(OA;CIIO;CR;${RESET_PASSWORD};${USER};${operator})`,
    ...attributes.map(({ schemaIDGUID }) => `(OA;CIIO;WP;${schemaIDGUID?.[0]};${USER};${operator})`),
  ];
}

/** As text, S-1-…: revision, count, six octets of authority, then numbers with the low octet first. */
function sidText(coded: string): string {
  const octets = Buffer.from(coded, 'base64');
  const parts = Array.from({ length: octets.readUInt8(1) }, (_, at) => octets.readUInt32LE(8 + 4 * at));
  return ['S', octets.readUInt8(0), octets.readUIntBE(2, 6), ...parts].join('-');
}

// --- The process. ---

interface Running {
  readonly folder: string;
  readonly address: string;
  readonly authority: Authority;
  readonly process: ChildProcess;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;

/** Free a moment ago, that is; the next address is tried when somebody else was quicker. */
async function serve(folder: string, ahead: number | undefined): Promise<Running> {
  const authority = await createAuthority('Example Domain CA');
  for (let attempt = 0; ; attempt += 1) {
    const address = await freeAddress(process.pid + attempt);
    await furnish(folder, address, authority);
    route('replace', address);
    const running = { folder, address, authority, process: execute(folder, ahead) };
    unfinished.add(running);
    if (await answers(running)) return running;
    await halt(running);
    const log = await readLog(folder);
    if (attempt === 2 || !/ADDRESS_ALREADY_ASSOCIATED|in use/i.test(log))
      throw new Error(`Samba did not start:\n${log}`);
  }
}

async function furnish(folder: string, address: string, authority: Authority): Promise<void> {
  const { certificate, key } = await authority.issue({ names: ['dc01.example.test', 'example.test'] });
  for (const part of ['tls', 'run']) await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  await write('tls/certificate.pem', certificate);
  await write('tls/key.pem', key);
  await write('tls/ca.pem', authority.certificate);
  await write('smb.conf', configuration(folder, address));
  await write('password', PASSWORDS.administrator);
}

/**
 * As it is by default it wants TLS for a simple bind. What is no business of a directory – files, printers, replication
 * with other controllers – is left out, and so is the hour in which an old password is taken beside the new one.
 */
const configuration = (folder: string, address: string): string => `[global]
  netbios name = DC01
  workgroup = EXAMPLE
  realm = EXAMPLE.TEST
  server role = active directory domain controller
  server services = ldap, cldap, kdc, dns
  interfaces = ${address}/8
  bind interfaces only = yes
  dsdb:schema update allowed = yes
  old password allowed period = 0
  tls certfile = ${folder}/tls/certificate.pem
  tls keyfile = ${folder}/tls/key.pem
  tls cafile = ${folder}/tls/ca.pem
  private dir = ${folder}/private
  state directory = ${folder}/state
  cache directory = ${folder}/run
  lock directory = ${folder}/run
  pid directory = ${folder}/run
  binddns dir = ${folder}/run
  ncalrpc dir = ${folder}/run/ncalrpc
  ntp signd socket directory = ${folder}/run/ntp
  winbindd socket directory = ${folder}/run/winbindd
  log file = ${folder}/samba.log
  load printers = no
`;

/** All of it in one process, which leads a group of its own and ends with its standard input, however we end. */
function execute(folder: string, ahead: number | undefined): ChildProcess {
  const ownClock = clock(join(folder, 'clock'));
  if (ahead !== undefined) ownClock.set(ahead);
  // Modules of its directory are loaded past what is preloaded, unless they are told not to.
  const prefix = ahead === undefined ? [] : ['env', 'LDB_MODULES_DISABLE_DEEPBIND=1', ...ownClock.prefix];
  const command = [pathOf('samba'), '--interactive', '--model=single', `--configfile=${folder}/smb.conf`];
  const [file = '', ...args] = [...prefix, ...command];
  const output = openSync(join(folder, 'output.log'), 'w', 0o600);
  try {
    return spawn(file, args, { cwd: folder, detached: true, stdio: ['pipe', output, output] });
  } finally {
    closeSync(output);
  }
}

/** DNS is the last of its services. */
async function answers({ folder, address, process }: Running): Promise<boolean> {
  const directory = directoryOf(folder);
  for (const limit = Date.now() + START_LIMIT_MS; Date.now() < limit && !hasExited(process); await sleep(50)) {
    if (!(await accepts(address, 53))) continue;
    const rootDse = await directory.search('', 'base', '(objectClass=*)', ['isSynchronized']).catch(() => []);
    if (rootDse[0]?.isSynchronized?.[0] === 'TRUE') return !hasExited(process);
  }
  return false;
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function freeAddress(from: number): Promise<string> {
  for (let attempt = 0; attempt < 250; attempt += 1) {
    const address = `127.10.${1 + ((from + attempt) % 250)}.1`;
    if (await isFree(address)) return address;
  }
  throw new Error('all addresses from 127.10.1.1 to 127.10.250.1 are taken');
}

function isFree(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const listener = createServer();
    listener.once('error', () => resolve(false));
    listener.listen(389, address, () => listener.close(() => resolve(true)));
  });
}

async function end(running: Running): Promise<void> {
  await halt(running);
  await rm(running.folder, { recursive: true, force: true, maxRetries: 5 });
}

async function halt(running: Running): Promise<void> {
  const { process } = running;
  if (!hasExited(process)) {
    const exited = once(process, 'exit');
    process.stdin?.end();
    await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
    signalGroup(process.pid);
    await exited;
  }
  route('delete', running.address);
  unfinished.delete(running);
}

/** From 127.0.0.1 whoever asks would be in every network: Samba never turns that one away, and a ping takes the first. */
function route(change: 'replace' | 'delete', address: string): void {
  const network = address.replace(/\d+$/, '0/24');
  const argv = ['local', network, 'dev', 'lo', 'scope', 'host', 'src', '127.0.0.2', 'table', 'local'];
  const { status, stderr } = spawnSync(pathOf('ip'), ['route', change, ...argv], { encoding: 'utf8' });
  if (status !== 0 && change === 'replace') throw new Error(`a route to ${network}: ${stderr}`);
}

const unfinished = new Set<Running>();
process.once('exit', () => {
  for (const { folder, address, process } of unfinished) {
    signalGroup(process.pid);
    route('delete', address);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});

function signalGroup(group: number | undefined): void {
  try {
    if (group !== undefined) process.kill(-group, 'SIGKILL');
  } catch {
    // nobody left
  }
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function copy(from: string, to: string): Promise<void> {
  const { code, stderr } = await launch(pathOf('cp'), ['--archive', '--no-target-directory', from, to], {});
  if (code !== 0) throw new Error(stderr);
}

async function readLog(folder: string): Promise<string> {
  const parts = ['output.log', 'samba.log'].map((name) => readFile(join(folder, name), 'utf8').catch(() => ''));
  return (await Promise.all(parts)).join('');
}

import '../../src/sandbox/reflect.ts'; // before @peculiar/x509, which does not load without it
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as x509 from '@peculiar/x509';
import type { Authority, Identity } from '../../src/sandbox/authority.ts';
import { freePort } from './free-port.ts';
import { type Program, pathOf } from './installed.ts';
import { type Account, isRoot } from './own-server.ts';
import { processesIn } from './processes.ts';
import { CHECK_POP3 } from './run.ts';
import { until } from './until.ts';

/** What `startIcinga2` runs, for `missing()`. curl asks its API, where the network of the test is another one's. */
export const ICINGA2: Program = {
  name: 'Icinga 2',
  commands: ['icinga2', 'curl'],
  install: 'apt-get install icinga2-bin curl',
};

/** The files that we ship. */
export const SHIPPED = new URL('../../plugins/icinga2', import.meta.url).pathname;

/** Some of them, as they stand, for `files`. */
export const shipped = (...names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [`conf.d/${name}`, readFileSync(join(SHIPPED, name), 'utf8')]));

export interface Icinga2Options {
  /** Issues the certificate of the node, and is whom the node trusts. */
  readonly authority: Authority;
  /** Default: icinga.example.com. */
  readonly nodeName?: string;
  /** Where its API listens and is asked. Default: 127.0.0.1. */
  readonly address?: string;
  /** Default: a free one, which is looked for in the network of the test; give one where that is another network. */
  readonly port?: number;
  /** Comes before whatever is run, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Configuration by path below Icinga's folder (`conf.d/hosts.conf`, `zones.d/global-templates/commands.conf`). */
  readonly files: Readonly<Record<string, string | ((folder: string) => string)>>;
  /** What stands in zones.conf. Default: this node alone. */
  readonly zones?: string;
  /** More of the listener's settings, such as `accept_config = true`. */
  readonly listener?: string;
  /** More programs for the folder of plugins, by name. check_pop3 is there, and as `real/check_pop3` when it is displaced. */
  readonly plugins?: Readonly<Record<string, string>>;
}

export interface Icinga2 {
  readonly nodeName: string;
  readonly address: string;
  readonly port: number;
  /** The private folder with everything of this instance: etc, plugins, data, log, and what the test puts there. */
  readonly folder: string;
  /** The authority's certificate, in the folder. */
  readonly caFile: string;
  /** Whom it and its plugins run as: the user who runs the tests, or `nagios` when that is root. */
  readonly account: Account;
  /**
   * Asks its API: POST where there is a body, GET else.
   * @param path what comes after the port: `/v1/objects/services`
   * @param as who asks; by default somebody who may do everything
   */
  api(path: string, body?: unknown, as?: ApiClient): Promise<Answer>;
  /** One object's attributes; `name` as the API has it: `mail1!pop3`. */
  object(type: 'hosts' | 'services', name: string): Promise<Attributes>;
  /** Has the service checked at once. */
  checkNow(service: string): Promise<void>;
  /** The same, and waits for what comes of it: the service's attributes then. */
  check(service: string): Promise<Attributes>;
  /** Puts a file where Icinga and its plugins can read it, and returns its path. */
  file(name: string, content: string, mode?: number): Promise<string>;
  /** What it wrote to its standard output and error so far. */
  log(): Promise<string>;
  /** Kills it, and what it started. The folder stays, for `start()`. */
  kill(): Promise<void>;
  /** Starts it again, in the same folder and with what is there now. */
  start(): Promise<void>;
  /** Kills it and removes its folder; when it resolves nothing is left of it. */
  stop(): Promise<void>;
}

export type ApiClient = { readonly user: string; readonly password: string } | { readonly identity: Identity };

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: it is what the other side says, and a test looks at it piece by piece
  readonly json: any;
}

// biome-ignore lint/suspicious/noExplicitAny: as above
export type Attributes = Readonly<Record<string, any>>;

/**
 * Runs an Icinga 2 of our own, with its API; resolves when that answers.
 * @throws with its log when it does not come up
 */
export async function startIcinga2(options: Icinga2Options): Promise<Icinga2> {
  const place = await furnish(options);
  const instance = operate(place);
  try {
    await instance.start();
  } catch (error) {
    await instance.stop();
    throw error;
  }
  return instance;
}

/** What `icinga2 daemon -C` says of a configuration. */
export async function validate(options: Icinga2Options): Promise<{ readonly code: number; readonly said: string }> {
  for (let attempt = 1; ; attempt += 1) {
    const place = await furnish(options);
    const child = launch(place, ['-C', '-x', 'notice']);
    const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
    const said = await readFile(place.output, 'utf8');
    await remove(place);
    if (code !== null) return { code, said };
    // 2.13.6 now and then dies of a signal when it has said all and is about to end.
    if (attempt === 3) throw new Error(`icinga2 daemon -C was ended by ${child.signalCode}:\n${said.slice(-2_000)}`);
  }
}

/** A certificate that an Icinga of this name shows, both as a server and as a client. */
export async function issueNode(authority: Identity, nodeName: string): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(SIGNATURE, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 90 * 86_400_000),
    subject: [{ CN: [nodeName] }],
    issuer: new x509.X509Certificate(authority.certificate).subject,
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority.key),
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: isIP(nodeName) === 0 ? 'dns' : 'ip', value: nodeName }]),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: `${certificate.toString('pem')}\n`, key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}

const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };

const START_LIMIT_MS = 60_000;

/** Who may do everything: the harness itself. */
const ROOT = { user: 'test', password: 'of the tests' };

interface Place {
  readonly options: Icinga2Options;
  readonly nodeName: string;
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  readonly account: Account;
  readonly caFile: string;
  /** What it writes. */
  readonly output: string;
}

async function furnish(options: Icinga2Options): Promise<Place> {
  const { nodeName = 'icinga.example.com', address = '127.0.0.1', port = await freePort(), authority } = options;
  const account = accountOfIcinga();
  const folder = await mkdtemp(join(tmpdir(), 'icinga2-'));
  const caFile = join(folder, 'data/certs/ca.crt');
  const place: Place = {
    options,
    nodeName,
    address,
    port,
    folder,
    account,
    caFile,
    output: join(folder, 'output.log'),
  };
  try {
    const identity = await issueNode(authority, nodeName);
    const files = {
      'data/certs/ca.crt': authority.certificate,
      [`data/certs/${nodeName}.crt`]: identity.certificate,
      [`data/certs/${nodeName}.key`]: identity.key,
      'etc/icinga2.conf': main(place),
      'etc/zones.conf': options.zones ?? ALONE,
      ...Object.fromEntries(Object.entries(options.files).map(([path, text]) => [`etc/${path}`, text])),
      ...Object.fromEntries(Object.entries(options.plugins ?? {}).map(([name, text]) => [`plugins/${name}`, text])),
    };
    for (const each of ['log', 'cache', 'run', 'spool', 'plugins', 'etc/conf.d', 'etc/zones.d']) {
      await mkdir(join(folder, each), { recursive: true, mode: 0o750 });
    }
    for (const [path, text] of Object.entries(files)) {
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true, mode: 0o750 });
      await writeFile(file, typeof text === 'string' ? text : text(folder), { mode: 0o640 });
      if (path.startsWith('plugins/')) await chmod(file, 0o755);
    }
    // A copy, since our repository may lie where `nagios` cannot look.
    const own = options.plugins?.check_pop3 === undefined ? 'plugins/check_pop3' : 'plugins/real/check_pop3';
    await mkdir(dirname(join(folder, own)), { recursive: true, mode: 0o755 });
    await cp(CHECK_POP3, join(folder, own));
    handOver(place, folder);
    return place;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** What Debian's icinga2.conf and constants.conf do, with private folders and without its examples. */
const main = ({ folder, address, port, options }: Place): string => `
const PluginDir = "/usr/lib/nagios/plugins"
const ManubulonPluginDir = PluginDir
const PluginContribDir = "${folder}/plugins"
include "zones.conf"
include <itl>
include <plugins>
object IcingaApplication "app" { }
object CheckerComponent "checker" { }
object NotificationComponent "notification" { }
object ApiListener "api" {
  bind_host = "${address}"
  bind_port = ${port}
  ${options.listener ?? ''}
}
object ApiUser "${ROOT.user}" {
  password = "${ROOT.password}"
  permissions = [ "*" ]
}
include_recursive "conf.d"
include_zones "etc", "zones.d"
`;

const ALONE =
  'object Endpoint NodeName { }\nobject Zone NodeName { endpoints = [ NodeName ] }\nconst ZoneName = NodeName\n';

function operate(place: Place): Icinga2 {
  const { nodeName, address, port, folder, account, caFile } = place;
  let running: ChildProcess | undefined;

  const api = (path: string, body?: unknown, as: ApiClient = ROOT): Promise<Answer> => ask(place, path, body, as);

  async function kill(): Promise<void> {
    if (running === undefined) return;
    unfinished.delete(place.folder);
    await end(place, running);
    running = undefined;
  }

  return {
    ...{ nodeName, address, port, folder, account, caFile, api, kill },
    async object(type, name) {
      const { status, json } = await api(`/v1/objects/${type}/${encodeURIComponent(name)}`);
      if (status !== 200) throw new Error(`${type} ${name}: ${status} ${JSON.stringify(json)}`);
      return json.results[0].attrs;
    },
    async checkNow(service) {
      const { status, json } = await api('/v1/actions/reschedule-check', {
        type: 'Service',
        filter: 'service.__name == name',
        filter_vars: { name: service },
        force: true,
      });
      if (status !== 200 || json.results.length === 0) throw new Error(`${service}: ${status} ${JSON.stringify(json)}`);
    },
    async file(name, content, mode = 0o640) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true, mode: 0o750 });
      await writeFile(path, content, { mode });
      await chmod(path, mode);
      handOver(place, dirname(path) === folder ? path : dirname(path));
      return path;
    },
    async check(service) {
      // One that was due by itself may have begun before, and have seen what was then.
      const asked = Date.now() / 1000;
      await this.checkNow(service);
      let now: Attributes = {};
      await until(`a check of ${service}`, async () => {
        now = await this.object('services', service);
        return now.last_check_result?.execution_start >= asked;
      });
      return now;
    },
    log: () => readFile(place.output, 'utf8').catch(() => ''),
    async start() {
      if (running !== undefined) throw new Error(`${nodeName} runs already`);
      const child = launch(place, []);
      running = child;
      unfinished.set(folder, child.pid ?? 0);
      for (const limit = Date.now() + START_LIMIT_MS; ; await sleep(100)) {
        if (hasExited(child) || Date.now() > limit) {
          const said = await this.log();
          await kill();
          throw new Error(`${nodeName} did not start:\n${said.slice(-4_000)}`);
        }
        const { status } = await api('/v1').catch(() => ({ status: 0 }));
        if (status === 200) return;
      }
    },
    kill,
    async stop() {
      await kill();
      await remove(place);
    },
  };
}

/** Into a process group of its own, with no descriptor of ours. Plugins start in the folder, and are found by that. */
function launch({ options, nodeName, folder, account, output }: Place, more: readonly string[]): ChildProcess {
  const constants = {
    ...{ NodeName: nodeName, ConfigDir: `${folder}/etc`, DataDir: `${folder}/data`, LogDir: `${folder}/log` },
    ...{ CacheDir: `${folder}/cache`, InitRunDir: `${folder}/run`, SpoolDir: `${folder}/spool` },
    ...{ RunAsUser: account.user, RunAsGroup: account.group },
  };
  const defined = Object.entries(constants).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  const [file = '', ...args] = [
    ...(options.prefix ?? []),
    ...[pathOf('icinga2'), 'daemon', '-c', `${folder}/etc/icinga2.conf`, ...defined, ...more],
  ];
  const descriptor = openSync(output, 'a', 0o600);
  try {
    return spawn(pathOf(file), args, {
      cwd: folder,
      env: { PATH: `/usr/sbin:/usr/bin:/sbin:/bin:${dirname(process.execPath)}` }, // the plugin needs Node

      detached: true,
      stdio: ['ignore', descriptor, descriptor],
    });
  } finally {
    closeSync(descriptor);
  }
}

/**
 * By SIGKILL, for on SIGTERM it may wait for minutes. Its plugins are in sessions of their own (process.cpp calls
 * setsid), but they work in the folder.
 */
async function end({ folder }: Place, child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) signal(-child.pid);
  for (;;) {
    const left = await processesIn(folder);
    if (left.length === 0) break;
    for (const pid of left) signal(Number(pid));
    await sleep(20);
  }
}

async function remove({ folder }: Place): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Folders of instances that run, and the leaders of their groups. */
const unfinished = new Map<string, number>();
process.once('exit', () => {
  for (const [folder, pid] of unfinished) {
    if (pid > 0) signal(-pid);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // nobody left
  }
}

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** By curl, for that can be run in another network; everything that is secret comes by its standard input. */
async function ask(place: Place, path: string, body: unknown, as: ApiClient): Promise<Answer> {
  const { options, nodeName, address, port, caFile, folder } = place;
  const who: string[] = [];
  const files: string[] = [];
  if ('user' in as) {
    who.push(`user = ${quoted(`${as.user}:${as.password}`)}`);
  } else {
    const file = join(folder, `client-${Math.random()}.pem`);
    await writeFile(file, `${as.identity.certificate}\n${as.identity.key}`, { mode: 0o600 });
    files.push(file);
    who.push(`cert = ${quoted(file)}`);
  }
  const config = [
    ...['silent', 'show-error', 'max-time = 20', 'header = "Accept: application/json"'],
    `cacert = ${quoted(caFile)}`,
    `connect-to = ${quoted(`::${isIP(address) === 6 ? `[${address}]` : address}:${port}`)}`,
    `url = ${quoted(`https://${nodeName}:${port}${path}`)}`,
    'write-out = "\\n%{http_code}"',
    ...(body === undefined ? [] : [`data = ${quoted(JSON.stringify(body))}`]),
    ...who,
  ];
  const [file = '', ...args] = [...(options.prefix ?? []), pathOf('curl'), '--config', '-'];
  const child = spawn(pathOf(file), args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(config.join('\n'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  for (const each of files) await rm(each);
  if (code !== 0) throw new Error(`curl: ${complaint}`);
  const end = said.lastIndexOf('\n');
  const text = said.slice(0, end);
  return { status: Number(said.slice(end + 1)), json: text.startsWith('{') ? JSON.parse(text) : text };
}

/** As curl's configuration file has it. */
const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

function handOver({ account }: Place, path: string): void {
  if (isRoot()) execFileSync('chown', ['-hR', `${account.uid}:${account.gid}`, path]);
}

function accountOfIcinga(): Account {
  const line = execFileSync('id', isRoot() ? ['nagios'] : [], { encoding: 'utf8' });
  const [, uid, user, gid, group] = /^uid=(\d+)\((.+?)\) gid=(\d+)\((.+?)\)/.exec(line) ?? [];
  if (uid === undefined || user === undefined || gid === undefined || group === undefined) {
    throw new Error(`Icinga wants a user and a group with names, and this one has none: ${line}`);
  }
  return { user, group, uid: Number(uid), gid: Number(gid) };
}

function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', key, SIGNATURE, false, ['sign']);
}

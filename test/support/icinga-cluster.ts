import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DovecotOptions, startDovecot } from './dovecot.ts';
import type { Attributes, Icinga2 } from './icinga2.ts';
import { installed, type Program, pathOf } from './installed.ts';

/** Leave to have machines with a network between them. */
export const LAN: Program = {
  name: 'a network of its own',
  commands: [mayLink() ? 'nsenter' : 'nsenter-with-leave', 'unshare', 'mount', 'ip'],
  install: 'run as root, with util-linux and iproute2',
};

/** A clock that can be set for one program. */
export const FAKETIME: Program = {
  name: 'libfaketime',
  commands: [hasFaketime() ? 'env' : 'libfaketime'],
  install: 'apt-get install libfaketime',
};

/** A machine as far as its programs can tell: a network of its own, its own processes, its own view of the files. */
export interface Machine {
  /** Comes before what is to run there. */
  readonly prefix: readonly string[];
  /** Takes it off the network: what it sends is lost, and nobody is told. */
  cut(): void;
  /** Puts it back. */
  join(): void;
  /** Lets it see a file or folder of ours in the place of one of its own. */
  show(ours: string, its: string): void;
}

export interface Lan<Name extends string> {
  readonly machines: Readonly<Record<Name, Machine>>;
  /** Ends everything that runs on the machines; when it resolves nothing is left of them. */
  remove(): Promise<void>;
}

/**
 * Machines on one Ethernet, each with the addresses it has: the first one on the network (a /24), all others for its own
 * programs alone, since the rest of the network has no route there.
 */
export async function layLan<Name extends string>(
  addresses: Readonly<Record<Name, readonly [string, ...string[]]>>,
): Promise<Lan<Name>> {
  const held: Held[] = [];
  const remove = async () => {
    await Promise.all(held.map(letGo));
  };
  try {
    const network = await hold();
    held.push(network);
    inside(network, 'ip link add lan type bridge && ip link set lan up');
    const machines: Partial<Record<Name, Machine>> = {};
    for (const [name, [address, ...own]] of Object.entries(addresses) as [Name, readonly [string, ...string[]]][]) {
      const machine = await hold();
      held.push(machine);
      const port = `port${held.length}`;
      inside(network, `ip link add ${port} type veth peer name eth0 netns ${machine.pid}`);
      inside(network, `ip link set ${port} master lan up`);
      inside(machine, `ip address add ${address}/24 dev eth0 && ip link set eth0 up && ip link set lo up`);
      for (const each of own) inside(machine, `ip address add ${each}/32 dev lo`);
      // A peer that has vanished is given up after a quarter of an hour; here after some seconds.
      inside(machine, 'echo 4 >/proc/sys/net/ipv4/tcp_retries2');
      machines[name] = {
        prefix: [pathOf('nsenter'), `--target=${machine.pid}`, '--net', '--mount', '--pid', '--'],
        cut: () => inside(network, `ip link set ${port} down`),
        join: () => inside(network, `ip link set ${port} up`),
        show: (ours, its) => inside(machine, 'mount --bind "$1" "$2"', ours, its),
      };
    }
    return { machines: machines as Record<Name, Machine>, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** What keeps a machine: its first process, with which the kernel ends all others and the network. */
interface Held {
  readonly keeper: ChildProcess;
  /** Its number among our processes. */
  readonly pid: number;
}

/** The first process ends when our end of its standard input closes, and that closes however we end. */
async function hold(): Promise<Held> {
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child=KILL'];
  const keeper = spawn(pathOf('unshare'), [...namespaces, '--', 'sh', '-c', 'echo; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // so that Ctrl-C on the terminal is ours to handle
  });
  const ended = once(keeper, 'exit').then(([code]) => {
    throw new Error(`a machine ended with ${code} as it began`);
  });
  ended.catch(() => undefined); // later it ends as it is to
  await Promise.race([once(createInterface({ input: keeper.stdout }), 'line'), ended]);
  const children = readFileSync(`/proc/${keeper.pid}/task/${keeper.pid}/children`, 'utf8');
  return { keeper, pid: Number(children.trim()) };
}

async function letGo({ keeper }: Held): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return;
  const ended = once(keeper, 'exit');
  keeper.stdin?.end();
  await ended;
}

/** In its network and with its view of the files, yet as a process of ours: `ip` counts processes as we do. */
function inside({ pid }: Held, script: string, ...args: readonly string[]): void {
  const command = [`--target=${pid}`, '--net', '--mount', '--', 'sh', '-c', script, 'sh', ...args];
  const { status, stderr } = spawnSync(pathOf('nsenter'), command, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
}

/** A mail server that a machine finds at one of its addresses, on POP3's own port. */
export interface MailServer {
  /** From now on the port refuses connections. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** A Dovecot of ours, for a machine alone. */
export async function startMailServer(
  machine: Machine,
  address: string,
  options: DovecotOptions,
  folder: string,
): Promise<MailServer> {
  let stopIt = async (): Promise<void> => undefined;
  const server: MailServer = {
    stop: () => stopIt(),
    async start() {
      const dovecot = await startDovecot(options);
      const relay = await startRelay(machine, address, dovecot.port, join(folder, `${address}.sock`));
      stopIt = async () => {
        await Promise.all([relay.close(), dovecot.stop()]);
      };
    },
  };
  await server.start();
  return server;
}

/** What is said at the address of the machine goes by a socket in a folder of ours, and from there to a port of ours. */
async function startRelay(machine: Machine, address: string, to: number, socket: string) {
  const ours = createServer((client) => {
    const server = connect(to, '127.0.0.1');
    client.on('error', () => server.destroy()).on('close', () => server.destroy());
    server.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.pipe(server).pipe(client);
  });
  ours.listen(socket);
  await once(ours, 'listening');
  const [file = '', ...args] = [...machine.prefix, process.execPath, '-e', RELAY, socket, address];
  const theirs = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(createInterface({ input: theirs.stdout }), 'line');
  return {
    async close() {
      const ended = once(theirs, 'exit');
      theirs.stdin.end();
      await Promise.all([ended, new Promise((resolve) => ours.close(resolve))]);
      await rm(socket, { force: true });
    },
  };
}

/** Ends with its standard input. */
const RELAY = `
const { connect, createServer } = require('node:net');
const [socket, address] = process.argv.slice(1);
createServer((client) => {
  const server = connect(socket);
  client.on('error', () => server.destroy()).on('close', () => server.destroy());
  server.on('error', () => client.destroy()).on('close', () => client.destroy());
  client.pipe(server).pipe(client);
}).listen(110, address, () => console.log('ready'));
process.stdin.on('end', () => process.exit()).resume();
`;

/** What an Icinga told of one service, as it told it. */
export interface Events {
  /** All check results so far. */
  results(service: string): readonly Told[];
  /** All changes of state so far. */
  changes(service: string): readonly Told[];
  close(): Promise<void>;
}

export interface Told {
  readonly state: number;
  /** When the plugin had run, in seconds. */
  readonly measured: number;
  /** When this Icinga took it in. */
  readonly told: number;
  readonly output: string;
}

export interface Listener {
  readonly user: string;
  readonly password: string;
}

/** Listens to an Icinga's stream of events. That it streams shows with the first of them; they come in heaps. */
export function listenTo(icinga: Icinga2, machine: Machine, { user, password }: Listener): Events {
  const heard: Attributes[] = [];
  const config = [
    ...['silent', 'no-buffer', `cacert = "${icinga.caFile}"`, `user = "${user}:${password}"`],
    `connect-to = "::${icinga.address}:${icinga.port}"`,
    `url = "https://${icinga.nodeName}:${icinga.port}/v1/events"`,
    ...['header = "Accept: application/json"', 'request = POST'],
    `data = "{\\"queue\\":\\"test\\",\\"types\\":[\\"CheckResult\\",\\"StateChange\\"]}"`,
  ];
  const [file = '', ...args] = [...machine.prefix, pathOf('curl'), '--config', '-'];
  const curl = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  curl.stdin.end(config.join('\n'));
  const lines = createInterface({ input: curl.stdout });
  lines.on('line', (line) => heard.push(JSON.parse(line)));
  const about = (service: string, type: string): readonly Told[] =>
    heard
      .filter((event) => event.type === type && `${event.host}!${event.service}` === service)
      .map(({ check_result: { state, execution_end, output }, timestamp }) => ({
        ...{ state, output, measured: execution_end, told: timestamp },
      }));
  return {
    results: (service) => about(service, 'CheckResult'),
    changes: (service) => about(service, 'StateChange'),
    async close() {
      const ended = once(curl, 'exit');
      curl.kill();
      await ended;
    },
  };
}

/** Waits for what Icinga does in its own time, such as to connect, which it tries every ten seconds: up to a minute. */
export async function eventually(what: string, happened: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = Date.now() + 60_000; !(await happened()); await sleep(200)) {
    if (Date.now() > limit) throw new Error(`it did not happen: ${what}`);
  }
}

/** A clock for one program, and all it starts. */
export interface Clock {
  /** Comes before the program. */
  readonly prefix: readonly string[];
  /** By how many seconds it is ahead, or behind if that is negative. */
  set(seconds: number): void;
}

export function clock(file: string): Clock {
  const set = (seconds: number) => writeFileSync(file, `${seconds < 0 ? '' : '+'}${seconds}s`, { mode: 0o644 });
  return {
    prefix: [
      'env',
      'LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1', // the loader puts lib/x86_64-linux-gnu or the like there
      `FAKETIME_TIMESTAMP_FILE=${file}`,
      'FAKETIME_NO_CACHE=1',
      'DONT_FAKE_MONOTONIC=1',
    ],
    set,
  };
}

function hasFaketime(): boolean {
  return readdirSync('/usr/lib').some((folder) => existsSync(`/usr/lib/${folder}/faketime/libfaketimeMT.so.1`));
}

/** Machines, a bridge and a link to it, in a network that nobody else sees. */
function mayLink(): boolean {
  const trial = 'ip link add lan type bridge && ip link add one type veth peer name other && mount --bind /tmp /mnt';
  const namespaces = ['--net', '--mount', '--pid', '--fork'];
  return installed('unshare') !== null && spawnSync(pathOf('unshare'), [...namespaces, 'sh', '-c', trial]).status === 0;
}

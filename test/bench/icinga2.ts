import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Authority, createAuthority } from '../../src/sandbox/authority.ts';
import { DEFAULT_USER, type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type Farm, startFarm, targetsFile } from '../support/farm.ts';
import { ICINGA2, type Icinga2, SHIPPED, startIcinga2 } from '../support/icinga2.ts';
import { installed } from '../support/installed.ts';
import { processesIn } from '../support/processes.ts';
import { CHECK_POP3 } from '../support/run.ts';
import { type Meter, median, progress, startMeter } from './meter.ts';
import type { SweepGround } from './sweep.ts';

const COUNT = 1000;
const AT_ONCE = 20; // the default of --concurrency
const PASSWORD = 'correct-horse';
const LIMIT_S = 120; // of a single sweep
const IDLE_S = 10;

/** What is tested. In the clear and by the full test fewer are forked: each costs the same, and there are four minutes. */
const KINDS = {
  stls: { name: 'logon, STLS', service: 'POP3 logon', swept: COUNT, forked: COUNT },
  plaintext: { name: 'logon, plaintext', service: 'POP3 logon in the clear', swept: COUNT, forked: 200 },
  full: { name: 'full test, STLS', service: 'POP3 round trip', swept: 50, forked: 50 },
} as const;
type Kind = keyof typeof KINDS;

/**
 * The same services of one real Icinga 2 in two ways: it starts check_pop3 for each, or one sweep delivers all results
 * by its API. The POP3 servers are in this process, whose CPU is nobody's here.
 */
export async function measureIcinga(ground: Omit<SweepGround, 'checkPop3'>): Promise<string> {
  if (!ICINGA2.commands.every(installed)) return `\nNothing on Icinga 2: it is not installed (${ICINGA2.install})`;
  const farm = await startFarm(COUNT, PASSWORD, () => null);
  const authority = await createAuthority('Benchmark CA');
  const mailServers = await startMailServers(KINDS.full.swept, authority);
  const meter = startMeter(ground.python, join(ground.here, 'measure.py'), LIMIT_S);
  let icinga: Icinga2 | undefined;
  try {
    progress(`Icinga 2 with ${COUNT} hosts starts`);
    const files = configuration(farm, mailServers);
    // It is found by the name of Node in our own PATH, and not in Icinga's: by its first line.
    const plugins = { check_pop3: (await readFile(CHECK_POP3, 'utf8')).replace(/^#!.*/, `#!${ground.node}`) };
    icinga = await startIcinga2({ authority, files, plugins });
    const authorities = farm.caCertificate + authority.certificate;
    return report(await inTurn(await prepare({ ...ground, icinga, farm, mailServers, authorities }), meter));
  } finally {
    progress('');
    meter.stop();
    await icinga?.stop();
    await farm.close();
    for (const { sandbox } of mailServers) await sandbox.close();
  }
}

/** For full tests, which want a mailbox of their own each. */
interface MailServer {
  readonly name: string;
  readonly sandbox: Sandbox;
}

async function startMailServers(count: number, authority: Authority): Promise<readonly MailServer[]> {
  const identity = await authority.issue({ names: ['*.example.com'] });
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const name = `mail${String(at).padStart(2, '0')}.example.com`;
      // A user each, too: all are at one address, where a sweep opens a mailbox once at a time.
      return { name, sandbox: await startSandbox({ password: PASSWORD, identity, user: `probe@${name}` }) };
    }),
  );
}

/** The shipped files, and services that are never due by themselves: nothing runs but what is asked for. */
function configuration(
  { servers, port }: Farm,
  mailServers: readonly MailServer[],
): Readonly<Record<string, string | ((folder: string) => string)>> {
  const host = (name: string, address: string, more: string) => `
object Host "${name}" {
  check_command = "dummy"
  enable_active_checks = false
  address = "${address}"
  ${more}
}`;
  const service = (kind: Kind, more: string, folder: string) => `
apply Service "${KINDS[kind].service}" {
  import "pop3-delivered-service"
  check_command = "pop3"
  enable_active_checks = false
  vars.pop3_password_file = "${folder}/password"
  ${more}
}`;
  return {
    'conf.d/0-constants.conf': `
const MaxConcurrentChecks = ${AT_ONCE}
const Pop3DeliveryPassword = "${PASSWORD}"
`,
    'conf.d/check_pop3.conf': shipped('check_pop3.conf'),
    'conf.d/services.conf': shipped('services.conf'),
    'conf.d/api-users.conf': shipped('api-users.conf'),
    'conf.d/hosts.conf': [
      ...servers.map(({ name, address }) => host(name, address, `vars.pop3_port = ${port}`)),
      ...mailServers.map(({ name, sandbox: { pop3Port, smtpPort, user } }) =>
        host(
          name,
          '127.0.0.1',
          `vars += { pop3_port = ${pop3Port}, pop3_smtp_port = ${smtpPort}, pop3_user = "${user}" }`,
        ),
      ),
    ].join('\n'),
    'conf.d/to-measure.conf': (folder) => {
      const verified = `vars.pop3_ca_file = "${folder}/ca.pem"`;
      const inTheClear = 'vars.pop3_connection_type = "plaintext"';
      const logon = `
  vars.pop3_light_mode = true
  vars.pop3_user = "${DEFAULT_USER}"
  assign where !host.vars.pop3_user`;
      return [
        service('stls', verified + logon, folder),
        service('plaintext', inTheClear + logon, folder),
        service('full', `${verified}\n  assign where host.vars.pop3_user`, folder),
      ].join('\n');
    },
  };
}

const shipped = (name: string): string => readFileSync(join(SHIPPED, name), 'utf8');

/** How results come about. */
type Way = 'sweep' | 'sweep alone' | 'forks';
interface Row {
  readonly kind: Kind;
  readonly way: Way;
  readonly name: string;
  /** How many results there are to be. */
  readonly count: number;
}

const ROWS: readonly Row[] = [
  ...row('stls', 'forks', 'active, a process for each'),
  ...row('stls', 'sweep', 'passive, one sweep'),
  ...row('stls', 'sweep alone', 'a sweep, delivered to nobody'),
  ...row('plaintext', 'forks', 'active, a process for each'),
  ...row('plaintext', 'sweep', 'passive, one sweep'),
  ...row('full', 'forks', 'active, a process for each'),
  ...row('full', 'sweep', 'passive, one sweep'),
];

function row(kind: Kind, way: Way, what: string): readonly [Row] {
  const { name, swept, forked } = KINDS[kind];
  return [{ kind, way, name: `${name}: ${what}`, count: way === 'forks' ? forked : swept }];
}

/** Everything to measure with. */
interface Place {
  readonly icinga: Icinga2;
  /** Icinga's own processes: what else works in its folder are plugins. */
  readonly own: readonly string[];
  /** The servers' names, which are the hosts' too. */
  readonly serversOf: (kind: Kind) => readonly string[];
  readonly sweepOf: (kind: Kind, isDelivered: boolean) => readonly string[];
}

/** Where it is measured. */
interface Ground extends Omit<SweepGround, 'checkPop3'> {
  readonly icinga: Icinga2;
  readonly farm: Farm;
  readonly mailServers: readonly MailServer[];
  readonly authorities: string;
}

async function prepare({ node, folder, icinga, farm, mailServers, authorities }: Ground): Promise<Place> {
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const common = [
    ...['-u', DEFAULT_USER, '--password-file', await write('icinga2-password', PASSWORD)],
    ...['--concurrency', String(AT_ONCE), '--sweep-timeout', '100'],
    ...['--state-dir', await mkdtemp(join(folder, 'icinga2-state-'))],
  ];
  const delivery = [
    ...['--passive', '--deliver', `icinga2:https://${icinga.address}:${icinga.port}`, '--deliver-timeout', '60'],
    ...['--deliver-credential', `@${await write('icinga2-user', `pop3-delivery\n${PASSWORD}\n`)}`],
    ...['--deliver-ca-file', icinga.caFile, '--deliver-certificate-name', icinga.nodeName],
  ];
  const logons = await write('icinga2-logons.yaml', targetsFile(farm));
  const roundTrips = await write(
    'icinga2-round-trips.yaml',
    mailServers
      .map(
        ({ name, sandbox: { pop3Port, smtpPort, user } }) =>
          `- {client-access-server: ${name}, address: 127.0.0.1, port-client-access-server: ${pop3Port}, ` +
          `smtp-port: ${smtpPort}, mailbox-credential: ${user}}\n`,
      )
      .join(''),
  );
  const caFile = await write('icinga2-ca.pem', authorities);
  const what: Readonly<Record<Kind, readonly string[]>> = {
    stls: ['--targets', logons, '--light-mode', '--ca-file', caFile],
    plaintext: ['--targets', logons, '--light-mode', '--connection-type', 'plaintext'],
    full: ['--targets', roundTrips, '--ca-file', caFile],
  };
  // Where Icinga and its plugins can read them.
  await icinga.file('password', PASSWORD);
  await icinga.file('ca.pem', authorities);
  return {
    icinga,
    own: await processesIn(icinga.folder),
    serversOf: (kind) => (kind === 'full' ? mailServers : farm.servers).map(({ name }) => name),
    sweepOf: (kind, isDelivered) => [
      ...[node, join(icinga.folder, 'plugins/check_pop3'), ...what[kind], ...common],
      ...(isDelivered ? [...delivery, '--deliver-service', KINDS[kind].service] : []),
    ],
  };
}

/** What one run of a row cost: seconds, and octets that were resident in one process at the most. */
interface Outcome {
  readonly wall: number;
  /** Icinga's own, without what it takes when idle. */
  readonly icinga: number;
  readonly plugins: number;
  readonly memory: number;
  /** Of that, what it did not share with the others; where it is one process, all of it. */
  readonly ownMemory: number;
  /** What Icinga has of it. */
  readonly results: number;
  /** Empty when all went well. */
  readonly remark: string;
}
interface Found {
  /** Seconds of CPU that Icinga takes in a second without checks or results. */
  readonly idle: number;
  readonly outcomes: ReadonlyMap<Row, readonly Outcome[]>;
}

/** The sweeps before and after what takes long, so that whatever else the machine does falls on both. */
async function inTurn(place: Place, meter: Meter): Promise<Found> {
  progress(`Icinga 2 with ${COUNT} hosts, idle`);
  await sleep(5000); // what its start left to do
  const before = await cpuOf(place.own);
  await sleep(IDLE_S * 1000);
  const idle = ((await cpuOf(place.own)).own - before.own) / IDLE_S;
  const outcomes = new Map<Row, Outcome[]>(ROWS.map((each) => [each, []]));
  const sweeps = ROWS.filter(({ way }) => way !== 'forks');
  for (const each of [...sweeps, ...ROWS.filter(({ way }) => way === 'forks'), ...sweeps]) {
    progress(`Icinga 2, ${each.name}, ${each.count} services`);
    const since = Date.now();
    const start = await cpuOf(place.own);
    const ended = each.way === 'forks' ? await fork(place, each) : await sweep(place, each, meter);
    const end = await cpuOf(place.own);
    const passed = (Date.now() - since) / 1000;
    const results = each.way === 'sweep alone' ? 0 : await arrived(place, each, since);
    const isComplete = each.way === 'sweep alone' || results === each.count;
    outcomes.get(each)?.push({
      ...ended,
      icinga: Math.max(0, end.own - start.own - idle * passed),
      plugins: ended.plugins ?? end.children - start.children,
      results,
      remark: ended.remark || (isComplete ? '' : `not counted: ${results} results`),
    });
  }
  return { idle, outcomes };
}

type Ended = Pick<Outcome, 'wall' | 'memory' | 'ownMemory' | 'remark'> & { readonly plugins?: number };

async function sweep({ sweepOf }: Place, { kind, way }: Row, meter: Meter): Promise<Ended> {
  const { status, output, wall, cpu, memory } = await meter.measure(sweepOf(kind, way === 'sweep'));
  return {
    ...{ wall, memory, ownMemory: memory, plugins: cpu },
    remark: status === 0 ? '' : `not counted: exit ${status}: ${output.trim().slice(0, 200).replaceAll('\n', ' / ')}`,
  };
}

/** Has Icinga check them all at once; it takes as many at a time as MaxConcurrentChecks allows. */
async function fork({ icinga, own, serversOf }: Place, { kind, count }: Row): Promise<Ended> {
  const begun = performance.now();
  const { status, json } = await icinga.api('/v1/actions/reschedule-check', {
    type: 'Service',
    filter: 'service.name == wanted && host.name in hosts',
    filter_vars: { wanted: KINDS[kind].service, hosts: serversOf(kind).slice(0, count) },
    force: true,
  });
  let memory = 0;
  let ownMemory = 0;
  let latest = performance.now();
  while (performance.now() - latest < QUIET_MS) {
    const plugins = (await processesIn(icinga.folder)).filter((pid) => !own.includes(pid));
    if (plugins.length > 0) latest = performance.now();
    for (const { resident, own: unshared } of await Promise.all(plugins.map(memoryOf))) {
      memory = Math.max(memory, resident);
      ownMemory = Math.max(ownMemory, unshared);
    }
    await sleep(200);
  }
  const asked = status === 200 ? json.results.length : 0;
  return {
    ...{ wall: (latest - begun) / 1000, memory, ownMemory },
    remark: asked === count ? '' : `not counted: ${asked} checks were scheduled (HTTP ${status})`,
  };
}

/** None of its plugins runs for as long, and Icinga has ended its checks. */
const QUIET_MS = 3000;

/** How many of the services have a good result of since then, and that by this way. */
async function arrived({ icinga }: Place, { kind, way }: Row, since: number): Promise<number> {
  const filter = [
    `service.name == "${KINDS[kind].service}" && service.last_check >= ${since / 1000} && service.state == 0`,
    `service.last_check_result.active == ${way === 'forks'}`,
  ].join(' && ');
  const { status, json } = await icinga.api(
    `/v1/objects/services?attrs=last_check&filter=${encodeURIComponent(filter)}`,
  );
  return status === 200 ? json.results.length : 0;
}

/** Seconds of CPU of some processes, and of their children that have ended: proc(5), in hundredths. */
async function cpuOf(pids: readonly string[]): Promise<{ readonly own: number; readonly children: number }> {
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1')));
  const sum = (from: number) =>
    stats
      .map((stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' '))
      .reduce((total, fields) => total + Number(fields[from]) + Number(fields[from + 1]), 0) / 100;
  return { own: sum(11), children: sum(13) };
}

/** Octets it has in memory, and those of them that nobody else has; nothing where it has just ended. */
async function memoryOf(pid: string): Promise<{ readonly resident: number; readonly own: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1').catch(() => '');
  const octets = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { resident: octets('Rss'), own: octets('Private_Clean') + octets('Private_Dirty') };
}

function report({ idle, outcomes }: Found): string {
  const costs = new Map([...outcomes].map(([each, runs]) => [each, inAll(runs)]));
  const cells = [...costs].map(([{ kind, name, count, way }, cost]): readonly string[] => {
    const passive = costs.get(ROWS.find((other) => other.kind === kind && other.way === 'sweep') as Row);
    if (cost.remark !== '') return [name, String(count), ...Array(9).fill('-'), cost.remark];
    const each = (cost.icinga + cost.plugins) / count;
    const passiveEach = passive?.remark === '' ? (passive.icinga + passive.plugins) / KINDS[kind].swept : Number.NaN;
    return [
      ...[name, String(count), way === 'sweep alone' ? '-' : String(cost.results), cost.wall.toFixed(1)],
      ...[cost.icinga.toFixed(2), cost.plugins.toFixed(2), (each * 1000).toFixed(2)],
      Number.isNaN(passiveEach) ? '-' : (each / passiveEach).toFixed(1),
      Math.round(60 / each).toString(),
      (cost.memory / 2 ** 20).toFixed(0),
      (cost.ownMemory / 2 ** 20).toFixed(0),
      '',
    ];
  });
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, column) =>
    // A remark may be as long as it likes: nothing stands after it.
    column === HEADINGS.length - 1 ? 0 : Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const aligned = lines.map((line) =>
    line
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return ['', `Services of a real Icinga 2, active and passive, ${AT_ONCE} at a time`, '']
    .concat(aligned)
    .concat(NOTES(idle))
    .join('\n');
}

/** Of several runs the medians; one that failed leaves no numbers. */
function inAll(runs: readonly Outcome[]): Outcome {
  const of = (what: (run: Outcome) => number) => median(runs.map(what));
  return {
    ...{ wall: of(({ wall }) => wall), icinga: of(({ icinga }) => icinga), plugins: of(({ plugins }) => plugins) },
    ...{ memory: of(({ memory }) => memory), ownMemory: of(({ ownMemory }) => ownMemory) },
    ...{ results: Math.min(...runs.map(({ results }) => results)) },
    remark: runs.find(({ remark }) => remark !== '')?.remark ?? '',
  };
}

const HEADINGS = [
  ...['way', 'checks', 'results', 'wall s', "Icinga's CPU s", "plugins' CPU s", 'CPU ms each', '× passive'],
  ...['a minute per core', 'memory MiB', 'own', ''],
];
const NOTES = (idle: number): string => `
Icinga's own processes took ${(idle * 1000).toFixed(1)} ms of CPU a second with nothing to do; that is taken off. The servers' CPU is in none
of it, but they share the machine, and so the wall time. Results: good ones that its API has. Of several runs the medians.
Memory is the most that was resident in one process; with one for each, "own" is what it shared with no other.`;

import { existsSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createAuthority } from '../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../support/dovecot.ts';
import { installed } from '../support/installed.ts';
import { measureIcinga } from './icinga2.ts';
import { measureK6 } from './k6.ts';
import { measureMailboxes } from './mailbox.ts';
import { type Cost, type Measurement, type Meter, medians, progress, startMeter } from './meter.ts';
import { measureSweeps } from './sweep.ts';

/** What bench.mjs knows: its own folder, a temporary one, the command line. */
export type Invocation = { readonly here: string; readonly folder: string; readonly arguments: readonly string[] };

/**
 * What one check costs, whole processes side by side against the same Dovecot: every round runs every program once, in
 * changing order, so that whatever else the machine does falls on all of them. The goals are printed, never asserted.
 */
export async function main(invocation: Invocation): Promise<number> {
  const wanted = parseCommandLine(invocation.arguments);
  if (wanted instanceof Error) {
    console.error(wanted.message);
    return 2;
  }
  const { runs, node, only } = wanted;
  const python = systemPython();
  if (python === null || !DOVECOT.commands.every(installed)) {
    console.error(`cannot measure: this needs python3 and Dovecot (${DOVECOT.install} python3)`);
    return 1;
  }
  process.once('SIGINT', () => process.exit(130)); // 'exit' is where the harness cleans up
  if (only === 'icinga2') {
    console.log(await measureIcinga({ ...invocation, node, python }));
    return 0;
  }
  if (only === 'k6') {
    console.log(await measureK6({ ...invocation, node, python }));
    return 0;
  }
  const authority = await createAuthority('Benchmark CA');
  const identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
  const meter = startMeter(python, join(invocation.here, 'measure.py'), LIMIT_S);
  const dovecot = await startDovecot({ identity, users: { [USER]: PASSWORD } });
  try {
    await dovecot.deliver('Subject: one message\r\n\r\nso that there is something to list\r\n');
    const place = await furnish(invocation, authority.certificate, dovecot, { node, python });
    const rows = await measureAll(meter, contestants(place), runs);
    // the kernel starts a child's account with the memory of the process it was split from
    const floorBytes = (await meter.measure([installed('true') ?? '/bin/true'])).memory;
    console.log(await heading(meter, node, runs));
    console.log(table(rows, floorBytes));
    console.log(NOTES);
    console.log(await measureMailboxes({ ...place, identity, folder: invocation.folder, runs }));
    console.log(await measureSweeps({ ...place, folder: invocation.folder }));
    console.log(await measureK6({ ...place, folder: invocation.folder }));
    console.log(await measureIcinga({ ...place, folder: invocation.folder }));
    return 0;
  } finally {
    meter.stop();
    await dovecot.stop();
  }
}

const USER = 'alice';
const PASSWORD = 'correct-horse';
const LIMIT_S = 20; // of a single run
const LINKS = ['plaintext', 'tls', 'ssl'] as const;
const LINK_NAME: Readonly<Record<Link, string>> = { plaintext: 'plaintext', tls: 'STLS', ssl: 'implicit TLS' };
const CPU_GOAL: Readonly<Record<Link, number>> = { plaintext: 1.6, tls: 2.4, ssl: 2.4 };
const NOTES = `
CPU is user + system of the whole process, wall time includes Dovecot's share; all are medians.
× empty: CPU compared with the empty Node script; × Perl: wall time compared with the Perl script on the same link.
check_pop and check_spop (monitoring-plugins) read the banner and say QUIT: they neither log on nor verify a certificate.
Net::POP3 loads IO::Socket::SSL wherever it is installed, for plaintext too; the script compared with is kept from it.
Memory is the most that was resident; "<" marks a program smaller than the one that measures it.`;

type Link = (typeof LINKS)[number];
type Place = {
  readonly dovecot: Dovecot;
  readonly node: string;
  readonly python: string;
  readonly here: string;
  readonly checkPop3: string;
  readonly emptyScript: string;
  readonly bareScript: string;
  readonly passwordFile: string;
  readonly curlConfig: string;
  readonly authorityFile: string;
};
type Contestant = {
  readonly name: string;
  readonly link: Link | null;
  readonly role?: 'ours' | 'empty' | 'perl';
  /** Null when it is not there, and then `absent` is its row. */
  readonly command: readonly string[] | null;
  readonly absent?: string;
  /** Tried once beforehand: a module that the command needs. */
  readonly needs?: { readonly command: readonly string[]; readonly name: string };
};
type Row = { readonly contestant: Contestant; readonly cost: Cost | null; readonly remark: string };

function contestants(place: Place): readonly Contestant[] {
  const { dovecot, node } = place;
  const portOf = (link: Link) => String(link === 'ssl' ? dovecot.tlsPort : dovecot.port);
  const forEachLink = (contestant: (link: Link) => Contestant) => LINKS.map(contestant);
  const scriptArguments = (link: Link) => [link, portOf(link), USER, place.passwordFile, place.authorityFile];
  const curl = installed('curl');
  const perl = installed('perl');
  const bannerCheck = (name: string, link: Link): Contestant => ({
    name: `${name} (banner only)`,
    link,
    command: calling(installed(name), '-H', '127.0.0.1', '-p', portOf(link)),
  });
  return [
    { name: 'empty Node script', link: null, role: 'empty', command: [node, place.emptyScript] },
    // What Node itself takes for a connection, without a word of POP3 said: the floor under check_pop3.
    { name: 'Node, connect and greet', link: 'plaintext', command: [node, place.bareScript, portOf('plaintext')] },
    {
      name: 'Node, connect and greet',
      link: 'ssl',
      command: [node, place.bareScript, portOf('ssl'), place.authorityFile],
    },
    ...forEachLink((link) => ({
      name: 'check_pop3',
      link,
      role: 'ours',
      absent: 'not built',
      command: calling(
        existsSync(place.checkPop3) ? node : null,
        ...[place.checkPop3, '-H', 'localhost', '-I', '127.0.0.1', '-p', portOf(link), '--connection-type', link],
        ...['--light-mode', '-u', USER, '--password-file', place.passwordFile],
        ...(link === 'plaintext' ? [] : ['--ca-file', place.authorityFile]),
      ),
    })),
    bannerCheck('check_pop', 'plaintext'),
    bannerCheck('check_spop', 'ssl'),
    ...forEachLink((link) => ({
      name: 'curl',
      link,
      command: calling(
        curl,
        ...['--disable', '--silent', '--show-error', '--config', place.curlConfig, '--cacert', place.authorityFile],
        ...(link === 'tls' ? ['--ssl-reqd'] : []),
        `${link === 'ssl' ? 'pop3s' : 'pop3'}://127.0.0.1:${portOf(link)}/`,
      ),
    })),
    ...forEachLink((link) => ({
      name: 'Perl Net::POP3',
      link,
      role: 'perl',
      command: calling(perl, join(place.here, 'pop3.pl'), ...scriptArguments(link)),
      needs: perlModules(perl, link === 'plaintext' ? 'Net::POP3' : 'IO::Socket::SSL'),
    })),
    {
      name: 'Perl, IO::Socket::SSL loaded',
      link: 'plaintext',
      command: calling(perl, join(place.here, 'pop3.pl'), 'plaintext+ssl', ...scriptArguments('plaintext').slice(1)),
      needs: perlModules(perl, 'IO::Socket::SSL'),
    },
    ...forEachLink((link) => ({
      name: 'Python poplib',
      link,
      command: [place.python, join(place.here, 'pop3.py'), ...scriptArguments(link)],
    })),
  ];
}

function perlModules(perl: string | null, name: string): NonNullable<Contestant['needs']> {
  return { name, command: [perl ?? '', `-M${name}`, '-e1'] };
}

function calling(program: string | null, ...rest: readonly string[]): readonly string[] | null {
  return program === null ? null : [program, ...rest];
}

async function measureAll(meter: Meter, all: readonly Contestant[], runs: number): Promise<readonly Row[]> {
  const remarks = new Map<Contestant, string>();
  for (const contestant of all) {
    remarks.set(contestant, await tryOut(meter, contestant)); // also warms the caches
  }
  const running = all.filter((contestant) => remarks.get(contestant) === '');
  const costs = new Map<Contestant, Cost[]>(running.map((contestant) => [contestant, []]));
  for (let round = 0; round < runs; round += 1) {
    progress(`round ${round + 1} of ${runs}`);
    for (const contestant of rotated(running, round)) {
      const measured = await meter.measure(contestant.command ?? []);
      if (measured.status === 0) {
        costs.get(contestant)?.push(measured);
      } else {
        remarks.set(contestant, failure(measured));
      }
    }
  }
  progress('');
  return all.map((contestant) => {
    const mine = costs.get(contestant) ?? [];
    return { contestant, remark: remarks.get(contestant) ?? '', cost: mine.length === 0 ? null : medians(mine) };
  });
}

/** Empty when it works, else what stands in its row. */
async function tryOut(meter: Meter, { command, absent, needs }: Contestant): Promise<string> {
  if (command === null) {
    return absent ?? 'not installed';
  }
  if (needs !== undefined && (await meter.measure(needs.command)).status !== 0) {
    return `${needs.name} not installed`;
  }
  const measured = await meter.measure(command);
  return measured.status === 0 ? '' : failure(measured);
}

function failure({ status, output }: Measurement): string {
  return `failed, exit ${status}: ${output.trim().split('\n')[0]?.slice(0, 100) ?? ''}`;
}

async function furnish(
  { here, folder }: Invocation,
  certificate: string,
  dovecot: Dovecot,
  programs: { readonly node: string; readonly python: string },
): Promise<Place> {
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  // As an administrator installs it: below dist/ it would be compiled as a module, for our package.json says so.
  const checkPop3 = join(folder, 'check_pop3');
  await copyFile(join(here, '..', '..', 'dist', 'check_pop3'), checkPop3).catch(() => undefined);
  return {
    ...programs,
    dovecot,
    here,
    checkPop3,
    emptyScript: await write('empty.js', ''),
    bareScript: await write('bare.js', BARE_SCRIPT),
    passwordFile: await write('password', `${PASSWORD}\n`),
    curlConfig: await write('curlrc', `user = "${USER}:${PASSWORD}"\n`),
    authorityFile: await write('ca.pem', certificate),
  };
}

/** Connects, over TLS where an authority is given, and ends at the first octets. */
const BARE_SCRIPT = `
const [, , port, authority] = process.argv;
const target = { host: '127.0.0.1', port: Number(port), autoSelectFamily: false };
const socket = authority === undefined
  ? require('net').connect(target)
  : require('tls').connect({ ...target, servername: 'localhost', ca: require('fs').readFileSync(authority) });
socket.on('data', () => process.exit(0));
`;

async function heading(meter: Meter, node: string, runs: number): Promise<string> {
  const version = (await meter.measure([node, '--version'])).output.trim();
  const [processor] = cpus();
  return `${runs} rounds, Node ${version}, ${processor?.model ?? 'unknown processor'} × ${cpus().length}\n`;
}

function table(rows: readonly Row[], floorBytes: number): string {
  const empty = rows.find(({ contestant }) => contestant.role === 'empty')?.cost ?? null;
  const perlOn = (link: Link | null) =>
    rows.find(({ contestant }) => contestant.role === 'perl' && contestant.link === link)?.cost ?? null;
  const lines = rows.map(({ contestant, cost, remark }) => {
    const { name, link, role } = contestant;
    const perl = perlOn(link);
    const cells = cost === null ? NO_NUMBERS : numbers(cost, empty, perl, floorBytes);
    const goals = role === 'ours' && link !== null && cost !== null ? judge(link, cost, empty, perl) : '';
    return [name, link === null ? '-' : LINK_NAME[link], ...cells, [remark, goals].filter(Boolean).join('; ')];
  });
  return aligned([HEADINGS, ...lines]);
}

const HEADINGS = ['program', 'link', 'CPU ms', '× empty', 'wall ms', '× Perl', 'memory MiB', 'goals and remarks'];
const NO_NUMBERS = ['-', '-', '-', '-', '-'];

function numbers(cost: Cost, empty: Cost | null, perl: Cost | null, floorBytes: number): readonly string[] {
  return [
    (cost.cpu * 1000).toFixed(1),
    empty === null ? '-' : (cost.cpu / empty.cpu).toFixed(2),
    (cost.wall * 1000).toFixed(1),
    perl === null ? '-' : (cost.wall / perl.wall).toFixed(2),
    `${cost.memory <= floorBytes * 1.05 ? '<' : ''}${(cost.memory / 2 ** 20).toFixed(1)}`,
  ];
}

function judge(link: Link, cost: Cost, empty: Cost | null, perl: Cost | null): string {
  const said = (met: boolean) => (met ? 'met' : 'MISSED');
  return [
    empty === null ? '' : `CPU ≤ ${CPU_GOAL[link]} × empty: ${said(cost.cpu <= CPU_GOAL[link] * empty.cpu)}`,
    perl === null ? '' : `faster than Perl: ${said(cost.wall < perl.wall)}`,
  ]
    .filter(Boolean)
    .join('; ');
}

/** Columns two spaces apart; the numbers stand to the right, the words to the left. */
function aligned(lines: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column >= 2 && column <= 6 ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function rotated<T>(things: readonly T[], by: number): readonly T[] {
  const first = by % things.length;
  return [...things.slice(first), ...things.slice(0, first)];
}

/** The distribution's: a version manager's `python3` in PATH is often a shell script that looks for the real one. */
function systemPython(): string | null {
  return existsSync('/usr/bin/python3') ? '/usr/bin/python3' : installed('python3');
}

function parseCommandLine(args: readonly string[]): Wanted | Error {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS });
    const runs = Number(values.runs ?? (values.quick === true ? 5 : 30));
    if (!Number.isInteger(runs) || runs < 1 || runs > 1000) {
      return new Error(`--runs: a whole number from 1 to 1000 is wanted, not "${values.runs}"`);
    }
    const node = values.node === undefined ? process.execPath : installed(values.node);
    if (node === null) return new Error(`--node: there is no program ${values.node}`);
    const { only = null } = values;
    if (only !== null && only !== 'icinga2' && only !== 'k6') {
      return new Error(`--only: icinga2 or k6 is wanted, not "${only}"`);
    }
    return { runs, node, only };
  } catch (error) {
    return error as Error; // parseArgs names the option
  }
}

type Wanted = { readonly runs: number; readonly node: string; readonly only: 'icinga2' | 'k6' | null };

const OPTIONS = {
  runs: { type: 'string' },
  node: { type: 'string' },
  quick: { type: 'boolean' },
  only: { type: 'string' },
} as const;

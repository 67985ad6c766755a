import { mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Identity } from '../../src/sandbox/authority.ts';
import { Maildrop, type Message } from '../../src/sandbox/maildrop.ts';
import { createSmtpServer } from '../../src/sandbox/smtp.ts';
import { type Dovecot, startDovecot } from '../support/dovecot.ts';
import { installed } from '../support/installed.ts';
import { type Cost, type Meter, medians, progress, startMeter } from './meter.ts';

/** What the rest of the bench has already. */
export type Ground = {
  readonly identity: Identity;
  readonly node: string;
  readonly python: string;
  readonly here: string;
  readonly folder: string;
  readonly checkPop3: string;
  readonly authorityFile: string;
  readonly runs: number;
};

const LARGE = 50_000;
const PASSWORD = 'correct-horse';
const LIMIT_S = 600;
const GOAL = { time: 1.5, memoryBytes: 40 * 2 ** 20 };

/**
 * The full test in an empty mailbox and in one of 50,000 messages, beside what a script does that retrieves and
 * searches, against the same Dovecot. The goal is printed, never asserted: the large one costs 1.5 times the empty one
 * plus the listing itself, and 40 MB.
 */
export async function measureMailboxes(ground: Ground): Promise<string> {
  const users = ['empty@example.com', 'large@example.com'] as const;
  const dovecot = await startDovecot({
    identity: ground.identity,
    users: Object.fromEntries(users.map((user) => [user, PASSWORD])),
  });
  const meter = startMeter(ground.python, join(ground.here, 'measure.py'), LIMIT_S);
  const smtp = await Promise.all(users.map((user) => carryTo(dovecot, user, ground.identity)));
  try {
    await fill(dovecot, 'large@example.com');
    const passwordFile = join(ground.folder, 'mailbox-password');
    await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
    const script = (name: string, user: string): readonly string[] => {
      const interpreter = name.endsWith('.pl') ? (installed('perl') ?? 'perl') : ground.python;
      return [interpreter, join(ground.here, name), String(dovecot.port), user, passwordFile];
    };
    const full = (at: number): readonly string[] => {
      const user = users[at] as string;
      const state = mkdtempSync(join(ground.folder, 'state-'));
      return [
        ...[ground.node, ground.checkPop3, '-H', 'localhost', '-I', '127.0.0.1', '-p', String(dovecot.port)],
        ...['-u', user, '--password-file', passwordFile, '--ca-file', ground.authorityFile, '-t', '120'],
        ...['--smtp-port', String(smtp[at]?.port), '--state-dir', state],
      ];
    };
    const fulls = [full(0), full(1)] as const;
    const [empty, large, listing, visits, fewVisits] = await inTurn(meter, Math.max(3, Math.round(ground.runs / 3)), [
      fulls[0],
      fulls[1],
      script('uidl.py', 'large@example.com'),
      script('visits.py', 'large@example.com'),
      script('visits.py', 'empty@example.com'),
    ]);
    const searches = await inTurn(meter, 1, [
      script('search.py', 'large@example.com'),
      script('search.pl', 'large@example.com'),
    ]);
    return report({ empty, large, listing, visits, fewVisits, python: searches[0], perl: searches[1] } as Costs);
  } finally {
    progress('');
    meter.stop();
    for (const each of smtp) each.stop();
    await dovecot.stop();
  }
}

type Costs = Readonly<Record<'empty' | 'large' | 'listing' | 'visits' | 'fewVisits' | 'python' | 'perl', Cost>>;

function report({ empty, large, listing, visits, fewVisits, python, perl }: Costs): string {
  const ms = (seconds: number): string => `${(seconds * 1000).toFixed(0)} ms`;
  const mib = (octets: number): string => `${(octets / 2 ** 20).toFixed(1)} MiB`;
  const ratio = (large.wall - listing.wall) / empty.wall;
  const ours = (large.wall - (visits.wall - fewVisits.wall)) / empty.wall;
  const growth = large.memory - empty.memory;
  const said = (met: boolean): string => (met ? 'met' : 'MISSED');
  return [
    '',
    `The full test over STLS, mail carried at once, in a mailbox of ${LARGE} messages and in an empty one`,
    '',
    `  check_pop3, empty mailbox             ${ms(empty.wall).padStart(9)}  ${mib(empty.memory)}`,
    `  check_pop3, ${LARGE} messages            ${ms(large.wall).padStart(9)}  ${mib(large.memory)}`,
    `  one UIDL listing alone (Python)       ${ms(listing.wall).padStart(9)}`,
    `  three visits, one listing (Python)    ${ms(visits.wall).padStart(9)}  in the empty mailbox ${ms(fewVisits.wall)}`,
    `  retrieve and search, once (Python)    ${ms(python.wall).padStart(9)}  ${(python.wall / large.wall).toFixed(1)} times check_pop3`,
    `  retrieve and search, once (Perl)      ${ms(perl.wall).padStart(9)}  ${(perl.wall / large.wall).toFixed(1)} times check_pop3`,
    '',
    `  without the listing ${ratio.toFixed(2)} times the empty one (goal ≤ ${GOAL.time}): ${said(ratio <= GOAL.time)}`,
    `  without what those visits cost the server more than in the empty one: ${ours.toFixed(2)} times`,
    `  memory ${mib(growth)} more (goal ≤ ${mib(GOAL.memoryBytes)}): ${said(growth <= GOAL.memoryBytes)}`,
  ].join('\n');
}

/** Each command once a round, the first round to warm up; the medians of the others. */
async function inTurn(
  meter: Meter,
  rounds: number,
  commands: readonly (readonly string[])[],
): Promise<readonly Cost[]> {
  const costs = commands.map((): Cost[] => []);
  for (let round = rounds > 1 ? -1 : 0; round < rounds; round++) {
    for (const [at, command] of commands.entries()) {
      progress(`mailboxes, round ${round + 1} of ${rounds}`);
      const measured = await meter.measure(command);
      if (measured.status !== 0) throw new Error(`${command.slice(0, 3).join(' ')}: ${measured.output}`);
      if (round >= 0) costs[at]?.push(measured);
    }
  }
  return costs.map(medians);
}

/** Straight into the Maildir: delivered one by one, they would take longer than the measurement. */
async function fill(dovecot: Dovecot, user: string): Promise<void> {
  const body = 'x'.repeat(70);
  for (let from = 0; from < LARGE; from += 500) {
    progress(`mailboxes, ${from} of ${LARGE} messages`);
    await Promise.all(
      Array.from({ length: 500 }, (_, at) =>
        dovecot.deliver(`From: <alice@example.com>\r\nSubject: message ${from + at}\r\n\r\n${body}\r\n`, user),
      ),
    );
  }
}

/** A submission server that puts what it takes into one Maildir, at once. */
async function carryTo(
  dovecot: Dovecot,
  user: string,
  identity: Identity,
): Promise<{ readonly port: number; readonly stop: () => void }> {
  const maildrop = new (class extends Maildrop {
    override deliver(bytes: Uint8Array): Message {
      void dovecot.deliver(bytes, user);
      return { uid: '-', bytes };
    }
  })();
  const { server, closeAllConnections } = createSmtpServer({
    maildrop,
    user,
    password: PASSWORD,
    address: user,
    identity,
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      closeAllConnections();
      server.close();
    },
  };
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../src/sandbox/authority.ts';
import { FAULTS, isFaultName } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { CHECK_POP3, keepSecret, privateFolder, run } from '../support/run.ts';

/**
 * What goes wrong, and what check_pop3 makes of it. The faults are those of `pop3_sandbox --list-faults`; the link is
 * how we connect; the verdict is the state, the reason, and the phase where the reason does not imply it. None may end
 * later than the deadline and a quarter of a second.
 *
 *   fault                  link       verdict
 */
const TABLE = `
  -                      tls        OK
  -                      ssl        OK
  -                      plaintext  OK

  connection refused     tls        CRITICAL connection-refused
  never-greet            tls        CRITICAL timed-out in greeting
  never-greet            ssl        CRITICAL timed-out in greeting
  refuse-service         tls        CRITICAL server-temporary in greeting
  close-at-once          plaintext  CRITICAL hung-up in greeting
  close-at-once          ssl        CRITICAL hung-up in tls
  reset-at-once          plaintext  CRITICAL hung-up in greeting
  reset-at-once          ssl        CRITICAL hung-up in tls
  drip                   plaintext  CRITICAL timed-out in greeting
  endless-line           plaintext  CRITICAL line-too-long in greeting
  huge-greeting          plaintext  OK
  ansi-greeting          plaintext  OK
  unsolicited            plaintext  CRITICAL protocol-violation in capabilities
  lf-only                plaintext  WARNING protocol-violation in greeting
  smtp                   plaintext  CRITICAL not-pop3
  imap                   plaintext  CRITICAL not-pop3
  http                   plaintext  CRITICAL not-pop3
  ssh                    plaintext  CRITICAL not-pop3
  smtp                   ssl        CRITICAL not-pop3
  tls-alert              plaintext  CRITICAL not-pop3
  plain-on-tls-port      ssl        CRITICAL tls-failed

  capa-refused           plaintext  OK
  capa-refused           tls        CRITICAL stls-not-offered
  capa-odd               tls        OK
  capa-without-stls      tls        CRITICAL stls-not-offered
  capa-silent            tls        CRITICAL timed-out in capabilities
  endless-capa           tls        CRITICAL protocol-violation in capabilities
  stls-refused           tls        CRITICAL stls-refused
  stls-inject            tls        CRITICAL plaintext-after-stls
  stls-inject-partial    tls        CRITICAL plaintext-after-stls
  stls-plaintext         tls        CRITICAL plaintext-after-stls
  stls-silent            tls        CRITICAL timed-out in tls
  stls-unanswered        tls        CRITICAL timed-out in stls

  cleartext-refused      plaintext  CRITICAL login-refused
  cleartext-refused      tls        OK
  eof-after-pass         tls        CRITICAL hung-up in login
  reset-after-pass       tls        CRITICAL hung-up in login
  echo-password          tls        CRITICAL login-refused
  in-use                 tls        WARNING mailbox-in-use
  login-delay            tls        WARNING login-delay
  sys-temp               tls        CRITICAL server-temporary in login
  sys-perm               tls        CRITICAL server-permanent in login
  login-slow             tls        OK

  stat-words             tls        CRITICAL protocol-violation in mailbox
  stat-negative          tls        CRITICAL protocol-violation in mailbox
  stat-huge              tls        OK
  stat-silent            tls        CRITICAL timed-out in mailbox
  eof-at-stat            tls        CRITICAL hung-up in mailbox
  quit-refused           tls        WARNING server-temporary in quit
  quit-silent            tls        WARNING timed-out in quit
  no-close-notify        ssl        OK
`;

const ROWS = TABLE.split('\n')
  .map((row) => row.trim().split(/ {2,}/))
  .filter((cells) => cells.length === 3) as [string, string, string][];

/** Faults that only a test which fetches, deletes or sends can meet. */
const NOT_YET_MET = [
  'retr-endless',
  'unstuffed-dots',
  'dele-kept',
  'mail-refused',
  'mail-deferred',
  'mail-lost',
  'mail-twice',
  'mail-late',
  'mail-altered',
];

const DEADLINE_S = 2;
const PASSWORD = keepSecret('correct-horse-battery-staple');
const folder = privateFolder();
const passwordFile = folder.file('password', PASSWORD);
const caFile = join(folder.path, 'ca.pem');
const sandboxes: Sandbox[] = [];
let authority: Authority;

beforeAll(async () => {
  authority = await createAuthority('Example Test CA');
  writeFileSync(caFile, authority.certificate);
});
afterAll(async () => {
  await Promise.all(sandboxes.map((each) => each.close()));
});

describe('check_pop3 meets', () => {
  test.concurrent.each(ROWS)('%s over %s: %s', async (fault, link, verdict) => {
    const { address, pop3Port, pop3sPort } = fault === 'connection refused' ? NOBODY : await server(fault);
    const { line, tookMs } = await run(CHECK_POP3, [
      ...['-H', 'localhost', '-I', address, '-u', 'probe@example.com', '--password-file', passwordFile],
      ...['-p', String(link === 'ssl' ? pop3sPort : pop3Port), '--connection-type', link, '--light-mode'],
      ...['-t', String(DEADLINE_S), ...(link === 'plaintext' ? [] : ['--ca-file', caFile])],
    ]);
    const told = /^POP3 (\w+) - localhost: (?:logon|([a-z0-9-]+(?: in \w+)?), )/.exec(line);
    expect(`${told?.[1]}${told?.[2] === undefined ? '' : ` ${told[2]}`}`, line).toBe(verdict);
    const [, time] = / time=([\d.]+)s/.exec(line) as RegExpExecArray;
    expect(Number(time), line).toBeLessThanOrEqual(DEADLINE_S + 0.25);
    expect(tookMs).toBeLessThan(DEADLINE_S * 1000 + 2500); // with the start of a process on a busy machine
  });
});

test('every fault of the sandbox is met', () => {
  const met = new Set(ROWS.map(([fault]) => fault));
  expect(
    Object.keys(FAULTS)
      .filter((fault) => !met.has(fault))
      .sort(),
  ).toEqual([...NOT_YET_MET].sort());
});

async function server(
  fault: string,
): Promise<{ readonly address: string; readonly pop3Port: number; readonly pop3sPort: number }> {
  const identity = await authority.issue({ names: ['localhost'] });
  if (fault !== '-' && !isFaultName(fault)) throw new Error(`no fault is called ${fault}`);
  const faults = isFaultName(fault) ? [fault] : [];
  const sandbox = await startSandbox({
    password: PASSWORD,
    identity,
    faults,
    timing: { dripMs: 200, slowLoginMs: 500 },
  });
  sandboxes.push(sandbox);
  return { address: '127.0.0.1', pop3Port: sandbox.pop3Port, pop3sPort: sandbox.pop3sPort };
}

/** Where nobody listens: a port that was free a moment ago may be somebody's by now. */
const NOBODY = { address: '127.0.0.9', pop3Port: 1, pop3sPort: 1 };

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../src/sandbox/authority.ts';
import { FAULTS, isFaultName } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { CHECK_POP3, keepSecret, privateFolder, run } from '../support/run.ts';

/**
 * What goes wrong, and what check_pop3 makes of it. The faults are those of `pop3_sandbox --list-faults`; the link is
 * how we connect, or the full test over STLS; the verdict is the state, the reason, and the phase where the reason does not imply it. None may end
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

  -                      full       OK
  never-greet            full       CRITICAL timed-out in greeting
  capa-refused           full       CRITICAL stls-not-offered
  in-use                 full       WARNING mailbox-in-use
  login-delay            full       WARNING login-delay
  retr-endless           full       CRITICAL protocol-violation in delivery
  unstuffed-dots         full       CRITICAL protocol-violation in delete
  lf-only                full       WARNING protocol-violation in greeting
  dele-kept              full       WARNING not-deleted in verify
  quit-refused           full       WARNING server-temporary in quit
  mail-refused           full       CRITICAL send-refused
  mail-deferred          full       WARNING send-deferred
  mail-lost              full       CRITICAL not-delivered
  mail-twice             full       WARNING duplicate
  mail-late              full       OK
  mail-altered           full       WARNING altered
`;

const ROWS = TABLE.split('\n')
  .map((row) => row.trim().split(/ {2,}/))
  .filter((cells) => cells.length === 3) as [string, string, string][];

/** The full test starts three connections and a mail program's worth of code. */
const DEADLINE_S: Readonly<Record<string, number>> = { tls: 2, ssl: 2, plaintext: 2, full: 6 };
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
    const deadlineS = DEADLINE_S[link] as number;
    const { address, pop3Port, pop3sPort, smtpPort } = fault === 'connection refused' ? NOBODY : await server(fault);
    const isFull = link === 'full';
    const { line, tookMs } = await run(CHECK_POP3, [
      ...['-H', 'localhost', '-I', address, '-u', 'probe@example.com', '--password-file', passwordFile],
      ...['-p', String(link === 'ssl' ? pop3sPort : pop3Port), '--connection-type', isFull ? 'tls' : link],
      ...(isFull ? ['--smtp-port', String(smtpPort), '--state-dir', folder.state()] : ['--light-mode']),
      ...['-t', String(deadlineS), ...(link === 'plaintext' ? [] : ['--ca-file', caFile])],
    ]);
    const told = /^POP3 (\w+) - localhost: (?:logon|round trip|([a-z0-9-]+(?: in \w+)?), )/.exec(line);
    expect(`${told?.[1]}${told?.[2] === undefined ? '' : ` ${told[2]}`}`, line).toBe(verdict);
    const [, time] = / time=([\d.]+)s/.exec(line) as RegExpExecArray;
    expect(Number(time), line).toBeLessThanOrEqual(deadlineS + 0.25);
    expect(tookMs).toBeLessThan(deadlineS * 1000 + 2500); // with the start of a process on a busy machine
  });
});

test('every fault of the sandbox is met', () => {
  const met = new Set(ROWS.map(([fault]) => fault));
  expect(
    Object.keys(FAULTS)
      .filter((fault) => !met.has(fault))
      .sort(),
  ).toEqual([]);
});

async function server(
  fault: string,
): Promise<Readonly<Record<'pop3Port' | 'pop3sPort' | 'smtpPort', number>> & { readonly address: string }> {
  const identity = await authority.issue({ names: ['localhost'] });
  if (fault !== '-' && !isFaultName(fault)) throw new Error(`no fault is called ${fault}`);
  const faults = isFaultName(fault) ? [fault] : [];
  const sandbox = await startSandbox({
    password: PASSWORD,
    identity,
    faults,
    timing: { dripMs: 200, slowLoginMs: 500, lateMs: 700 },
  });
  sandboxes.push(sandbox);
  const { pop3Port, pop3sPort, smtpPort } = sandbox;
  return { address: '127.0.0.1', pop3Port, pop3sPort, smtpPort };
}

/** Where nobody listens: a port that was free a moment ago may be somebody's by now. */
const NOBODY = { address: '127.0.0.9', pop3Port: 1, pop3sPort: 1, smtpPort: 1 };

import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../src/sandbox/authority.ts';
import type { Maildrop } from '../../src/sandbox/maildrop.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';
import { missing } from '../support/installed.ts';
import { CHECK_POP3, type Circumstances, type Ended, keepSecret, launch, privateFolder, run } from '../support/run.ts';
import { fullTest } from '../support/sandboxed.ts';
import { runOnTerminal, SCRIPT } from '../support/terminal.ts';

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

async function sandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const identity = await authority.issue({ names: ['localhost'] });
  const server = await startSandbox({ password: PASSWORD, identity, messages: FOREIGN, ...options });
  sandboxes.push(server);
  return server;
}

const octets = (...lines: readonly string[]): Uint8Array => Buffer.from(`${lines.join('\r\n')}\r\n`);

/** Somebody else's mail: none of it is ever to be touched. */
const FOREIGN = [
  octets('From: <alice@example.com>', 'Subject: hello', '', 'Dear probe,'),
  octets('From: <bob@example.com>', 'Subject: Test-PopConnectivity-nothing', 'X-Pop-Connectivity: nothing', '', 'x'),
];

/** The foreign mail that is there, which must be all of it, to the octet. */
function expectForeignMailUntouched({ messages }: Maildrop): void {
  const there = messages.map(({ bytes }) => Buffer.from(bytes).toString('latin1'));
  for (const message of FOREIGN) expect(there).toContain(Buffer.from(message).toString('latin1'));
}

/** What came by mail and is still there. */
const left = ({ maildrop }: Sandbox): readonly string[] =>
  maildrop.messages
    .map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
    .filter((message) => message.includes('\r\nX-Pop-Connectivity: ') && !message.includes(': nothing'));

const argv = (server: Sandbox, stateDir: string): readonly string[] =>
  fullTest(server, { passwordFile, caFile, stateDir });
const check = (args: readonly string[], circumstances?: Circumstances): Promise<Ended> =>
  run(CHECK_POP3, args, circumstances);

describe('the full test', () => {
  test('sends a message, finds it, deletes it, and leaves the mailbox as it was', async () => {
    const server = await sandbox();
    const { code, line } = await check(argv(server, folder.state()));
    expect(line).toMatch(/^POP3 OK - localhost: round trip [\d.]+ m?s, login \d+ ms, delivery [\d.]+ m?s \| time=/);
    for (const metric of ['time_send', 'delivery', 'time_retrieve', 'time_delete', 'time_verify', 'polls', 'stale']) {
      expect(line).toMatch(new RegExp(` ${metric}=[\\d.]+`));
    }
    expect(line).toContain(' messages=2;');
    expect(code).toBe(0);
    expect(server.maildrop.messages).toHaveLength(FOREIGN.length);
    expectForeignMailUntouched(server.maildrop);
  });

  test('visits three times, retrieves nothing but its own message, and says nothing in the clear', async () => {
    const server = await sandbox();
    await check(argv(server, folder.state()));
    const said = server.received.map((line) => line.replace(/^PASS .*/, 'PASS'));
    expect(said.filter((line) => line === 'QUIT')).toHaveLength(3);
    expect(said.filter((line) => line.startsWith('RETR'))).toEqual(['RETR 3']);
    expect(said.filter((line) => line.startsWith('DELE'))).toEqual(['DELE 3']);
    expect(new Set(server.receivedInTheClear)).toEqual(new Set(['CAPA', 'STLS']));
  });

  test('does not look at the same foreign mail again in the next run', async () => {
    const server = await sandbox();
    const state = folder.state();
    await check(argv(server, state));
    expect(server.received.filter((line) => /^TOP [12] 0$/.test(line))).toHaveLength(2);
    const before = server.received.length;
    await check(argv(server, state));
    expect(server.received.slice(before).filter((line) => /^TOP [12] /.test(line))).toEqual([]);
  });

  test('keeps its key and its notes to itself', async () => {
    const state = folder.state();
    await check(argv(await sandbox(), state));
    const files = readdirSync(state);
    expect(files).toContain('marker.key');
    for (const file of files) expect(statSync(join(state, file)).mode & 0o077, file).toBe(0);
    expect(files.filter((file) => !/^(marker\.key|[0-9a-f]{24}\.json)$/.test(file))).toEqual([]);
  });

  test('tells where the time went, and the way of the message, with -vvv', async () => {
    const { stdout } = await check([...argv(await sandbox(), folder.state()), '-vvv']);
    expect(stdout).toMatch(
      /\nround trip: sent via smtp [\d.]+ s, delivered [\d.]+ s, polls 1, retrieved yes, deleted yes, verified yes/,
    );
    expect(stdout).toContain("\nhops, by the servers' own clocks: mail.example.com ");
    expect(stdout).toMatch(/ms \* sending through localhost port \d+\n/);
    expect(stdout).toMatch(/ms \* sent: 250 2\.0\.0 Delivered\n/);
  });
});

describe('blame', () => {
  test.each([
    [
      'the sending',
      ['mail-refused'],
      2,
      /send-refused, the SMTP server refuses the recipient, server said "550 5\.1\.1/,
    ],
    ['the delivery', ['mail-lost'], 2, /not-delivered, taken by localhost port \d+, not in the mailbox after \d/],
    ['POP3', ['sys-temp'], 2, /server-temporary in login, /],
  ] as const)('falls on %s', async (_, faults, expected, words) => {
    const server = await sandbox({ faults });
    const { code, line } = await check([...argv(server, folder.state()), '-t', '4']);
    expect(line).toMatch(words);
    expect(code).toBe(expected);
    expectForeignMailUntouched(server.maildrop);
  });

  test('a server that refuses the password is sent no message', async () => {
    const server = await sandbox({ faults: ['echo-password'] });
    const { line } = await check(argv(server, folder.state()));
    expect(line).toContain('login-refused');
    expect(line).not.toContain('time_send');
    expect(left(server)).toEqual([]);
  });

  test('nobody listens where the message is to be sent', async () => {
    const server = await sandbox();
    const { code, line } = await check([
      ...argv(server, folder.state()),
      '--smtp-server',
      '127.0.0.9',
      '--smtp-port',
      '1',
    ]);
    expect(line).toMatch(/connection-refused in send, .* - check that the submission service runs/);
    expect(code).toBe(2);
  });

  test('a certificate of the submission server that nobody vouches for stops the password', async () => {
    const server = await sandbox();
    const other = await createAuthority('Another CA');
    const pop3 = await sandbox({ identity: await other.issue({ names: ['localhost'] }) });
    const otherCa = folder.file('other-ca.pem', other.certificate);
    const mixed = fullTest(
      { pop3Port: pop3.pop3Port, smtpPort: server.smtpPort },
      { passwordFile, caFile: otherCa, stateDir: folder.state() },
    );
    const { code, line } = await check(mixed);
    expect(line).toContain('certificate-untrusted in send');
    expect(code).toBe(2);
    expect(left(server)).toEqual([]);
  });
});

describe('what a run leaves', () => {
  test('a message that came too late is removed by the next run, which tells of it', async () => {
    const server = await sandbox({ faults: ['mail-late'], timing: { lateMs: 2500 } });
    const state = folder.state();
    const gaveUp = await check([...argv(server, state), '-t', '2']);
    expect(gaveUp.line).toContain('not-delivered');
    await until(() => left(server).length === 1);
    const next = await check([...argv(server, state), '-t', '20']);
    expect(next.line).toMatch(/delivery-delayed, a message an earlier run gave up has arrived, at most \d+ s after/);
    expect(next.line).toMatch(/ stale=1;/);
    expect(next.code).toBe(1);
    expect(left(server)).toEqual([]);
    expectForeignMailUntouched(server.maildrop);
  });

  test.each(['login', 'mail', 'found'] as const)(
    'killed at %s, it is tidied up by the next run, and no foreign message is touched',
    async (moment) => {
      const server = await sandbox(
        moment === 'found' ? {} : { faults: moment === 'mail' ? ['mail-late'] : [], timing: { lateMs: 1500 } },
      );
      const state = folder.state();
      const reached = {
        login: () => server.received.some((line) => line.startsWith('PASS')),
        // The second QUIT ends the first look for a message that was taken and has not arrived.
        mail: () => server.received.filter((line) => line === 'QUIT').length >= 2,
        found: () => left(server).length === 1,
      }[moment];
      const killed = await launch(CHECK_POP3, [...argv(server, state), '-t', '20'], {
        meanwhile: async (child) => {
          await until(reached);
          child.kill('SIGKILL');
        },
      });
      expect(killed.code).toBe(null);
      if (moment === 'mail') await until(() => left(server).length === 1);
      const next = await check(argv(server, state));
      expect(next.code, next.line).toBe(0);
      expect(left(server)).toEqual([]);
      expectForeignMailUntouched(server.maildrop);
    },
  );

  test('with --keep-stale it stays, and is counted', async () => {
    const server = await sandbox({ faults: ['mail-late'], timing: { lateMs: 2500 } });
    const state = folder.state();
    await check([...argv(server, state), '-t', '2']);
    await until(() => left(server).length === 1);
    const next = await check([...argv(server, state), '-t', '20', '--keep-stale']);
    expect(next.line).toMatch(/ stale=1;/);
    expect(left(server)).toHaveLength(1);
  });

  test('ended by a signal while it waits, it says so at once', async () => {
    const server = await sandbox({ faults: ['mail-lost'] });
    const began = performance.now();
    let signalled = 0;
    const { code, line } = await check([...argv(server, folder.state()), '-t', '40'], {
      meanwhile: async (child) => {
        await until(() => server.received.filter((each) => each === 'QUIT').length >= 3);
        signalled = performance.now();
        child.kill('SIGTERM');
      },
    });
    expect(line).toMatch(/^POP3 UNKNOWN - localhost: interrupted in delivery, ended by SIGTERM/);
    expect(code).toBe(3);
    expect(performance.now() - signalled).toBeLessThan(1500);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

describe('two runs on one mailbox', () => {
  test('of one machine wait for each other, and both succeed', async () => {
    const server = await sandbox({ exclusive: true });
    const state = folder.state();
    const runs = await Promise.all([
      check(argv(server, state)),
      check(argv(server, state)),
      check(argv(server, state)),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(left(server)).toEqual([]);
  });

  test('of one machine, where waiting is not enough: already-running', async () => {
    const server = await sandbox({ faults: ['mail-lost'] });
    const state = folder.state();
    const first = check([...argv(server, state), '-t', '6']);
    await until(() => readdirSync(state).some((name) => name.endsWith('.lock')));
    const second = await check([...argv(server, state), '-t', '2']);
    expect(second.line).toContain('already-running');
    expect(second.code).toBe(3);
    expect((await first).line).toContain('not-delivered');
  });

  test('of two machines with keys of their own do not see each other\u2019s messages', async () => {
    const server = await sandbox();
    const runs = await Promise.all([check(argv(server, folder.state())), check(argv(server, folder.state()))]);
    expect(runs.map(({ line }) => line.slice(0, 8))).toEqual(['POP3 OK ', 'POP3 OK ']);
    expect(left(server)).toEqual([]);
  });

  test('of two machines with one key leave each other\u2019s message in flight', async () => {
    const server = await sandbox();
    const key = folder.file('shared.key', `${Buffer.alloc(32, 7).toString('base64')}\n`);
    const shared = (state: string): readonly string[] => [...argv(server, state), '--marker-key-file', key];
    const runs = await Promise.all([0, 1, 2].map(() => check(shared(folder.state()))));
    expect(runs.map(({ line }) => line.slice(0, 8))).toEqual(['POP3 OK ', 'POP3 OK ', 'POP3 OK ']);
    expect(runs.every(({ line }) => line.includes(' stale=0;'))).toBe(true);
    expect(left(server)).toEqual([]);
  });
});

describe('--split', () => {
  test('finds what the run before sent, and sends anew', async () => {
    const server = await sandbox();
    const state = folder.state();
    const split = [...argv(server, state), '--split'];
    const first = await check(split);
    expect(first.line).toContain('a message is under way to the next run');
    expect(left(server)).toHaveLength(1);
    const [message] = left(server);
    const second = await check(split);
    expect(second.line).toMatch(/^POP3 OK - localhost: round trip .*, delivery .*, by the mail servers' clocks/);
    expect(second.line).toMatch(/ delivery=\d/);
    expect(left(server)).toHaveLength(1);
    expect(left(server)).not.toContain(message);
    expectForeignMailUntouched(server.maildrop);
  });

  test('warns of what is late, and counts it', async () => {
    const server = await sandbox({ faults: ['mail-lost'] });
    const split = [...argv(server, folder.state()), '--split'];
    expect((await check(split)).code).toBe(0);
    const { code, line, stdout } = await check([...split, '-v']);
    expect(line).toMatch(/delivery-delayed, a message sent \d+ s ago has not arrived yet/);
    expect(stdout).toContain('pending 1, lost 0');
    expect(code).toBe(1);
  });

  test('logs on once a run: a server that wants long between logons is content', async () => {
    const server = await sandbox();
    await check([...argv(server, folder.state()), '--split']);
    expect(server.received.filter((line) => line === 'QUIT')).toHaveLength(1);
  });
});

describe('asking first', () => {
  test('--what-if tells every operation, and touches nothing', async () => {
    const server = await sandbox();
    const state = folder.state();
    const { code, stdout, stderr } = await launch(CHECK_POP3, [...argv(server, state), '--what-if'], {});
    expect(stdout.trimEnd().split('\n')).toEqual([
      `What if: log on to localhost port ${server.pop3Port} (tls) as probe@example.com`,
      'What if: delete messages of earlier runs, those that bear our signature and have expired or are of runs that have ended',
      `What if: send a message from probe@example.com to probe@example.com through localhost port ${server.smtpPort} (smtp) as probe@example.com`,
      'What if: find that message, retrieve and delete it',
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(3);
    expect(server.received).toEqual([]);
    expect(readdirSync(state)).toEqual([]);
  });

  describe.skipIf(missing(SCRIPT))('--confirm on a terminal', () => {
    const confirmed = async (keys: string) => {
      const server = await sandbox();
      const args = [...argv(server, folder.state()), '--confirm'];
      const seen = await runOnTerminal(args, { prompt: /Go on\? \[y\/N\] $/, keys, folder });
      expect(seen.shown).toContain('send a message from probe@example.com to probe@example.com');
      return { server, ...seen };
    };

    test.each(['y\r', 'Yes\r'])('%j: the test is made', async (keys) => {
      const { code, report, server } = await confirmed(keys);
      expect(report).toMatch(/^POP3 OK - localhost: round trip /);
      expect(code).toBe(0);
      expectForeignMailUntouched(server.maildrop);
    });

    test.each(['n\r', '\r', 'maybe\r', '\x03', '\x04'])('%j: nothing is touched', async (keys) => {
      const { code, report, server } = await confirmed(keys);
      expect(report).toMatch(/^POP3 UNKNOWN - (interrupted|configuration), /);
      expect(code).toBe(3);
      expect(server.received).toEqual([]);
      expect(left(server)).toEqual([]);
    });
  });

  test('--confirm without a terminal refuses, and touches nothing', async () => {
    const server = await sandbox();
    const { code, line } = await check([...argv(server, folder.state()), '--confirm']);
    expect(line).toContain('--confirm has nobody to ask');
    expect(code).toBe(3);
    expect(server.received).toEqual([]);
  });
});

describe('where nothing can be remembered', () => {
  test('the test is made all the same, and says so', async () => {
    const file = folder.file('no-folder', '');
    const server = await sandbox();
    const { code, line } = await check([...argv(server, file)]);
    expect(line).toContain('(what this run leaves behind will not be remembered: ');
    expect(code).toBe(0);
    expect(left(server)).toEqual([]);
  });

  test('a damaged note is worth a word, and is written anew', async () => {
    const server = await sandbox();
    const state = folder.state();
    await check(argv(server, state));
    const [note] = readdirSync(state).filter((name) => name.endsWith('.json'));
    writeFileSync(join(state, note as string), '{"version":1,"runs":[{');
    const { code, line } = await check(argv(server, state));
    expect(line).toContain('is damaged, and is written anew');
    expect(code).toBe(0);
    expect((await check(argv(server, state))).line).not.toContain('damaged');
  });

  test.each([
    ['a key that is none', 'not base 64!', 0o600, 'not a key'],
    ['a short key', Buffer.alloc(8).toString('base64'), 0o600, 'not a key'],
    ['a key that everyone may read', Buffer.alloc(32).toString('base64'), 0o644, 'everyone may read or write it'],
  ])('%s: nothing is sent', async (_, content, mode, words) => {
    const server = await sandbox();
    const key = folder.file(`key-${words.length}-${content.length}`, content);
    chmodSync(key, mode);
    const { code, line } = await check([...argv(server, folder.state()), '--marker-key-file', key]);
    expect(line).toContain(words);
    expect(line).toContain('configuration');
    expect(code).toBe(3);
    expect(server.received).toEqual([]);
    expect(left(server)).toEqual([]);
  });

  test('a key of the state folder that cannot be read: nothing is sent, and it is not replaced', async () => {
    const server = await sandbox();
    const state = folder.state();
    mkdirSync(join(state, 'marker.key'));
    const { code, line } = await check(argv(server, state));
    expect(line).toContain('marker.key: the key of the markers cannot be read');
    expect(code).toBe(3);
    expect(server.received).toEqual([]);
  });
});

/** Waits for something that happens elsewhere. */
async function until(happened: () => boolean): Promise<void> {
  for (const limit = Date.now() + 15_000; !happened(); ) {
    if (Date.now() > limit) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

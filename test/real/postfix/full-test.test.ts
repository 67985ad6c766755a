import { readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startHaltingProxy } from '../../support/halting-proxy.ts';
import { missing } from '../../support/installed.ts';
import { greylisting } from '../../support/policy-server.ts';
import { BOUNCING, DELAYED, POSTFIX, ROOT } from '../../support/postfix.ts';
import { IN_CLEAR, inClear, type TreatingPostfix, withPostfix } from '../../support/postfix-scenes.ts';
import { CHECK_POP3, keepSecret, launch } from '../../support/run.ts';
import { MARKER_KEY_LINE, metric, type Scene } from '../../support/scenes.ts';
import { until } from '../../support/until.ts';

const FINE =
  /^POP3 OK - localhost: round trip [\d.]+ m?s, login \d+ ms, delivery [\d.]+ m?s( \||, 1 message of earlier)/;

/** The next run finds everything in order. */
async function expectCleanRun({ check }: Scene<TreatingPostfix>, stale: number): Promise<void> {
  const next = await check();
  expect(next.line).toMatch(FINE);
  expect(metric(next, 'stale')).toBe(stale);
}

describe.skipIf(missing(POSTFIX, ROOT)).concurrent('the full test by Postfix and Dovecot', () => {
  const { scene, sceneWith } = withPostfix();

  describe('all is well', () => {
    test.each([
      ['STLS', 'STARTTLS', false, false],
      ['STLS', 'submissions', false, true],
      ['implicit TLS', 'STARTTLS', true, false],
      ['implicit TLS', 'submissions', true, true],
    ] as const)('POP3 by %s, sending by %s', (_, __, popSsl, smtpSsl) =>
      scene(async ({ system: postfix, foreign, check, user }) => {
        const ended = await check({
          ...(popSsl
            ? { 'connection-type': 'ssl', 'port-client-access-server': String(postfix.dovecot.tlsPort) }
            : { 'connection-type': 'tls' }),
          ...(smtpSsl
            ? { 'smtp-connection-type': 'ssl', 'smtp-port': String(postfix.tlsPort) }
            : { 'smtp-connection-type': 'tls' }),
        });
        expect(ended.line).toMatch(FINE);
        expect(metric(ended, 'messages')).toBe(foreign);
        expect(metric(ended, 'stale')).toBe(0);
        expect(metric(ended, 'polls')).toBeGreaterThan(0);
        for (const phase of ['login', 'send', 'delivery', 'retrieve', 'delete', 'verify']) {
          expect(metric(ended, `time_${phase}`)).toBeGreaterThanOrEqual(0);
        }
        expect(await postfix.delivered(user)).toBe(1);
        return 0;
      }),
    );

    test('the servers on the way are named', () =>
      scene(async ({ check }) => {
        const { stdout } = await check({ verbose: true });
        expect(stdout).toMatch(/\nround trip: sent via smtp .* retrieved yes, deleted yes, verified yes; stale 0/);
        expect(stdout).toMatch(/\nhops, by the servers' own clocks: mail\.example\.com -?\d+ s, /);
        return 0;
      }));

    test('what comes meanwhile is not ours, and stays', () =>
      scene(async ({ check, anotherComes, system: postfix }) => {
        const proxy = await startHaltingProxy(postfix.port, { connection: 1 });
        const running = check({ 'smtp-port': String(proxy.port) });
        await proxy.reached(running);
        await anotherComes();
        proxy.resume();
        expect((await running).line).toMatch(FINE);
        await proxy.close();
        return 0;
      }));
  });

  describe('delivery that takes its time', () => {
    test('is measured', () =>
      sceneWith({ held: true }, async ({ system: postfix, user, check, anotherComes }) => {
        let heldMs = 0;
        const ended = await check(
          {},
          {
            meanwhile: async () => {
              await until('the message is held', async () => (await postfix.queued()) === 1);
              const since = performance.now();
              await sleep(2500);
              await anotherComes();
              heldMs = performance.now() - since;
              await postfix.release();
            },
          },
        );
        expect(ended.line).toMatch(FINE);
        // After 0, 0.5, 1.5, 3.5 s it looks; and it cannot know the moment any better.
        expect(metric(ended, 'delivery')).toBeGreaterThan(heldMs / 1000 - 0.3);
        expect(metric(ended, 'delivery')).toBeLessThan(heldMs / 1000 + 6);
        expect(metric(ended, 'polls')).toBeGreaterThanOrEqual(3);
        expect(await postfix.delivered(user)).toBe(1);
        return 0;
      }));

    test('is not waited for for ever; what comes later is removed by the next run, which tells of it', () =>
      sceneWith({ held: true }, async (its) => {
        const { system: postfix, check, ours, user } = its;
        const gaveUp = await check({ timeout: '4' });
        expect(gaveUp.line).toMatch(/not-delivered, taken by localhost port \d+, not in the mailbox after [\d.]+ s/);
        expect(gaveUp.line).not.toMatch(/ delivery=/);
        expect(gaveUp.code).toBe(2);
        expect(metric(gaveUp, 'time_login')).toBeGreaterThanOrEqual(0);
        await postfix.release();
        await until('the late message is there', async () => (await ours()).length === 1);
        const next = await check();
        expect(next.line).toMatch(
          /delivery-delayed, a message an earlier run gave up has arrived, at most \d+ s after/,
        );
        expect(metric(next, 'stale')).toBe(1);
        expect(next.code).toBe(1);
        expect(await postfix.delivered(user)).toBe(2);
        await expectCleanRun(its, 0);
        return 0;
      }));

    test('reported by a mail server, which then never delivers', () =>
      sceneWith({ delayNotices: true }, async ({ user, check, system: postfix }) => {
        const ended = await check({ 'mail-to': DELAYED, 'mail-from': user, timeout: '10', verbose: true });
        expect(ended.stdout).toContain('delivery-delayed, a mail server reports that the message is delayed');
        expect(ended.line).toContain('not-delivered');
        expect(ended.code).toBe(2);
        expect(await postfix.queued()).toBe(1);
        return 0; // the notice, too, was ours to remove
      }));

    test('never: the message was taken and dropped', () =>
      scene(async ({ check, system: postfix, user }) => {
        postfix.treatFor(user, () => 'DISCARD');
        const { line, code } = await check({ timeout: '4' });
        expect(line).toMatch(/not-delivered, taken by localhost port \d+, not in the mailbox after [\d.]+ s/);
        expect(code).toBe(2);
        expect(await postfix.log()).toContain('triggers DISCARD action');
        return 0;
      }));

    test('never: the message came back', () =>
      scene(async ({ user, check, system: postfix }) => {
        const { line, code } = await check({ 'mail-to': BOUNCING, 'mail-from': user });
        expect(line).toMatch(/bounced, the message came back, server said "550 5\.1\.1 <nobody@example\.com> /);
        expect(code).toBe(2);
        expect(await postfix.log()).toMatch(new RegExp(`to=<${user}>,.*status=sent`)); // the report was there
        return 0;
      }));
  });

  describe('the mail system puts off', () => {
    test('greylisting that passes is a warning, and the message arrives once', () =>
      scene(async ({ check, system: postfix, user }) => {
        postfix.treatFor(user, greylisting(1000));
        const ended = await check();
        expect(ended.line).toMatch(/^POP3 WARNING - localhost: send-deferred, .*server said "451 4\.7\.1 .*Greylisted/);
        expect(metric(ended, 'time_send')).toBeGreaterThan(1);
        expect(metric(ended, 'delivery')).toBeGreaterThanOrEqual(0);
        expect(ended.code).toBe(1);
        expect(await postfix.log()).toMatch(new RegExp(`451 4\\.7\\.1 <${user}>`));
        expect(await postfix.delivered(user)).toBe(1);
        return 0;
      }));

    test('greylisting for longer than there is time is a warning, and nothing is sent', () =>
      scene(async ({ check, state, system: postfix, user }) => {
        postfix.treatFor(user, greylisting(60_000));
        const ended = await check({ timeout: '7' });
        expect(ended.line).toMatch(/^POP3 WARNING - localhost: send-deferred, .*server said "451 4\.7\.1 .*Greylisted/);
        expect(ended.line).not.toContain(' delivery=');
        expect(metric(ended, 'time_login')).toBeGreaterThanOrEqual(0);
        expect(ended.code).toBe(1);
        expect(await postfix.delivered(user)).toBe(0);
        expect(readdirSync(state).filter((name) => name.endsWith('.lock'))).toEqual([]);
        return 0;
      }));
  });

  describe('the mail system refuses', () => {
    const wrong = keepSecret('close: sesame');

    test.each([
      ['the recipient', 'other@example.com', null, /the recipient, server said "550 5\.1\.1 <other@/],
      ['to relay', 'probe@example.org', null, /the recipient, server said "554 5\.7\.1 .*Relay access denied"/],
      ['the credentials', null, wrong, /the credentials, server said "535 5\.7\.8 /],
    ] as const)('%s', (_, to, password, words) =>
      scene(async ({ user, folder, check, system: postfix }) => {
        const file = password === null ? null : `@${folder.file(`smtp-${user}`, `${user}\n${password}\n`)}`;
        const ended = await check({ 'mail-to': to, 'smtp-credential': file });
        expect(ended.line).toMatch(/^POP3 CRITICAL - localhost: send-refused, the SMTP server refuses /);
        expect(ended.line).toMatch(words);
        expect(ended.code).toBe(2);
        for (const phase of ['connect', 'tls', 'login', 'mailbox']) {
          expect(metric(ended, `time_${phase}`)).toBeGreaterThanOrEqual(0);
        }
        expect(await postfix.delivered(user)).toBe(0);
        return 0;
      }),
    );

    test.each(['452 4.2.2', '552 5.2.2'] as const)('a mailbox that is full, at once (%s)', (answer) =>
      sceneWith({ quota: { messages: 3, at: 'submission', answer } }, async ({ check, system: postfix, user }) => {
        const { line, code } = await check();
        expect(line).toMatch(/^POP3 CRITICAL - localhost: mailbox-full in send, .*Mailbox is full"/);
        expect(line).toContain(`server said "${answer} `);
        expect(code).toBe(2);
        expect(await postfix.delivered(user)).toBe(0);
        return 0;
      }),
    );

    // A report about it would not fit in either: so it looks like any other message that never comes.
    test.each(['452 4.2.2', '552 5.2.2'] as const)('a mailbox that is full, at delivery (%s)', (answer) =>
      sceneWith({ quota: { messages: 3, at: 'delivery', answer } }, async ({ check, system: postfix, user }) => {
        const { line, code } = await check({ timeout: '5' });
        expect(line).toMatch(/not-delivered, taken by localhost port \d+/);
        expect(code).toBe(2);
        expect(await postfix.log()).toContain(`said: ${answer} `);
        expect(await postfix.delivered(user)).toBe(0);
        return 0;
      }),
    );
  });

  describe('on its way the message is', () => {
    test.each([
      [
        'given another subject',
        { headerChecks: '/^Subject: (.*)/ REPLACE Subject: [list] $1' },
        'its subject was changed',
      ],
      ['robbed of its field', { headerChecks: '/^X-Pop-Connectivity:/ IGNORE' }, 'its X-Pop-Connectivity was dropped'],
      ['given another line', { bodyChecks: '/^it\\. Nobody/ PREPEND Scanned.' }, 'its text was changed'],
      ['given a line before', { bodyChecks: '/^pop-connectivity sent/ PREPEND EXTERNAL' }, 'a line was added before'],
    ] as const)('%s', (_, options, words) =>
      sceneWith(options, async (its) => {
        const { check, system: postfix, user } = its;
        const ended = await check();
        expect(ended.line).toMatch(/^POP3 WARNING - localhost: altered, /);
        expect(ended.line).toContain(words);
        expect(ended.line).not.toContain('not-deleted');
        expect(ended.code).toBe(1);
        expect(metric(ended, 'delivery')).toBeGreaterThanOrEqual(0);
        expect(await postfix.delivered(user)).toBe(1);
        return 0;
      }),
    );

    test('robbed of the marker in its text: it is left, for nothing proves it any more', () =>
      sceneWith({ bodyChecks: '/^[0-9a-f]{16}-/ REPLACE [removed]' }, async ({ check, ours }) => {
        const { stdout, code } = await check({ verbose: true });
        expect(stdout).toContain('altered, its text was changed');
        expect(stdout).toContain('not-deleted, a message with our marker in its header has another body, and is left');
        expect(code).toBe(1);
        expect((await ours()).join()).toContain('[removed]');
        return 1;
      }));

    test('doubled', () =>
      sceneWith({ duplicates: true, held: true }, async ({ check, system: postfix }) => {
        const ended = await check(
          {},
          {
            meanwhile: async () => {
              await until('the message is held', async () => (await postfix.queued()) > 0);
              await sleep(1800); // in the middle of the longest pause: both are there when it looks again
              await postfix.release();
            },
          },
        );
        expect(ended.line).toMatch(/^POP3 WARNING - localhost: duplicate, the message arrived 2 times/);
        expect(ended.code).toBe(1);
        expect((await postfix.log()).match(/status=sent .*Saved/g)).toHaveLength(2);
        return 0;
      }));
  });

  describe('deletion', () => {
    test('that is confirmed and does not happen, until it does', () =>
      sceneWith({ deleting: 'ignored' }, async (its) => {
        const { check, ours, system: postfix } = its;
        const first = await check();
        expect(first.line).toMatch(
          /^POP3 WARNING - localhost: not-deleted in verify, after DELE and QUIT a message is/,
        );
        expect(first.code).toBe(1);
        expect(await ours()).toHaveLength(1);
        const second = await check();
        expect(second.line).toContain('not-deleted');
        expect(second.code).toBe(1);
        expect(await ours()).toHaveLength(2);
        await postfix.letDelete();
        const third = await check();
        expect(third.line).toMatch(/^POP3 OK - .*, 2 messages of earlier runs removed/);
        expect(metric(third, 'stale')).toBe(2);
        expect(await ours()).toEqual([]);
        await expectCleanRun(its, 0);
        return 0;
      }));

    test('that is refused, until it is not', () =>
      sceneWith({ deleting: 'refused' }, async (its) => {
        const { check, ours, system: postfix } = its;
        const first = await check({ verbose: true });
        expect(first.stdout).toContain('not-deleted in verify, after DELE and QUIT a message is still there');
        expect(first.stdout).toContain('server said "-ERR [SYS/PERM] Permission denied"');
        expect(first.code).toBe(1);
        expect(await ours()).toHaveLength(1);
        await postfix.letDelete();
        await expectCleanRun(its, 1);
        expect(await ours()).toEqual([]);
        return 0;
      }));
  });

  describe('another client', () => {
    test('may have the mailbox open all the while', () =>
      scene(async ({ system: postfix, user, password, check }) => {
        const other = await logOn(postfix.dovecot.port, user, password);
        expect((await check()).line).toMatch(FINE);
        await other.quit();
        return 0;
      }));

    test('that locks the mailbox for a while is waited for', () =>
      sceneWith(LOCKING, async ({ system: postfix, user, password, check }) => {
        const other = await logOn(postfix.dovecot.port, user, password);
        setTimeout(() => other.quit(), 2000);
        const ended = await check();
        // The logon works after two seconds: that is slow, and no more.
        expect(ended.line).toMatch(/^POP3 OK - /);
        expect(metric(ended, 'time_login')).toBeGreaterThan(1);
        return 0;
      }));

    test('that locks the mailbox for longer: mailbox-in-use, and nothing is sent', () =>
      sceneWith(LOCKING, async ({ system: postfix, user, password, check }) => {
        const other = await logOn(postfix.dovecot.port, user, password);
        const { line, code } = await check({ timeout: '16' });
        expect(line).toMatch(/^POP3 WARNING - localhost: mailbox-in-use, /);
        expect(code).toBe(1);
        expect(await postfix.delivered(user)).toBe(0);
        await other.quit();
        return 0;
      }));

    test('that takes the mailbox while the message is awaited, and returns it', () =>
      sceneWith({ ...LOCKING, held: true }, async ({ system: postfix, user, password, check }) => {
        const ended = await check(
          {},
          {
            meanwhile: async () => {
              await until('the message is held', async () => (await postfix.queued()) === 1);
              await sleep(700); // between two visits
              const other = await logOn(postfix.dovecot.port, user, password);
              await postfix.release();
              await sleep(2000);
              await other.quit();
            },
          },
        );
        expect(ended.line).toMatch(/^POP3 OK - /);
        return 0;
      }));

    test('that takes the mailbox while the message is awaited, and keeps it: the delivery is not to blame', () =>
      sceneWith({ ...LOCKING, held: true }, async (its) => {
        const { system: postfix, user, password, check, ours } = its;
        let giveBack: () => Promise<void> = async () => undefined;
        const ended = await check(
          { timeout: '20' },
          {
            meanwhile: async () => {
              await until('the message is held', async () => (await postfix.queued()) === 1);
              await sleep(700);
              giveBack = (await logOn(postfix.dovecot.port, user, password)).quit;
              await postfix.release();
            },
          },
        );
        expect(ended.line).toMatch(/^POP3 WARNING - localhost: mailbox-in-use, /);
        expect(ended.line).not.toContain('not-delivered');
        expect(await ours()).toHaveLength(1);
        await giveBack();
        const next = await check();
        expect(metric(next, 'stale')).toBe(1);
        expect(metric(next, 'delivery')).toBeGreaterThanOrEqual(0);
        return 0;
      }));

    test('a message that comes while a visit is under way is found by the next one', () =>
      sceneWith({ held: true, config: IN_CLEAR }, async ({ system: postfix, check, ours }) => {
        // The second STAT is that of the first visit that looks for the message.
        const proxy = await startHaltingProxy(postfix.dovecot.port, { says: /^STAT/, time: 2, until: 'answered' });
        const running = check(inClear({ 'port-client-access-server': String(proxy.port) }));
        await proxy.reached(running);
        await postfix.release();
        await until('the message is there', async () => (await ours()).length === 1);
        proxy.resume();
        const ended = await running;
        expect(ended.line).toMatch(FINE);
        expect(metric(ended, 'polls')).toBe(2);
        await proxy.close();
        return 0;
      }));
  });

  test('a POP3 server that goes down while the message is awaited is to blame, not the delivery', () =>
    sceneWith({ held: true }, async ({ system: postfix, check }) => {
      const { line, code } = await check(
        {},
        {
          meanwhile: async () => {
            await until('the message is held', async () => (await postfix.queued()) === 1);
            await sleep(700); // between two visits
            process.kill(-postfix.dovecot.pid, 'SIGKILL');
          },
        },
      );
      expect(line).toMatch(/^POP3 CRITICAL - localhost: connection-refused/);
      expect(line).not.toContain('not-delivered');
      expect(code).toBe(2);
      return 0;
    }));

  test('--split: each run finds what the run before sent', () =>
    scene(async ({ check, ours, system: postfix, user }) => {
      const first = await check({ split: true });
      expect(first.line).toMatch(/^POP3 OK - .*a message is under way to the next run/);
      const seen = new Set<string>();
      for (const run of [1, 2]) {
        await until('the message is there', async () => (await ours()).length === 1);
        seen.add((await ours()).join());
        const next = await check({ split: true, verbose: true });
        expect(next.line, `run ${run}`).toMatch(/^POP3 OK - .* delivery .*, by the mail servers' clocks/);
        expect(next.stdout).toContain('pending 0, lost 0');
        expect(metric(next, 'delivery')).toBeLessThan(5);
      }
      await until('the last message is there', async () => (await postfix.delivered(user)) === 3);
      expect(seen).not.toContain((await ours()).join());
      expect(seen.size).toBe(2);
      return 1;
    }));

  test('--what-if touches nothing', () =>
    scene(async ({ system: postfix, user, folder, options }) => {
      const state = folder.state();
      const { code, stdout, stderr } = await launch(CHECK_POP3, options({ 'what-if': true, 'state-dir': state }), {});
      expect(stdout).toMatch(/^(What if: .*\n){4}$/);
      expect(stdout).toContain(`What if: send a message from ${user} to ${user} through localhost port`);
      expect(stderr).toBe('');
      expect(code).toBe(3);
      expect(readdirSync(state)).toEqual([]);
      expect(await postfix.log()).not.toContain(user);
      expect(await postfix.dovecot.log()).not.toContain(user);
      // Whoever opens a mailbox of Dovecot moves what is new, and makes an index.
      expect(await readdir(join(postfix.dovecot.folder, 'mail', user, 'Maildir', 'cur'))).toEqual([]);
      return 0;
    }));

  test('a message with the whole header of ours and another text is not ours to delete', () =>
    sceneWith({ held: true }, async ({ system: postfix, user, check, ours }) => {
      await check({ timeout: '3' });
      await postfix.release();
      await until('our message is there', async () => (await ours()).length === 1);
      const [genuine] = (await ours()) as readonly [string];
      const [header] = genuine.split(/\r?\n\r?\n/) as [string];
      const copied = `${header.replaceAll(/\r?\n/g, '\r\n')}\r\n\r\nDear probe,\r\nthis is a letter.\r\n`;
      await postfix.dovecot.deliver(copied, user);
      const { stdout, code } = await check({ verbose: true });
      expect(stdout).toContain('not-deleted, a message with our marker in its header has another body, and is left');
      expect(code).toBe(1);
      expect(await ours()).toEqual([copied]);
      return 1;
    }));

  describe('two runs on one mailbox', () => {
    test('of one machine: one waits for the other', () =>
      scene(async ({ check }) => {
        const both = await Promise.all([check(), check()]);
        for (const { line } of both) expect(line).toMatch(FINE);
        for (const each of both) expect(metric(each, 'stale')).toBe(0);
        return 0;
      }));

    test('of two machines with keys of their own', () =>
      scene(async ({ check, folder }) => {
        const both = await Promise.all([check(), check({ 'state-dir': folder.state() })]);
        for (const { line } of both) expect(line).toMatch(FINE);
        for (const each of both) expect(metric(each, 'stale')).toBe(0);
        return 0;
      }));

    test('of two machines with one key', () =>
      scene(async ({ check, folder, user }) => {
        const key = folder.file(`key-${user}`, MARKER_KEY_LINE);
        const both = await Promise.all(
          [0, 1].map(() => check({ 'state-dir': folder.state(), 'marker-key-file': key })),
        );
        for (const { line } of both) expect(line).toMatch(FINE);
        for (const each of both) expect(metric(each, 'stale')).toBe(0);
        return 0;
      }));

    test('of two machines, where one session at a time may have it', () =>
      sceneWith(LOCKING, async ({ check, folder }) => {
        const both = await Promise.all([check(), check({ 'state-dir': folder.state() })]);
        for (const { line } of both) expect(line).toMatch(/^POP3 OK - /);
        return 0;
      }));
  });
});

/** One session at a time has the mailbox. Another one waits for it, 12 s at the most. */
const LOCKING = { dovecotConfig: 'protocol pop3 {\n  pop3_lock_session = yes\n}\n' } as const;

/** Somebody else's session. */
async function logOn(port: number, user: string, password: string): Promise<{ quit(): Promise<void> }> {
  const socket = connect(port, '127.0.0.1', () => socket.write(`USER ${user}\r\nPASS ${password}\r\n`));
  let said = '';
  socket.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  await until('another client is in the mailbox', () => said.includes('+OK Logged in'));
  return {
    async quit() {
      socket.write('QUIT\r\n');
      await until('the other client has left', () => socket.closed);
    },
  };
}

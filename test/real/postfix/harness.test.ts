import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { CURL, fetchFirst, submit } from '../../support/curl.ts';
import { missing } from '../../support/installed.ts';
import { greylisting } from '../../support/policy-server.ts';
import {
  BOUNCING,
  DELAYED,
  POSTFIX,
  type Postfix,
  type PostfixOptions,
  ROOT,
  startPostfix,
} from '../../support/postfix.ts';
import { processesIn } from '../../support/processes.ts';
import { privateFolder } from '../../support/run.ts';

const USER = 'probe@example.com';
const PASSWORD = 'opén: sesame"\\';
const MESSAGE = 'Subject: hello\r\n\r\nfirst line\r\nsecond line\r\n';

describe.skipIf(missing(POSTFIX, ROOT, CURL))('the Postfix of the tests', () => {
  const authorityFile = join(privateFolder().path, 'ca.pem');
  let identity: PostfixOptions['identity'];

  beforeAll(async () => {
    const authority = await createAuthority('Harness Test CA');
    await writeFile(authorityFile, authority.certificate);
    identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
  });

  const logon = () => ({ authorityFile, from: USER, password: PASSWORD });
  const send = ({ port }: Postfix, changes: Partial<Parameters<typeof submit>[0]> = {}) =>
    submit({ ...logon(), port, to: USER, message: MESSAGE, ...changes });
  const start = (options: Partial<PostfixOptions> = {}) =>
    startPostfix({ identity, users: { [USER]: PASSWORD }, ...options });
  const startForThisTest = async (options: Partial<PostfixOptions>) => {
    const postfix = await start(options);
    onTestFinished(postfix.stop);
    return postfix;
  };
  const arrived = ({ dovecot }: Postfix) => expect.poll(() => dovecot.messages(), { timeout: 10_000 });
  const first = ({ dovecot }: Postfix) => fetchFirst({ ...logon(), port: dovecot.tlsPort });

  describe('as it comes', () => {
    let postfix: Postfix;

    beforeAll(async () => {
      postfix = await start();
    });
    afterAll(() => postfix?.stop());

    it.each([false, true])('carries a message into the mailbox (implicit TLS: %s)', async (implicitTls) => {
      const before = await postfix.dovecot.messages();
      const port = implicitTls ? postfix.tlsPort : postfix.port;
      expect(await send(postfix, { port, implicitTls })).toMatch(/^250 2\.0\.0 Ok: queued as/);
      await arrived(postfix).toBe(before + 1);
      expect(await first(postfix)).toContain('first line\r\nsecond line\r\n');
    });

    it.each([
      ['a wrong password', { password: 'wrong' }, /^535 5\.7\.8 /],
      ['a recipient who is not there', { to: 'other@example.com' }, /^550 5\.1\.1 /],
      ['a recipient elsewhere', { to: 'probe@example.org' }, /^554 5\.7\.1 .*Relay access denied/],
    ])('refuses %s', async (_, changes, answer) => {
      expect(await send(postfix, changes)).toMatch(answer);
    });

    it('wants TLS before a password, and a password before a message', async () => {
      const said = await converse(postfix.port, ['EHLO client.example.com', 'AUTH PLAIN AAAA', `MAIL FROM:<${USER}>`]);
      expect(said.match(/^530 5\.7\.0 Must issue a STARTTLS command first/gm)).toHaveLength(2);
    });

    it('treats recipients as it is told', async () => {
      const before = await postfix.dovecot.messages();
      postfix.treat((recipient) => (recipient === USER ? '452 4.2.2 Mailbox full' : 'DUNNO'));
      expect(await send(postfix)).toBe(`452 4.2.2 <${USER}>: Recipient address rejected: Mailbox full`);
      postfix.treat(() => 'DISCARD');
      expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
      expect(await postfix.log()).toContain('triggers DISCARD action');
      expect(await postfix.queued()).toBe(0);
      postfix.treat(() => 'DUNNO');
      expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
      await arrived(postfix).toBe(before + 1); // and not the one before it
    });

    it('greylists', async () => {
      postfix.treat(greylisting(1_000));
      expect(await send(postfix)).toMatch(/^451 4\.7\.1 .*Greylisted/);
      expect(await send(postfix)).toMatch(/^451 4\.7\.1 .*Greylisted/);
      await sleep(1_000);
      expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
      postfix.treat(() => 'DUNNO');
    });

    it('holds mail, and delivers it when told', async () => {
      await expect.poll(() => postfix.queued()).toBe(0);
      const before = await postfix.dovecot.messages();
      postfix.hold();
      expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
      await sleep(500);
      expect([await postfix.dovecot.messages(), await postfix.queued()]).toEqual([before, 1]);
      await postfix.release();
      await arrived(postfix).toBe(before + 1);
      await expect.poll(() => postfix.queued()).toBe(0);
    });
  });

  it('returns to its sender what Dovecot will not have', async () => {
    const postfix = await startForThisTest({});
    expect(await send(postfix, { to: BOUNCING })).toMatch(/^250 2\.0\.0 Ok: queued/);
    await arrived(postfix).toBe(1);
    const report = await first(postfix);
    expect(report).toMatch(/^Return-Path: <>\r\n/);
    expect(report).toContain('\r\nAction: failed\r\nStatus: 5.1.1\r\n');
    expect(report).toContain('Subject: hello');
  });

  it('tells the sender that a message is late', async () => {
    const postfix = await startForThisTest({ delayNotices: true });
    expect(await send(postfix, { to: DELAYED })).toMatch(/^250 2\.0\.0 Ok: queued/);
    await arrived(postfix).toBe(1);
    expect(await first(postfix)).toContain('\r\nAction: delayed\r\n');
    await sleep(2_500); // it tries again, and tells once
    expect([await postfix.dovecot.messages(), await postfix.queued()]).toEqual([1, 1]);
  });

  describe.each(['452 4.2.2', '552 5.2.2'] as const)('with a full mailbox (%s)', (answer) => {
    it('says so at submission', async () => {
      const postfix = await startForThisTest({ quota: { messages: 1, at: 'submission', answer } });
      await postfix.dovecot.deliver(MESSAGE);
      expect(await send(postfix)).toBe(`${answer} <${USER}>: Recipient address rejected: Mailbox is full`);
      expect(await postfix.dovecot.messages()).toBe(1);
    });

    it('learns so at delivery', async () => {
      const postfix = await startForThisTest({ quota: { messages: 1, at: 'delivery', answer } });
      await postfix.dovecot.deliver(MESSAGE);
      expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
      await expect.poll(() => postfix.log()).toContain(`said: ${answer} <${USER}> Quota exceeded`);
      await expect.poll(() => postfix.queued()).toBe(answer.startsWith('4') ? 1 : 0); // no report fits in either
      expect(await postfix.dovecot.messages()).toBe(1);
    });
  });

  it('alters messages on their way, and doubles them', async () => {
    const postfix = await startForThisTest({
      duplicates: true,
      held: true,
      headerChecks: '/^Subject: (.*)/ REPLACE Subject: [list] $1',
      bodyChecks: '/^first/ REPLACE another line\n/^second/ PREPEND a line more',
    });
    expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
    expect(await postfix.dovecot.messages()).toBe(0);
    await postfix.release();
    await arrived(postfix).toBe(2);
    const message = await first(postfix);
    expect(message).toContain('\r\nSubject: [list] hello\r\n');
    expect(message).toContain('\r\n\r\nanother line\r\na line more\r\nsecond line\r\n');
  });

  it.each([
    ['ignored', '+OK Logging out, messages deleted.\r\n'],
    ['refused', '-ERR [SYS/PERM] Permission denied\r\n'],
  ] as const)('has a Dovecot where deleting is %s, until it may', async (deleting, answer) => {
    const postfix = await startForThisTest({ deleting });
    await send(postfix);
    await arrived(postfix).toBe(1);
    const deleteIt = () => converse(postfix.dovecot.port, [`USER ${USER}`, `PASS ${PASSWORD}`, 'RETR 1', 'DELE 1']);
    const said = await deleteIt();
    expect(said).toContain('\r\nfirst line\r\n');
    expect(said).toContain(answer);
    expect(await postfix.dovecot.messages()).toBe(1);
    await postfix.letDelete();
    expect(await deleteIt()).toContain('+OK Logging out, messages deleted.\r\n');
    expect(await postfix.dovecot.messages()).toBe(0);
  });

  it('several run side by side, and stopped ones leave nothing behind', async () => {
    const both = await Promise.all([start(), start()]);
    for (const postfix of both) {
      expect(await send(postfix)).toMatch(/^250 2\.0\.0 Ok: queued/);
      expect((await processesIn(postfix.folder)).length).toBeGreaterThan(3);
    }
    await Promise.all(both.map((postfix) => postfix.stop()));
    for (const postfix of both) {
      for (const { folder, port, tlsPort } of [postfix, postfix.dovecot]) {
        expect(existsSync(folder)).toBe(false);
        expect(await processesIn(folder)).toEqual([]);
        await expect(converse(port, [])).rejects.toThrow('ECONNREFUSED');
        await expect(converse(tlsPort, [])).rejects.toThrow('ECONNREFUSED');
      }
    }
  });

  it('a configuration that Postfix refuses is an error with its reason', async () => {
    await expect(start({ config: 'inet_protocols = ipv5' })).rejects.toThrow('ipv5');
  });
});

/** Says its commands in one go, and QUIT, and returns all that the server said until it hung up. */
function converse(port: number, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${[...commands, 'QUIT'].join('\r\n')}\r\n`));
    let said = '';
    socket.setEncoding('latin1').on('data', (text) => {
      said += text;
    });
    socket.once('error', reject).once('close', () => resolve(said));
  });
}

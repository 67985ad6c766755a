import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { installed, missing, type Program } from '../../support/installed.ts';
import { type RecordingProxy, startRecordingProxy } from '../../support/recording-proxy.ts';

// Nothing of our own logs on here: the server under the other tests is judged by somebody else's client.
const CLIENT: Program = {
  name: 'a client',
  commands: [installed('curl') === null ? 'openssl' : 'curl'],
  install: 'apt-get install curl',
};
const USER = 'alice';
const PASSWORD = 'opén: sesame"\\';
const MESSAGE = 'Subject: hello\r\n\r\n.\r\nThe line above is a dot.\r\n';

describe.skipIf(missing(DOVECOT, CLIENT))('the Dovecot of the tests', () => {
  let folder: string;
  let authorityFile: string;
  let wrongAuthorityFile: string;
  let identity: { certificate: string; key: string };
  let dovecot: Dovecot;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harness-'));
    const authority = await createAuthority('Harness Test CA');
    const stranger = await createAuthority('Somebody Else');
    authorityFile = join(folder, 'ca.pem');
    wrongAuthorityFile = join(folder, 'wrong-ca.pem');
    await writeFile(authorityFile, authority.certificate);
    await writeFile(wrongAuthorityFile, stranger.certificate);
    identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
    dovecot = await startDovecot({ identity, users: { [USER]: PASSWORD, bob: 'secret' } });
  }, 30_000);

  afterAll(async () => {
    await dovecot?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const list = (link: Link, changes: Partial<Visit> = {}) =>
    visit({
      link,
      port: link === 'ssl' ? dovecot.tlsPort : dovecot.port,
      user: USER,
      password: PASSWORD,
      authorityFile,
      ...changes,
    });

  describe.each<Link>(['plaintext', 'stls', 'ssl'])('over %s', (link) => {
    it('lets the right password in', async () => {
      expect(await list(link)).toMatchObject({ loggedOn: true });
    });

    it('refuses a wrong one at once, however often', async () => {
      const startedAt = Date.now();
      for (let attempt = 0; attempt < 3; attempt += 1) {
        expect(await list(link, { password: 'wrong' })).toMatchObject({ loggedOn: false });
      }
      expect(Date.now() - startedAt).toBeLessThan(5_000); // an auth penalty would be 2 + 4 + 8 s
      expect(await dovecot.log()).toContain('Password mismatch');
    });
  });

  it.each<Link>(['stls', 'ssl'])('has a certificate over %s that only its own authority vouches for', async (link) => {
    expect(await list(link, { authorityFile: wrongAuthorityFile })).toMatchObject({
      loggedOn: false,
      said: expect.stringMatching(/certificate/i),
    });
  });

  it('lists what was delivered, in the mailbox it was delivered to', async () => {
    expect(await dovecot.messages('bob')).toBe(0);
    await dovecot.deliver(MESSAGE, 'bob');
    await dovecot.deliver(Buffer.from('Subject: second\r\n\r\n\xff\r\n', 'latin1'), 'bob');
    expect(await dovecot.messages('bob')).toBe(2);
    expect((await list('ssl', { user: 'bob', password: 'secret' })).messages).toEqual([
      `1 ${MESSAGE.length}`,
      `2 ${'Subject: second\r\n\r\n?\r\n'.length}`,
    ]);
    expect(await dovecot.messages('bob')).toBe(2);
    expect((await list('ssl')).messages).toEqual([]);
    expect(await dovecot.log()).toContain('Login: user=<bob>');
  });

  describe('behind the recording proxy', () => {
    let proxy: RecordingProxy;

    beforeAll(async () => {
      proxy = await startRecordingProxy(dovecot.port);
    });
    afterAll(() => proxy?.close());

    // PLAIN and LOGIN are base64, which hides nothing: what they carry is unpacked before we look.
    const inClear = (bytes: Buffer) =>
      [
        bytes,
        ...bytes
          .toString('latin1')
          .split(/\s+/)
          .map((word) => Buffer.from(word, 'base64')),
      ]
        .map((text) => text.toString('utf8'))
        .some((text) => text.includes(PASSWORD));

    it('no password is seen on an STLS session', async () => {
      expect(await list('stls', { port: proxy.port })).toMatchObject({ loggedOn: true });
      expect(proxy.clientBytes.toString('latin1')).toContain('STLS\r\n');
      expect(proxy.serverBytes.toString('latin1')).toMatch(/^\+OK .*\r\n/);
      expect(inClear(proxy.clientBytes)).toBe(false);
    });

    it('and one is seen on a plaintext session, so that the check above can fail', async () => {
      expect(await list('plaintext', { port: proxy.port })).toMatchObject({ loggedOn: true });
      expect(inClear(proxy.clientBytes)).toBe(true);
    });

    it('Dovecot may be shown another address, and then no longer takes loopback for a secured link', async () => {
      const strict = await startDovecot({
        identity,
        users: { [USER]: PASSWORD },
        config: 'disable_plaintext_auth = yes',
      });
      const remote = await startRecordingProxy(strict.port, { from: '127.0.0.2' });
      try {
        expect(await list('plaintext', { port: strict.port })).toMatchObject({ loggedOn: true });
        expect(await list('plaintext', { port: remote.port })).toMatchObject({ loggedOn: false });
        expect(await list('stls', { port: remote.port })).toMatchObject({ loggedOn: true });
      } finally {
        await remote.close();
        await strict.stop();
      }
    });
  });

  it('several run side by side, and a stopped one leaves nothing behind', async () => {
    const other = await startDovecot({ identity, users: { [USER]: 'different' }, mechanisms: ['plain', 'cram-md5'] });
    try {
      expect(await list('ssl', { port: other.tlsPort, password: 'different' })).toMatchObject({ loggedOn: true });
      expect(await list('ssl')).toMatchObject({ loggedOn: true });
      expect(await processesNaming(basename(other.folder))).toContain(String(other.pid));
    } finally {
      await other.stop();
    }
    expect(existsSync(other.folder)).toBe(false);
    expect(await processesNaming(basename(other.folder))).toEqual([]);
    await expect(greetingOf(other.port)).rejects.toThrow('ECONNREFUSED');
  });

  it('a configuration that Dovecot refuses is an error with its reason', async () => {
    await expect(startDovecot({ identity, users: { [USER]: PASSWORD }, config: 'no_such = x' })).rejects.toThrow(
      'Unknown setting: no_such',
    );
  });
});

type Link = 'plaintext' | 'stls' | 'ssl';
type Visit = {
  readonly link: Link;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly authorityFile: string;
};
type Visited = { readonly loggedOn: boolean; readonly messages: readonly string[]; readonly said: string };

function visit(plan: Visit): Promise<Visited> {
  return installed('curl') === null ? visitWithOpenssl(plan) : visitWithCurl(plan);
}

async function visitWithCurl(plan: Visit): Promise<Visited> {
  const quoted = `${plan.user}:${plan.password}`.replace(/["\\]/g, '\\$&');
  const { exitCode, output } = await run(
    'curl',
    [
      ...['--config', '-', '--silent', '--show-error', '--max-time', '10', '--cacert', plan.authorityFile],
      ...(plan.link === 'stls' ? ['--ssl-reqd'] : []),
      `${plan.link === 'ssl' ? 'pop3s' : 'pop3'}://127.0.0.1:${plan.port}/`,
    ],
    `user = "${quoted}"\n`,
  );
  return { loggedOn: exitCode === 0, messages: listed(output), said: output };
}

async function visitWithOpenssl(plan: Visit): Promise<Visited> {
  const commands = `USER ${plan.user}\r\nPASS ${plan.password}\r\nLIST\r\nQUIT\r\n`;
  const starttls = plan.link === 'stls' ? ['-starttls', 'pop3'] : [];
  const verified = ['-CAfile', plan.authorityFile, '-verify_return_error', '-verify_ip', '127.0.0.1'];
  const output =
    plan.link === 'plaintext'
      ? await greetingOf(plan.port, commands)
      : (
          await run(
            'openssl',
            ['s_client', '-quiet', ...starttls, ...verified, '-connect', `127.0.0.1:${plan.port}`],
            commands,
          )
        ).output;
  return { loggedOn: output.includes('+OK Logged in.'), messages: listed(output), said: output };
}

function listed(output: string): readonly string[] {
  return output.split(/\r?\n/).filter((text) => /^\d+ \d+$/.test(text));
}

/** Says its commands in one go and returns all that the server said until it hung up. */
function greetingOf(port: number, commands = 'QUIT\r\n'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(commands));
    let said = '';
    socket.setEncoding('latin1').on('data', (text) => {
      said += text;
    });
    socket.once('error', reject).once('close', () => resolve(said));
  });
}

async function processesNaming(text: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')));
  return pids.filter((_, index) => lines[index]?.includes(text));
}

function run(command: string, args: readonly string[], input: string): Promise<{ exitCode: unknown; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { encoding: 'utf8', timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : error.code, output: stdout + stderr });
    });
    child.stdin?.on('error', () => {}); // it ended without reading: its exit code tells
    child.stdin?.end(input);
  });
}

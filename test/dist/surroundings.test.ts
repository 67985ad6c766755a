import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { CHECK_POP3, launch, run } from '../support/run.ts';
import { withSandbox } from '../support/sandboxed.ts';

const { folder, password, passwordFile, wrongFile, caFile, logon: to } = withSandbox();
const logon = (file: string): readonly string[] => [...to(undefined, file), '--ca-file', caFile];

describe('surroundings change no verdict:', () => {
  test.each<[string, Readonly<Record<string, string | undefined>>]>([
    ['no HOME', { HOME: undefined }],
    ['a HOME that is not there', { HOME: '/nowhere' }],
    ['no PATH but the one to Node', { PATH: process.execPath.replace(/\/node$/, '') }],
    ['NODE_TLS_REJECT_UNAUTHORIZED', { NODE_TLS_REJECT_UNAUTHORIZED: '0' }],
    ['NODE_OPTIONS that trace', { NODE_OPTIONS: '--trace-warnings --trace-deprecation --enable-source-maps' }],
    ['NODE_OPTIONS that let anything pass', { NODE_OPTIONS: '--unhandled-rejections=none --tls-min-v1.0' }],
    ['NODE_DEBUG', { NODE_DEBUG: 'undefined-module' }],
    ['a locale that is not UTF-8', { LANG: 'de_DE.ISO-8859-1', LC_ALL: 'de_DE.ISO-8859-1' }],
    ['a Turkish locale', { LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' }],
    ['a proxy for the web', { HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9' }],
    ['a time zone far away', { TZ: 'Pacific/Kiritimati' }],
    ['another CA bundle of OpenSSL', { SSL_CERT_FILE: '/nowhere/bundle.pem', SSL_CERT_DIR: '/nowhere' }],
  ])('%s', async (_, env) => {
    expect(await run(CHECK_POP3, logon(passwordFile), { env })).toMatchObject({ code: 0 });
    expect(await run(CHECK_POP3, logon(wrongFile), { env })).toMatchObject({ code: 2 });
    const untrusting = logon(passwordFile).filter((argument) => argument !== '--ca-file' && argument !== caFile);
    expect((await run(CHECK_POP3, untrusting, { env })).line).toContain('certificate-untrusted');
  });

  test('a folder that is gone', async () => {
    const { code } = await launch(
      '/bin/sh',
      [
        '-c',
        'cd "$1" && rmdir "$1" && shift && exec "$@"',
        'sh',
        mkdtempSync(join(folder.path, 'gone-')),
        CHECK_POP3,
        ...logon(passwordFile),
      ],
      {},
    );
    expect(code).toBe(0);
  });

  test.each([
    ['a closed output', '>&-'],
    ['an output whose reader has gone', '| true'],
    ['a full disk', '> /dev/full'],
    ['an output nobody reads for a while', '| (sleep 1; cat > /dev/null)'],
  ])('%s', async (_, redirection) => {
    const codeFile = folder.file('code', '');
    await launch(
      '/bin/sh',
      ['-c', `{ "$@"; echo "$?" > ${codeFile}; } ${redirection}`, 'sh', CHECK_POP3, ...logon(wrongFile)],
      {},
    );
    expect(readFileSync(codeFile, 'utf8')).toBe('2\n');
  });
});

describe('what is in the way ends as a verdict, not as a hang', () => {
  test('a pipe that nobody reads, full of a long report', async () => {
    const names = Array.from({ length: 1500 }, (_, at) => `host-${at}.department-of-names.example.com`);
    const server = await startSandbox({ password, names: ['localhost', ...names] });
    const argv = [...logon(passwordFile), '-p', String(server.pop3sPort), '-S', '--trust-any-ssl-certificate', '-vv'];
    const child = spawn(
      CHECK_POP3,
      argv.filter((argument) => argument !== '--ca-file' && argument !== caFile),
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    child.stdout.pause();
    const [code] = await Promise.race([once(child, 'exit'), sleep(8000).then(() => ['still there'])]);
    child.kill('SIGKILL');
    await server.close();
    expect(code).toBe(1);
  });

  test('a named pipe in the place of the CA bundle', async () => {
    const pipe = join(folder.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const argv = logon(passwordFile).filter((argument) => argument !== '--ca-file' && argument !== caFile);
    const { line, tookMs } = await run(CHECK_POP3, argv, { env: { SSL_CERT_FILE: pipe } });
    expect(line).toContain('certificate-untrusted');
    expect(tookMs).toBeLessThan(5000);
  });

  test('a damaged certificate in the CA bundle: the others are trusted all the same', async () => {
    const good = readFileSync(caFile, 'utf8');
    const damaged = good.replace(/\n[A-Za-z0-9+/]{64}\n/, `\n${'A'.repeat(64)}\n`);
    const bundle = folder.file('bundle.pem', damaged + good);
    const argv = logon(passwordFile).filter((argument) => argument !== '--ca-file' && argument !== caFile);
    expect(await run(CHECK_POP3, argv, { env: { SSL_CERT_FILE: bundle } })).toMatchObject({ code: 0 });
  });

  test('standard input that cannot be read', async () => {
    const argv = ['-H', 'localhost', '-u', 'probe', '--password-stdin', '--light-mode'];
    const { code, stdout } = await launch(
      '/bin/sh',
      ['-c', `exec "$@" 0> ${folder.file('in', '')}`, 'sh', CHECK_POP3, ...argv],
      {},
    );
    expect(stdout).toContain('UNKNOWN - configuration, standard input cannot be read (EBADF)');
    expect(code).toBe(3);
  });

  test('help in a folder that is gone', async () => {
    const gone = mkdtempSync(join(folder.path, 'gone-'));
    const { stdout } = await launch(
      '/bin/sh',
      ['-c', 'cd "$1" && rmdir "$1" && shift && exec "$@"', 'sh', gone, CHECK_POP3, '--help'],
      {},
    );
    expect(stdout).toContain('Usage: check_pop3');
  });

  test.each([16, 18, 20, 21, 22, 24, 64])('no more than %i open files', async (limit) => {
    // In a process group of its own: what goes wrong here once ended the whole group.
    const script = `ulimit -n ${limit}; "$@"; echo "alive $?"`;
    const argv = [
      '-H',
      'localhost',
      '-p',
      '1',
      '-u',
      'probe',
      '--password-file',
      passwordFile,
      '--light-mode',
      '-t',
      '2',
    ];
    const { stdout } = await launch('setsid', ['-w', 'bash', '-c', script, 'bash', CHECK_POP3, ...argv], {});
    expect(stdout).toContain('alive');
    // With the fewest Node itself does not start, and we have no say.
    if (limit === 64 || stdout.startsWith('POP3 '))
      expect(stdout).toMatch(/^POP3 (UNKNOWN|CRITICAL) - [^\n]*\nalive [23]\n$/);
  });
});

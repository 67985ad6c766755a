import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { CHECK_POP3, keepSecret, launch, privateFolder, run } from '../support/run.ts';

const PASSWORD = keepSecret('correct-horse-battery-staple');
const folder = privateFolder();
const passwordFile = folder.file('password', PASSWORD);
const wrongFile = folder.file('wrong', keepSecret('wrong-horse-battery-staple'));
const caFile = join(folder.path, 'ca.pem');
let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await startSandbox({ password: PASSWORD });
  writeFileSync(caFile, sandbox.caCertificate);
});
afterAll(() => sandbox.close());

const logon = (password: string): readonly string[] => [
  ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(sandbox.pop3Port), '-u', 'probe@example.com'],
  ...['--password-file', password, '--light-mode', '--ca-file', caFile],
];

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

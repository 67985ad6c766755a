import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { bytes, sandboxed } from './client.ts';

// Somebody else's POP3 client is the judge of ours; where none is installed the tests are shown as skipped.

const MESSAGE = bytes('Subject: hello', '', '.', '.dot', 'end');

const run = promisify(execFile);
const curl = / pop3s? /.test(String(spawnSync('curl', ['--version']).stdout));
const python = spawnSync('python3', ['-c', 'import poplib, ssl, smtplib']).status === 0;

async function caFile({ caCertificate }: Sandbox): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'clients-test-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, 'ca.pem'), caCertificate);
  return join(directory, 'ca.pem');
}

test.skipIf(!curl).each([
  ['STLS and SASL', 'pop3', ['--ssl-reqd']],
  ['STLS, SASL and an initial response', 'pop3', ['--ssl-reqd', '--sasl-ir']],
  ['implicit TLS', 'pop3s', []],
])('curl reads a message by %s (skipped without curl)', async (_, scheme, options) => {
  const sandbox = await sandboxed({ messages: [MESSAGE] });
  const port = scheme === 'pop3' ? sandbox.pop3Port : sandbox.pop3sPort;
  const login = `${sandbox.user}:${sandbox.password}`;
  const common = ['-sS', '-q', '--noproxy', '*', '--max-time', '5', '--cacert', await caFile(sandbox), '-u', login];
  const { stdout } = await run('curl', [...common, ...options, `${scheme}://127.0.0.1:${port}/1`]);
  expect(stdout).toBe(Buffer.from(MESSAGE).toString());
  expect(sandbox.receivedInTheClear).toEqual(scheme === 'pop3' ? ['CAPA', 'STLS'] : []);
});

const SCRIPT = `
import json, poplib, smtplib, ssl, sys
told = json.load(sys.stdin)
context = ssl.create_default_context(cafile=told['ca'])
with smtplib.SMTP('localhost', told['smtp'], timeout=5) as smtp:
    smtp.starttls(context=context)
    smtp.login(told['user'], told['password'])
    smtp.sendmail('monitor@example.com', [told['user']], b'Subject: by smtplib\\r\\n\\r\\n.dot\\r\\n')
def log_in(pop):
    pop.user(told['user'])
    pop.pass_(told['password'])
    return pop
pop = poplib.POP3('127.0.0.1', told['pop3'], timeout=5)
capabilities = sorted(pop.capa())
pop.host = 'localhost'
pop.stls(context)
log_in(pop)
lines = [line.decode() for line in pop.retr(2)[1]]
count = pop.stat()[0]
pop.dele(2)
pop.quit()
pop = log_in(poplib.POP3_SSL('localhost', told['pop3s'], timeout=5, context=context))
print(json.dumps({'capabilities': capabilities, 'count': count, 'tail': lines[-3:], 'left': pop.stat()[0]}))
pop.quit()
`;

test.skipIf(!python)(
  'python sends, reads and deletes by STLS and by implicit TLS (skipped without python3)',
  async () => {
    const sandbox = await sandboxed({ messages: [MESSAGE] });
    const { user, password, pop3Port, pop3sPort, smtpPort } = sandbox;
    const running = run('python3', ['-c', SCRIPT]);
    running.child.stdin?.end(
      JSON.stringify({ user, password, pop3: pop3Port, pop3s: pop3sPort, smtp: smtpPort, ca: await caFile(sandbox) }),
    );
    expect(JSON.parse((await running).stdout)).toEqual({
      capabilities: ['AUTH-RESP-CODE', 'IMPLEMENTATION', 'RESP-CODES', 'SASL', 'STLS', 'TOP', 'UIDL', 'USER'],
      count: 2,
      tail: ['Subject: by smtplib', '', '.dot'],
      left: 1,
    });
  },
);

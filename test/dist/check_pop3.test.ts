import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { CHECK_POP3, type Circumstances, type Ended, keepSecret, launch, privateFolder, run } from '../support/run.ts';

const PASSWORD = keepSecret('correct-horse-battery-staple');
const WRONG = keepSecret('wrong-horse-battery-staple');
const folder = privateFolder();
const passwordFile = folder.file('password', `${PASSWORD}\n`);
const wrongFile = folder.file('wrong', `${WRONG}\n`);
const caFile = join(folder.path, 'ca.pem');
const sandboxes: Sandbox[] = [];

async function sandbox(options: Parameters<typeof startSandbox>[0] = {}): Promise<Sandbox> {
  const started = await startSandbox({ password: PASSWORD, ...options });
  sandboxes.push(started);
  return started;
}

let healthy: Sandbox;
beforeAll(async () => {
  healthy = await sandbox();
  writeFileSync(caFile, healthy.caCertificate);
});
afterAll(async () => {
  await Promise.all(sandboxes.map((each) => each.close()));
});

const check = (argv: readonly string[], circumstances?: Circumstances): Promise<Ended> =>
  run(CHECK_POP3, argv, circumstances);
const logon = (port: number, password = passwordFile): readonly string[] => [
  ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(port), '-u', 'probe@example.com'],
  ...['--password-file', password, '--light-mode'],
];
const trusting = (): readonly string[] => ['--ca-file', caFile];

describe('a healthy server', () => {
  test('lets us on over STLS, and the line tells it', async () => {
    const { code, line } = await check([...logon(healthy.pop3Port), ...trusting()]);
    expect(line).toMatch(
      /^POP3 OK - localhost: logon \d+ ms, login \d+ ms, 0 messages, certificate expires in 89 days \| time=\d+\.\d{3}s;;;0 /,
    );
    expect(line).toContain(' certificate=89;21:;7:');
    expect(code).toBe(0);
  });

  test('lets us on over implicit TLS', async () => {
    const { code, line } = await check([...logon(healthy.pop3sPort), '-S', ...trusting()]);
    expect(line).toContain('time_tls=');
    expect(line).not.toContain('time_stls=');
    expect(code).toBe(0);
  });

  test.each([
    ['USER and PASS', 'user', ['USER probe@example.com', `PASS ${PASSWORD}`]],
    ['SASL PLAIN', 'plain', [`AUTH PLAIN ${Buffer.from(`\0probe@example.com\0${PASSWORD}`).toString('base64')}`]],
  ])('lets us on in the clear by request, by %s', async (_, method, heard) => {
    const server = await sandbox();
    const { code } = await check([...logon(server.pop3Port), '--connection-type', 'plaintext', '--auth', method]);
    expect(code).toBe(0);
    expect(server.received).toEqual(['CAPA', ...heard, 'STAT', 'QUIT']);
  });

  test('refuses a wrong password once, and is not asked again', async () => {
    const server = await sandbox();
    const { code, line } = await check([...logon(server.pop3Port, wrongFile), '--connection-type', 'plaintext']);
    expect(line).toContain(
      'login-refused, server said "-ERR [AUTH] Authentication failed." - check the user name and password of probe@example.com',
    );
    expect(code).toBe(2);
    expect(server.received.filter((line) => line.startsWith('PASS'))).toHaveLength(1);
    expect(server.received).not.toContain('QUIT');
  });

  test('by STLS nobody sees who we are in the clear', async () => {
    const server = await sandbox();
    await check([...logon(server.pop3Port), '--trust-any-ssl-certificate']);
    expect(server.receivedInTheClear).toEqual(['CAPA', 'STLS']);
    expect(server.received).toContain(`PASS ${PASSWORD}`);
  });

  test('is timed against thresholds, critical before warning', async () => {
    const plain = [...logon(healthy.pop3Port), '--connection-type', 'plaintext'];
    expect((await check([...plain, '-w', '10', '-c', '20'])).code).toBe(0);
    expect(await check([...plain, '-w', '@0:20', '-c', '30'])).toMatchObject({ code: 1 });
    const both = await check([...plain, '-w', '@0:20', '-c', '@0:20']);
    expect(both.line).toMatch(
      /^POP3 CRITICAL - localhost: logon \d+ ms \(critical from 0 to 20\) \| time=\S+;@0:20;@0:20;0 /,
    );
    expect(await check([...plain, '-w', 'messages=1:'])).toMatchObject({ code: 1 });
  });
});

describe('more lines on request', () => {
  test.each([
    ['-v', ['connection: 127.0.0.1 port', 'phases: connect'], ['capabilities:', 'conversation:']],
    ['-vv', ['capabilities: TOP', 'user: probe@example.com'], ['conversation:']],
    ['-vvv', ['C PASS ****', 'S +OK', '* TLSv1.3'], [PASSWORD]],
  ])('%s', async (verbosity, present, absent) => {
    const { stdout } = await check([...logon(healthy.pop3Port), ...trusting(), verbosity]);
    for (const text of present) expect(stdout).toContain(text);
    for (const text of absent) expect(stdout).not.toContain(text);
  });

  test('a password that the server echoes is stars, in clear and in base 64', async () => {
    const server = await sandbox({ faults: ['echo-password'] });
    for (const method of ['user', 'plain']) {
      const argv = [...logon(server.pop3Port), '--connection-type', 'plaintext', '--auth', method, '-vvv'];
      const { stdout } = await check(argv); // run() has searched it for the password
      expect(stdout).toMatch(/S -ERR .*\*\*\*\*/);
    }
  });
});

describe('a certificate', () => {
  test('of an authority we do not know is refused before we say who we are', async () => {
    const server = await sandbox();
    const { code, line } = await check(logon(server.pop3Port));
    expect(line).toContain('certificate-untrusted, ');
    expect(code).toBe(2);
    expect(server.received).toEqual(['CAPA', 'STLS']);
  });

  test('for another host is refused, and the line names those it is for', async () => {
    const [, , ...rest] = logon(healthy.pop3Port);
    const argv = ['-H', 'pop.example.com', ...rest, ...trusting()];
    const { line } = await check(argv);
    expect(line).toContain('certificate-wrong-host, the certificate is for localhost, mail.example.com');
  });

  test('trusted by request is a warning', async () => {
    const { code, line } = await check([...logon(healthy.pop3Port), '--trust-any-ssl-certificate']);
    expect(line).toMatch(/^POP3 WARNING - localhost: certificate-untrusted, /);
    expect(code).toBe(1);
  });

  test('is judged though NODE_TLS_REJECT_UNAUTHORIZED says otherwise', async () => {
    const { line } = await check(logon(healthy.pop3Port), { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } });
    expect(line).toContain('certificate-untrusted');
  });
});

describe('bad input touches no network, and one line names the option', () => {
  const WHOLE = ['-H', 'localhost', '-u', 'probe@example.com', '--password-file', passwordFile, '--light-mode'];
  const without = (option: string, values = 1): string[] => {
    const at = WHOLE.indexOf(option);
    return WHOLE.filter((_, index) => index < at || index > at + values);
  };
  test.each<[string, readonly string[], string]>([
    ['an unknown option', [...WHOLE, '--prot', '110'], 'there is no option --prot'],
    ['an unknown option that holds a secret', [...WHOLE, `--pasword=${PASSWORD}`], 'there is no option --pasword -'],
    ['an unknown short option', [...WHOLE, '-x'], 'there is no option -x'],
    ['no server', without('-H'), '--client-access-server HOST (-H)'],
    ['no user', without('-u'), '--mailbox-credential USER (-u)'],
    ['no password', without('--password-file'), '--password-file'],
    [
      'nobody to send to',
      ['-u', 'probe', ...without('-u').filter((word) => word !== '--light-mode')],
      '--mail-to ADDRESS',
    ],
    ['no --light-mode, and nobody to send to', ['-u', 'probe', ...without('-u').slice(0, -1)], 'or --light-mode'],
    ['a recipient that is none', [...WHOLE.slice(0, -1), '--mail-to', 'probe'], '--mail-to takes an address'],
    ['a token for Graph', [...WHOLE.slice(0, -1), '--send-via', 'graph'], '--oauth-token-file'],
    ['two tests', [...WHOLE, '--full-test'], '--light-mode and --full-test contradict'],
    ['a port out of range', [...WHOLE, '-p', '70000'], 'a whole number from 0 to 65535, not "70000"'],
    ['a port in words', [...WHOLE, '-p', 'pop3'], '--port-client-access-server takes'],
    ['a port with the host', ['-H', 'localhost:110', ...without('-H')], 'the port goes with -p'],
    ['no time at all', [...WHOLE, '-t', '0'], '--timeout takes seconds above 0, up to 3600'],
    ['more time than there is', [...WHOLE, '--per-connection-timeout', '121'], 'up to 120'],
    [
      'an unknown connection type',
      [...WHOLE, '--connection-type', 'starttls'],
      'takes plaintext, tls, ssl, not "starttls"',
    ],
    ['an unknown method', [...WHOLE, '--auth', 'telepathy'], '--auth takes auto, user, apop, '],
    ['a method that is not there yet', [...WHOLE, '--auth', 'gssapi'], '--auth gssapi is not there yet; there is auto'],
    ['a threshold that is none', [...WHOLE, '-w', '5-10'], '--warning takes [METRIC=]RANGE'],
    ['a threshold on nothing', [...WHOLE, '-c', 'temperature=5'], 'there is no metric "temperature"'],
    ['an option without its value', [...WHOLE, '-c'], '--critical takes [METRIC=]RANGE'],
    ['a missing CA file', [...WHOLE, '--ca-file', '/nowhere/ca.pem'], '--ca-file /nowhere/ca.pem: no such file'],
    ['a CA file without certificates', [...WHOLE, '--ca-file', passwordFile], 'no certificate in PEM'],
    ['a missing password file', [...without('--password-file'), '--password-file', '/nowhere/pw'], 'no such file'],
    [
      'a folder for a password file',
      [...without('--password-file'), '--password-file', folder.path],
      'not a regular file',
    ],
    ['two passwords', [...WHOLE, '--password-env', 'HOME'], '--password-file and --password-env contradict'],
    ['-4 and -6', [...WHOLE, '-4', '-6'], '--ipv4 and --ipv6 contradict'],
    ['-S and STLS', [...WHOLE, '-S', '--connection-type', 'tls'], '-S and --connection-type tls contradict'],
    [
      '--ca-file in the clear',
      [...WHOLE, '--connection-type', 'plaintext', '--ca-file', 'x'],
      '--ca-file has no meaning',
    ],
    ['a stray word', [...WHOLE, PASSWORD], 'belongs to no option'],
  ])('%s', async (_, argv, expected) => {
    const { code, line, tookMs } = await check(argv);
    expect(line).toContain(expected);
    expect(line).toMatch(/^POP3 UNKNOWN - (usage|configuration), /);
    expect(line).not.toContain('|');
    expect(code).toBe(3);
    expect(tookMs).toBeLessThan(5000);
  });

  test('a password file that everyone may read', async () => {
    const open = folder.file('open', PASSWORD);
    chmodSync(open, 0o644);
    const { line } = await check(['-H', 'localhost', '-u', 'probe', '--password-file', open, '--light-mode']);
    expect(line).toContain('everyone may read it (chmod o-r)');
  });

  test('help and version exit as UNKNOWN, in 80 columns', async () => {
    const help = await check(['--help']);
    expect(help.code).toBe(3);
    expect(help.stdout).toContain('Examples:');
    expect(Math.max(...help.stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(await check(['-V'])).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^check_pop3 v\d+\.\d+\.\d+ \(pop-connectivity /),
    });
  });
});

describe('where a password may come from', () => {
  const start = (): string[] => [
    '-H',
    'localhost',
    '-p',
    String(healthy.pop3Port),
    '--connection-type',
    'plaintext',
    '--light-mode',
  ];
  test.each<[string, () => readonly string[], Circumstances]>([
    ['standard input', () => ['-u', 'probe@example.com', '--password-stdin'], { stdin: `${PASSWORD}\n` }],
    ['the environment', () => ['-u', 'probe@example.com', '--password-env', 'POP3_PW'], { env: { POP3_PW: PASSWORD } }],
    ['a file with the user name', () => ['-u', `@${folder.file('cred', `probe@example.com\r\n${PASSWORD}\r\n`)}`], {}],
  ])('%s', async (_, argv, circumstances) => {
    expect(await check([...start(), ...argv()], circumstances)).toMatchObject({ code: 0 });
  });

  test('the command line, which is remarked on', async () => {
    const { code, line } = await check([...start(), '-u', 'probe@example.com', '--password', PASSWORD]);
    expect(line).toContain('(a password on the command line is seen by everyone on this machine)');
    expect(code).toBe(0);
  });
});

describe('the file itself', () => {
  test.each([
    ['renamed, without an extension', 'pop3-logon', null],
    ['below a package.json of type module', 'check_pop3', 'module'],
    ['below a package.json of type commonjs', 'check_pop3', 'commonjs'],
    ['as .js below type module', 'check.js', 'module'],
    ['as .mjs', 'check.mjs', null],
    ['as .cjs', 'check.cjs', 'module'],
  ])('runs %s', async (title, name, type) => {
    const home = join(folder.path, title.replace(/\W+/g, '-'));
    mkdirSync(home);
    if (type !== null) writeFileSync(join(home, 'package.json'), JSON.stringify({ type }));
    const copy = join(home, name);
    copyFileSync(CHECK_POP3, copy);
    chmodSync(copy, 0o755);
    const argv = [...logon(healthy.pop3Port), ...trusting()];
    expect(await run(copy, argv, { cwd: '/' })).toMatchObject({ code: 0 });
    expect((await run(copy, ['--help'])).stdout).toContain('Usage:');
  });

  test('with its output closed still ends with its code', async () => {
    const { code } = await launch(
      '/bin/sh',
      ['-c', `exec "$@" >&-`, 'sh', CHECK_POP3, ...logon(healthy.pop3Port, wrongFile), ...trusting()],
      {},
    );
    expect(code).toBe(2);
  });

  test('without HOME, with a foreign locale and a small environment changes no verdict', async () => {
    const env = { HOME: undefined, LANG: 'de_DE.ISO-8859-1', LC_ALL: 'tr_TR.ISO-8859-9' };
    expect(await check([...logon(healthy.pop3Port), ...trusting()], { env })).toMatchObject({ code: 0 });
  });
});

describe('time', () => {
  const silent: Server[] = [];
  afterAll(() => {
    for (const server of silent) server.close();
  });

  test('a server that never greets is given up at the deadline', async () => {
    const server = await sandbox({ faults: ['never-greet'] });
    const { code, line, tookMs } = await check([...logon(server.pop3Port), '-t', '1']);
    // On a busy machine some of that second is gone before the server is reached.
    expect(line).toMatch(/timed-out in greeting, no greeting within (1|0\.\d) s/);
    expect(code).toBe(2);
    expect(tookMs).toBeGreaterThan(1000);
    expect(tookMs).toBeLessThan(3000);
  });

  test('a server that drips does not move the deadline', async () => {
    const server = await sandbox({ faults: ['drip'], timing: { dripMs: 100 } });
    const { code, line, tookMs } = await check([...logon(server.pop3Port), '-t', '1']);
    expect(line).toContain('timed-out in greeting');
    expect(code).toBe(2);
    expect(tookMs).toBeLessThan(3000);
  });

  test('a password that nobody types on standard input is not waited for for ever', async () => {
    const argv = ['-H', 'localhost', '-u', 'probe', '--password-stdin', '--light-mode', '-t', '1'];
    const { line, tookMs } = await check(argv, { stdin: 'stays open' });
    expect(line).toContain('standard input did not end within 1 s');
    expect(tookMs).toBeLessThan(3000);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it within a second, as UNKNOWN, with one line', async (signal) => {
    const server = createServer().listen(0, '127.0.0.1');
    silent.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    let sentAt = 0;
    const accepted = new Promise((resolve) => server.once('connection', resolve));
    const { port } = server.address() as { port: number };
    const ended = await check(logon(port), {
      meanwhile: (child) => {
        void accepted.then(() => {
          sentAt = performance.now();
          child.kill(signal);
        });
      },
    });
    expect(performance.now() - sentAt).toBeLessThan(1000);
    expect(ended.line).toMatch(new RegExp(`^POP3 UNKNOWN - localhost: interrupted in \\w+, ended by ${signal} - `));
    expect(ended.code).toBe(3);
  });
});

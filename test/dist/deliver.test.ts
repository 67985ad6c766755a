import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECK_POP3, type Ended, launch, TEST_POP_CONNECTIVITY } from '../support/run.ts';
import { withSandbox } from '../support/sandboxed.ts';
import { until } from '../support/until.ts';

const { server, folder, passwordFile, wrongFile, caFile, logon, password } = withSandbox();

/** An external command file, with nobody who reads it until somebody does. */
function commandFile(): { readonly path: string; readonly read: () => readonly string[] } {
  const path = join(folder.state(), 'nagios.cmd');
  execFileSync('mkfifo', ['-m', '600', path]);
  let reader: number | null = null;
  afterAll(() => {
    if (reader !== null) closeSync(reader);
  });
  return {
    path,
    read() {
      reader ??= openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      const octets = Buffer.alloc(1 << 16);
      try {
        return octets
          .toString('utf8', 0, readSync(reader, octets))
          .split('\n')
          .filter((line) => line !== '');
      } catch {
        return []; // nothing in it
      }
    },
  };
}

const good = (): readonly string[] => [...logon(), '--ca-file', caFile];
const bad = (): readonly string[] => [...logon(server().pop3Port, wrongFile), '--ca-file', caFile];

/** What a command says to Nagios: service and state. */
const commands = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => {
    const [, host, service, state] =
      /^\[\d+\] PROCESS_SERVICE_CHECK_RESULT;([^;]*);([^;]*);(\d);POP3 /.exec(line) ?? [];
    return `${host}!${service} ${state}`;
  });

const check = (argv: readonly string[], more: Parameters<typeof launch>[2] = {}): Promise<Ended> =>
  launch(CHECK_POP3, argv, more);

/** A server that takes connections and says nothing. */
let silent: Server;
const connections: { destroy: () => void }[] = [];
beforeAll(async () => {
  silent = createServer((socket) => connections.push(socket.on('error', () => undefined)));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
});
afterAll(() => {
  for (const each of connections) each.destroy();
  silent.close();
});
const silentPlace = (): string => `zabbix:127.0.0.1:${(silent.address() as AddressInfo).port}`;

describe('a result is handed to a platform', () => {
  it('after the verdict, in a line of its own', async () => {
    const nagios = commandFile();
    nagios.read();
    const { stdout, stderr, code } = await check([
      ...[...good(), '--deliver', `nagios:${nagios.path}`, '--state-dir', folder.state()],
      ...['--deliver-host', 'mail1', '--deliver-service', 'POP3 logon'],
    ]);
    const [verdict = '', delivery, ...rest] = stdout.split('\n');
    expect(verdict).toMatch(/^POP3 OK - localhost: logon .*\| time=/);
    expect(delivery).toBe(`DELIVERY OK - nagios ${nagios.path}: 1 result delivered`);
    expect([rest, stderr, code]).toEqual([[''], '', 0]);
    const [command = ''] = nagios.read();
    expect(command).toMatch(/^\[\d{10}\] PROCESS_SERVICE_CHECK_RESULT;mail1;POP3 logon;0;/);
    expect(command.replace(/^\[\d+\] [^;]*;mail1;POP3 logon;0;/, '')).toBe(verdict);
  });

  it('for the server as it was given and the service POP3, if nothing else is said', async () => {
    const nagios = commandFile();
    nagios.read();
    await check([...good(), '--deliver', `nagios:${nagios.path}`, '--state-dir', folder.state()]);
    expect(commands(nagios.read())).toEqual(['localhost!POP3 0']);
  });

  it('and a platform that keeps quiet does not hold up the verdict', async () => {
    const argv = [...good(), '--deliver', silentPlace(), '--deliver-timeout', '3', '--state-dir', folder.state()];
    const came: { text: string; atMs: number }[] = [];
    const began = performance.now();
    const { stdout, code, tookMs } = await check(argv, {
      meanwhile: (child) =>
        child.stdout?.on('data', (text) => came.push({ text: String(text), atMs: performance.now() - began })),
    });
    expect(came[0]?.text).toMatch(/^POP3 OK - .*\n$/);
    expect(came[0]?.atMs).toBeLessThan(2900);
    expect(tookMs).toBeGreaterThan(2900);
    expect(tookMs).toBeLessThan(8000);
    expect(stdout).toMatch(
      /\nDELIVERY WARNING - zabbix 127\.0\.0\.1:\d+: timed-out, the time for it was over; 1 result waiting /,
    );
    expect(code).toBe(0);
  });

  it('by people too, who read of it apart from the output', async () => {
    const nagios = commandFile();
    nagios.read();
    const argv = [...good(), '--format', 'json', '--deliver', `nagios:${nagios.path}`, '--state-dir', folder.state()];
    const { stdout, stderr, code } = await launch(TEST_POP_CONNECTIVITY, argv, {});
    expect(JSON.parse(stdout)).toMatchObject([{ casServer: 'localhost', result: 'Success' }]);
    expect(stderr).toBe(`DELIVERY OK - nagios ${nagios.path}: 1 result delivered\n`);
    expect(code).toBe(0);
    expect(commands(nagios.read())).toEqual(['localhost!POP3 0']);
  });

  it('is announced by --what-if, and nothing is delivered', async () => {
    const nagios = commandFile();
    nagios.read();
    const { stdout } = await check([
      ...good(),
      '--what-if',
      '--deliver',
      `nagios:${nagios.path}`,
      '--deliver-host',
      'mail1',
    ]);
    expect(stdout).toContain(`What if: deliver the result to nagios ${nagios.path} for mail1!POP3\n`);
    expect(nagios.read()).toEqual([]);
  });
});

describe('the exit code', () => {
  const cases: readonly (readonly [what: string, isGood: boolean, isRead: boolean, passive: boolean, code: number])[] =
    [
      ["is the mail server's, whatever the delivery came to", true, false, false, 0],
      ["is the mail server's, when it was delivered too", false, true, false, 2],
      ["is the delivery's with --passive", false, true, true, 0],
      ["is the delivery's with --passive, where it did not come about", true, false, true, 1],
    ];
  it.each(cases)('%s', async (_, isGood, isRead, passive, code) => {
    const nagios = commandFile();
    if (isRead) nagios.read();
    const argv = [...(isGood ? good() : bad()), '--deliver', `nagios:${nagios.path}`, '--state-dir', folder.state()];
    const ended = await check(passive ? [...argv, '--passive'] : argv);
    expect(ended.stdout).toContain(isRead ? '\nDELIVERY OK - ' : '\nDELIVERY WARNING - ');
    expect(ended.code, ended.stdout).toBe(code);
  });

  it('is UNKNOWN with --passive where the platform will never take it', async () => {
    const file = folder.file('no-pipe', '');
    const argv = [...good(), '--deliver', `nagios:${file}`, '--state-dir', folder.state(), '--passive'];
    const { stdout, code } = await check(argv);
    expect(stdout).toContain(`\nDELIVERY UNKNOWN - nagios ${file}: configuration, this is no named pipe`);
    expect(code).toBe(3);
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});

describe('what could not be delivered', () => {
  it('waits, and the newest of each service arrives with the next run', async () => {
    const nagios = commandFile();
    const state = folder.state();
    const to = ['--deliver', `nagios:${nagios.path}`, '--state-dir', state, '--deliver-host', 'mail1'];
    await check([...good(), ...to]);
    await check([...bad(), ...to]);
    const third = await check([...good(), ...to, '--deliver-service', 'other']);
    expect(third.stdout).toMatch(
      /connection-refused, nobody reads the command file: .*; 2 results waiting for the next run/,
    );
    nagios.read();
    const { stdout } = await check([...good(), ...to, '--deliver-service', 'third']);
    expect(stdout).toContain('3 results delivered');
    expect(commands(nagios.read())).toEqual(['mail1!POP3 2', 'mail1!other 0', 'mail1!third 0']);
    const again = await check([...good(), ...to, '--deliver-service', 'third']);
    expect(again.stdout).toContain('1 result delivered');
    expect(spooled(state)).toEqual([]);
  });

  const spooled = (state: string): readonly string[] => readdirSync(state).filter((name) => name.startsWith('spool-'));

  /** Puts a result into a spool as a run of then would have left it. */
  function leave(state: string, service: string, secondsAgo: number, name = '0-1-0'): void {
    const [waiting = ''] = spooled(state);
    const content = JSON.parse(readFileSync(join(state, waiting), 'utf8'));
    const ended = Date.now() - secondsAgo * 1000;
    const results = [{ ...content.results[0], service, began: ended - 50, ended }];
    const id = /^spool-[0-9a-f]+-/.exec(waiting)?.[0];
    writeFileSync(join(state, `${id}${name}.json`), JSON.stringify({ version: 1, results }));
  }

  it('is dropped when it is too old, and that is said', async () => {
    const nagios = commandFile();
    const state = folder.state();
    const to = ['--deliver', `nagios:${nagios.path}`, '--state-dir', state];
    await check([...good(), ...to]);
    leave(state, 'young', 50);
    leave(state, 'old', 70, '0-2-0');
    nagios.read();
    const { stdout, code } = await check([...good(), ...to, '--deliver-max-age', '60', '--passive']);
    expect(stdout).toContain('DELIVERY UNKNOWN - ');
    expect(stdout).toContain('2 results delivered; 1 result too old to be delivered and dropped');
    expect(commands(nagios.read())).toEqual(['localhost!young 0', 'localhost!POP3 0']);
    expect(code).toBe(3);
  });

  it('is never delivered behind a newer one of the same service', async () => {
    const nagios = commandFile();
    const state = folder.state();
    const to = ['--deliver', `nagios:${nagios.path}`, '--state-dir', state];
    await check([...good(), ...to]);
    leave(state, 'POP3', 30);
    nagios.read();
    await check([...bad(), ...to]);
    expect(commands(nagios.read())).toEqual(['localhost!POP3 2']);
    // A slow run of before that one puts its result there only now.
    const other = commandFile();
    await check([...good(), '--deliver', `nagios:${other.path}`, '--state-dir', state]);
    const [id] = /^spool-[0-9a-f]+-/.exec(spooled(state)[0] ?? '') ?? [];
    leave(state, 'POP3', 40, '0-3-0');
    expect(id).toBeDefined();
    const mark = readdirSync(state).find((name) => name.startsWith('delivered-')) as string;
    const ours = mark.replace(/^delivered-(.*)\.json$/, '$1');
    writeFileSync(join(state, `spool-${ours}-0-4-0.json`), readFileSync(join(state, `${id}0-3-0.json`)));
    await check([...good(), ...to, '--deliver-service', 'other']);
    expect(commands(nagios.read())).toEqual(['localhost!other 0']);
  });

  it('does not keep the others from it when its file is damaged, and the file is put aside', async () => {
    const nagios = commandFile();
    const state = folder.state();
    const to = ['--deliver', `nagios:${nagios.path}`, '--state-dir', state];
    await check([...good(), ...to]);
    const [waiting = ''] = spooled(state);
    writeFileSync(join(state, waiting.replace(/\d+-\d+-\d+\.json$/, '0-1-0.json')), '{"version":1,"results":[{"host"');
    nagios.read();
    const { stdout } = await check([...good(), ...to]);
    expect(stdout).toMatch(
      /DELIVERY UNKNOWN - .*1 result delivered; what waited in \S+\/damaged-spool-\S+0-1-0\.json cannot be read/,
    );
    expect((await check([...good(), ...to])).stdout).toContain('DELIVERY OK - ');
  });

  it('survives a kill -9 in the middle of the delivery', async () => {
    const state = folder.state();
    const to = ['--deliver', silentPlace(), '--state-dir', state, '--deliver-timeout', '20'];
    const killed = await check([...good(), ...to], {
      meanwhile: (child) =>
        void child.stdout?.on('data', () =>
          until('it waits', () => spooled(state).length > 0).then(() => child.kill('SIGKILL')),
        ),
    });
    expect(killed.code).toBe(null);
    const { stdout } = await check([...good(), ...to, '--deliver-timeout', '1', '--deliver-service', 'other']);
    expect(stdout).toContain('2 results waiting for the next run');
  });

  it('holds no password', async () => {
    const nagios = commandFile();
    const state = folder.state();
    await check([...good(), '-vvv', '--deliver', `nagios:${nagios.path}`, '--state-dir', state]);
    const [waiting = ''] = spooled(state);
    const content = readFileSync(join(state, waiting), 'utf8');
    expect(content).toContain('conversation:');
    expect(content).not.toContain(password);
  });

  it('is delivered all the same where nothing can be kept, and lost only where that fails too', async () => {
    const nagios = commandFile();
    const noFolder = folder.file('no-folder', '');
    const to = ['--deliver', `nagios:${nagios.path}`, '--state-dir', join(noFolder, 'state'), '--passive'];
    const lost = await check([...good(), ...to]);
    expect(lost.stdout).toMatch(
      /\nDELIVERY UNKNOWN - .*nobody reads the command file.*; 1 result lost; nothing can be kept for later: /,
    );
    expect(lost.code).toBe(3);
    nagios.read();
    const kept = await check([...good(), ...to]);
    expect(kept.stdout).toMatch(/\nDELIVERY WARNING - .*1 result delivered; nothing can be kept for later: /);
    expect([kept.code, commands(nagios.read())]).toEqual([1, ['localhost!POP3 0']]);
  });
});

describe('two runs at once', () => {
  it('both deliver, one after the other', async () => {
    const nagios = commandFile();
    nagios.read();
    const to = ['--deliver', `nagios:${nagios.path}`, '--state-dir', folder.state()];
    const names = ['a', 'b', 'c', 'd'];
    const all = await Promise.all(names.map((name) => check([...good(), ...to, '--deliver-service', name])));
    for (const { stdout } of all) expect(stdout).toMatch(/\nDELIVERY OK - /);
    expect([...commands(nagios.read())].sort()).toEqual(names.map((name) => `localhost!${name} 0`));
  });

  it('do not wait for each other longer than their own time', async () => {
    const state = folder.state();
    const to = ['--deliver', silentPlace(), '--state-dir', state];
    let second: Promise<Ended> | undefined;
    const first = await check([...good(), ...to, '--deliver-timeout', '6'], {
      meanwhile: (child) =>
        void child.stdout?.once('data', () => {
          second = until('the first has the lock', () =>
            readdirSync(state).some((name) => name.endsWith('.lock')),
          ).then(() => check([...good(), ...to, '--deliver-timeout', '1', '--deliver-service', 'other']));
        }),
    });
    expect(first.stdout).toContain('timed-out, the time for it was over; 1 result waiting');
    expect((await second)?.stdout).toContain('DELIVERY WARNING - zabbix');
    expect((await second)?.stdout).toContain('already-running, another run is delivering; 1 result waiting');
  });
});

describe('a signal', () => {
  it('in the middle of the delivery ends it, and the verdict stands', async () => {
    const state = folder.state();
    const argv = [...good(), '--deliver', silentPlace(), '--deliver-timeout', '30', '--state-dir', state];
    const { stdout, code, tookMs } = await check(argv, {
      meanwhile: (child) => void child.stdout?.once('data', () => setTimeout(() => child.kill('SIGTERM'), 500)),
    });
    const [verdict, delivery, ...rest] = stdout.split('\n');
    expect(verdict).toMatch(/^POP3 OK - /);
    expect(delivery).toMatch(/^DELIVERY WARNING - .*interrupted, ended by SIGTERM; 1 result waiting for the next run/);
    expect([rest, code]).toEqual([[''], 0]);
    expect(tookMs).toBeLessThan(15_000);
  });

  it('in the middle of the test keeps a result that says nothing from the platform', async () => {
    const nagios = commandFile();
    nagios.read();
    const port = (silent.address() as AddressInfo).port;
    const argv = [
      ...logon(port),
      '--ca-file',
      caFile,
      '--deliver',
      `nagios:${nagios.path}`,
      '--state-dir',
      folder.state(),
    ];
    const before = connections.length;
    const { stdout } = await check(argv, {
      meanwhile: (child) =>
        void until('it waits for a greeting', () => connections.length > before).then(() => child.kill('SIGTERM')),
    });
    expect(stdout).toMatch(
      /^POP3 UNKNOWN - localhost: interrupted in greeting, ended by SIGTERM .*\nDELIVERY OK - .*: 0 results delivered\n$/,
    );
    expect(nagios.read()).toEqual([]);
  });
});

describe('a sweep', () => {
  it('is a result for each target, also for those that could not be tested', async () => {
    const nagios = commandFile();
    nagios.read();
    const port = server().pop3Port;
    const targets = folder.file(
      'targets.yaml',
      [
        `- {server: localhost, address: 127.0.0.1, port: ${port}, deliver-host: mail1}`,
        `- {server: localhost, address: 127.0.0.1, port: ${port}, deliver-host: mail2, password-file: ${wrongFile}}`,
        `- {server: mail3.example.com, address: 127.0.0.1, port: no}`,
      ]
        .join('\n')
        .replaceAll('server:', 'client-access-server:')
        .replaceAll('port:', 'port-client-access-server:'),
    );
    const { stdout, code } = await check([
      ...['--targets', targets, '-u', 'probe@example.com', '--password-file', passwordFile, '--ca-file', caFile],
      ...['--light-mode', '--deliver', `nagios:${nagios.path}`, '--state-dir', folder.state(), '--passive'],
    ]);
    expect(stdout).toMatch(/^POP3 CRITICAL - 3 servers, 1 critical, 1 unknown, 1 ok/);
    expect(stdout).toMatch(/\nDELIVERY OK - nagios \S+: 3 results delivered\n$/);
    expect([...commands(nagios.read())].sort()).toEqual(['mail1!POP3 0', 'mail2!POP3 2', 'mail3.example.com!POP3 3']);
    expect(code).toBe(0);
  });

  it('is refused where two targets would be one service', async () => {
    const argv = [
      '-H',
      'localhost,mail.example.com',
      '--deliver-host',
      'mail1',
      '--deliver',
      'nagios:/nonexistent/cmd',
    ];
    const { stdout, code } = await check([...argv, '-u', 'probe', '--password-file', passwordFile, '--light-mode']);
    expect(stdout).toMatch(/^POP3 UNKNOWN - usage, localhost and mail\.example\.com would both be mail1!POP3: /);
    expect(code).toBe(3);
  });
});

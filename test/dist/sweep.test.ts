import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lineOf } from '../../src/cli/progress.ts';
import { type Farm, type FarmFault, startFarm, targetsFile } from '../support/farm.ts';
import { missing, pathOf } from '../support/installed.ts';
import { CHECK_POP3, keepSecret, launch, privateFolder, run, TEST_POP_CONNECTIVITY } from '../support/run.ts';
import { SCRIPT } from '../support/terminal.ts';

/** What is wrong with one server in ten, and what the verdict on it has to be. */
const FAULTS: Readonly<Record<string, readonly [reason: string, phase: string]>> = {
  closed: ['connection-refused', 'connect'],
  'refuse-service': ['server-temporary', 'greeting'],
  'never-greet': ['timed-out', 'greeting'],
  'stls-refused': ['stls-refused', 'stls'],
  'eof-after-pass': ['hung-up', 'login'],
};
const KINDS = Object.keys(FAULTS) as readonly FarmFault[];

const COUNT = 500;
/** Of each; the slowest target takes just that. */
const TIMEOUT_S = 20;

const folder = privateFolder();
const password = keepSecret('correct-horse-battery-staple');
const passwordFile = folder.file('password', password);
const caFile = join(folder.path, 'ca.pem');
let farm: Farm;
let farmFile: string;

beforeAll(async () => {
  farm = await startFarm(COUNT, password, (at) =>
    at % 10 === 3 ? (KINDS[Math.floor(at / 10) % 5] as FarmFault) : null,
  );
  writeFileSync(caFile, farm.caCertificate);
  farmFile = folder.file('farm.yaml', targetsFile(farm));
}, 60_000);
afterAll(() => farm.close());

const common = (): readonly string[] => [
  ...['-u', 'probe@example.com', '--password-file', passwordFile, '--ca-file', caFile, '--light-mode'],
];

/** The most memory a process held, in MB, as far as it is seen. */
function watchMemory(child: ChildProcess): () => number {
  let most = 0;
  const look = (): void => {
    try {
      const [, kB = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      most = Math.max(most, Number(kB) / 1000);
    } catch {
      // It has ended.
    }
  };
  const timer = setInterval(look, 20);
  child.on('close', () => clearInterval(timer));
  return () => most;
}

interface Told {
  readonly casServer: string;
  readonly result: string;
  readonly latencyMs: number;
  readonly error: { readonly reason: string; readonly phase: string } | null;
}

describe('500 servers, 50 of them broken in five ways', () => {
  it('get the right verdict each, in the time of the slowest and with little memory', async () => {
    let memory = (): number => 0;
    const argv = ['--targets', farmFile, '-t', String(TIMEOUT_S), '--format', 'ndjson', ...common()];
    const { code, stdout, stderr, tookMs } = await launch(TEST_POP_CONNECTIVITY, argv, {
      meanwhile: (child) => {
        memory = watchMemory(child);
      },
    });
    expect(stderr).toBe('');
    expect(code).toBe(2);
    expect(stdout).not.toContain(password);
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Told);
    expect(told).toHaveLength(COUNT);
    for (const { name, fault } of farm.servers) {
      const [found, ...more] = told.filter(({ casServer }) => casServer === name);
      expect(more, name).toEqual([]);
      const [reason, phase] = FAULTS[fault ?? ''] ?? [null, null];
      expect([found?.result, found?.error?.reason ?? null, found?.error?.phase ?? null], name).toEqual([
        fault === null ? 'Success' : 'Failure',
        reason,
        phase,
      ]);
    }
    const slowest = Math.max(...told.map(({ latencyMs }) => latencyMs));
    expect(slowest).toBeGreaterThan(TIMEOUT_S * 1000 * 0.9);
    expect(tookMs).toBeLessThanOrEqual(slowest * 1.25);
    expect(memory()).toBeGreaterThan(20);
    expect(memory()).toBeLessThanOrEqual(200);
  }, 60_000);

  it('are one line each to check_pop3, the worst first', async () => {
    const servers = farm.servers.slice(0, 100);
    const targets = folder.file('hundred.yaml', targetsFile({ ...farm, servers }));
    const argv = ['--targets', targets, '-t', '4', '--sweep-timeout', '40', '-v', ...common()];
    const { code, stdout, stderr } = await launch(CHECK_POP3, argv, {});
    expect(stderr).toBe('');
    expect(code).toBe(2);
    const [first = '', ...lines] = stdout.split('\n');
    expect(first).toMatch(/^POP3 CRITICAL - 100 servers, /);
    const counts = Object.fromEntries(
      [...first.matchAll(/(\d+) (critical|unknown|ok)/g)].map(([, n, s]) => [s, Number(n)]),
    );
    expect(counts).toEqual({ critical: 10, ok: 90 });
    for (const { name, fault } of servers) {
      const told = `[${fault === null ? 'OK' : 'CRITICAL'}] ${name}: `;
      expect(
        lines.filter((line) => line.startsWith(told)),
        name,
      ).toHaveLength(1);
      if (fault === null) expect(first).toMatch(new RegExp(`'${name}::time'=\\d`));
    }
    expect(first.split('|')).toHaveLength(2);
  }, 60_000);
});

describe('a few servers', () => {
  const some = (...places: readonly number[]): string =>
    targetsFile({ ...farm, servers: places.map((at) => farm.servers[at] as Farm['servers'][number]) });

  it('end in time for the platform: what it leaves no time for is UNKNOWN', async () => {
    const targets = folder.file('late.yaml', some(23, 73, 123, 2));
    const argv = ['--targets', targets, '-t', '3', '--concurrency', '1', ...common()];
    const { stdout, tookMs } = await launch(CHECK_POP3, argv, {});
    expect(tookMs).toBeLessThan(4500);
    expect(stdout).toMatch(/^POP3 CRITICAL - 4 servers, 1 critical, 3 unknown/);
    expect(stdout).toMatch(/^\[CRITICAL\] pop023\.example\.com: timed-out in greeting/m);
    expect(stdout.match(/skipped: interrupted, the time for all servers, 3 s, was over/g)).toHaveLength(3);
  });

  it('that hang all take too long by themselves, however many they are', async () => {
    const hung = farm.servers.filter(({ fault }) => fault === 'never-greet').slice(0, 8);
    const targets = folder.file('hung.yaml', targetsFile({ ...farm, servers: hung }));
    const argv = ['--targets', targets, '-t', '2', ...common()];
    expect((await launch(CHECK_POP3, argv, {})).stdout).toMatch(/^POP3 CRITICAL - 8 servers, 8 critical \|/);
    expect(
      (await launch(TEST_POP_CONNECTIVITY, argv, {})).stdout.match(/ Failure +timed-out in greeting/g),
    ).toHaveLength(8);
  });

  it('of one mailbox take their turns, and each has its time', async () => {
    const [good, hung] = [farm.servers[1], farm.servers[23]] as [Farm['servers'][number], Farm['servers'][number]];
    const targets = folder.file(
      'turns.yaml',
      `${targetsFile({ ...farm, servers: [hung] })}${targetsFile({ ...farm, servers: [good] }, `, address: ${hung.address}`).replace(/, address: [\d.]+,/, ',')}`,
    );
    const { stdout, code } = await launch(TEST_POP_CONNECTIVITY, ['--targets', targets, '-t', '2', ...common()], {});
    expect(stdout.match(/ Failure +timed-out/g), stdout).toHaveLength(2);
    expect(code).toBe(2);
  });

  it('with one target has its own time, and the bounds are looked at', async () => {
    const targets = folder.file(
      'one.yaml',
      targetsFile({ ...farm, servers: [farm.servers[23] as never] }, ', timeout: 1'),
    );
    const { line, tookMs } = await run(CHECK_POP3, ['--targets', targets, '-t', '9', ...common()]);
    expect(line).toContain('timed-out in greeting');
    expect(tookMs).toBeLessThan(5000);
    const { line: refused } = await run(CHECK_POP3, ['--targets', targets, '--concurrency', 'zero', ...common()]);
    expect(refused).toContain('UNKNOWN - usage, --concurrency takes a whole number from 1 to 500');
  });

  it('may be called by users whose names would break performance data', async () => {
    const users = ["o'brien", 'a=b|c d'];
    const one = targetsFile({ ...farm, servers: [farm.servers[1] as never] });
    const targets = folder.file(
      'users.yaml',
      users.map((user) => one.replace('}', `, mailbox-credential: "${user}"}`)).join(''),
    );
    const { stdout } = await launch(CHECK_POP3, ['--targets', targets, ...common()], {});
    const [first = ''] = stdout.split('\n', 1);
    expect(first.split('|')).toHaveLength(2);
    expect(first).toContain("'pop001.example.com_as_o_brien::time'=");
    expect(first).toContain("'pop001.example.com_as_a_b_c_d::time'=");
  });

  it('are all told of though performance data of so many does not fit', async () => {
    const many = Array.from({ length: 1500 }, (_, at) => `server-number-${at}.example.com`).join('\n');
    const targets = folder.file('many.txt', many);
    const argv = ['--targets', targets, '-I', '127.0.0.1', '-p', '1', ...common()];
    const { stdout, code } = await launch(CHECK_POP3, argv, {});
    expect(stdout).toMatch(
      /^POP3 CRITICAL - 1500 servers, 1500 critical \(no performance data of \d+ of them: too many for one line\) \| /,
    );
    expect(code).toBe(2);
  });

  it('are not held up by a reader that pauses', async () => {
    const many = Array.from({ length: 400 }, (_, at) => `server-number-${at}.example.com`).join('\n');
    const targets = folder.file('paused.txt', `${many}\n`);
    const hung = targetsFile({ ...farm, servers: [farm.servers[1] as never] });
    const argv = ['--targets', targets, '--targets', folder.file('last.yaml', hung), '-t', '3', '--format', 'ndjson'];
    const { stdout } = await launch(TEST_POP_CONNECTIVITY, [...argv, '-I', '127.0.0.1', '-p', '1', ...common()], {
      meanwhile: (child) => {
        child.stdout?.pause();
        setTimeout(() => child.stdout?.resume(), 5000);
      },
    });
    expect(stdout.trimEnd().split('\n')).toHaveLength(401);
    expect(stdout).not.toContain('timed-out');
  });

  it('can be stopped while nobody reads', async () => {
    const many = Array.from({ length: 400 }, (_, at) => `server-number-${at}.example.com`).join('\n');
    const targets = folder.file('unread.txt', many);
    const stopped = ['json', 'ndjson'].map(async (format) => {
      const argv = ['--targets', targets, '--format', format, '-I', '127.0.0.1', '-p', '1', ...common()];
      const { code, tookMs } = await launch(TEST_POP_CONNECTIVITY, argv, {
        meanwhile: (child) => {
          child.stdout?.pause();
          // By then all is tested, on a busy machine too: a signal before that would end the tests.
          setTimeout(() => child.kill('SIGTERM'), 12_000);
          setTimeout(() => child.stdout?.resume(), 12_500);
        },
      });
      expect(code).toBe(null);
      expect(tookMs).toBeLessThan(16_000);
    });
    await Promise.all(stopped);
  });

  it('fit a platform without -v', async () => {
    const targets = folder.file('few.yaml', some(1, 2, 3));
    const { code, stdout } = await launch(CHECK_POP3, ['--targets', targets, ...common()], {});
    expect(code).toBe(2);
    const [first = '', ...lines] = stdout.trimEnd().split('\n');
    expect(first).toMatch(/^POP3 CRITICAL - 3 servers, 1 critical, 2 ok \| 'pop001\.example\.com::time'=/);
    expect(lines[0]).toMatch(/^\[CRITICAL\] pop003\.example\.com: connection-refused, /);
    expect(lines.slice(1).every((line) => /^\[OK\] pop00[12]\.example\.com: logon \d+ ms, /.test(line))).toBe(true);
    expect(lines).toHaveLength(3);
  });

  it('are not affected by one whose settings are wrong', async () => {
    const targets = `${some(1)}- {client-access-server: pop002.example.com, timeout: soon}\n- 10.1\n`;
    const { code, stdout } = await launch(CHECK_POP3, ['--targets', '-', ...common()], { stdin: targets });
    expect(code).toBe(3);
    expect(stdout).toMatch(/^POP3 UNKNOWN - 3 servers, 2 unknown, 1 ok \| 'pop001\.example\.com::time'=\S+ \S+\n/);
    expect(stdout).toMatch(/\[UNKNOWN\] pop002\.example\.com: usage, --timeout takes seconds/);
    expect(stdout).toMatch(/\[OK\] pop001\.example\.com: logon/);
  });

  it('are refused in one line where all of them are', async () => {
    const said = await run(CHECK_POP3, [
      '-H',
      'a.example.com,b.example.com',
      '--password-file',
      passwordFile,
      '--light-mode',
    ]);
    expect(said.code).toBe(3);
    expect(said.stdout).toBe(
      'POP3 UNKNOWN - usage, no user: give --mailbox-credential USER (-u) or @FILE - see --help\n',
    );
  });

  it.each([
    ['--concurrency', '0', '--concurrency takes a whole number from 1 to 500, not "0"'],
    ['--concurrency', 'many', '--concurrency takes a whole number from 1 to 500'],
    ['--sweep-timeout', '0', '--sweep-timeout takes seconds above 0, up to 7200'],
  ])('are refused with %s %s', async (option, value, why) => {
    const { code, stdout } = await run(CHECK_POP3, ['-H', 'a,b', option, value, ...common()]);
    expect(code).toBe(3);
    expect(stdout).toContain(`POP3 UNKNOWN - usage, ${why}`);
  });

  it('are shown as they come, and what is known when somebody presses Ctrl-C; the rest was skipped', async () => {
    // 23 never greets.
    const targets = folder.file('slow.yaml', some(1, 23, 33, 2));
    let seen = '';
    const argv = ['--targets', targets, '--concurrency', '1', '--format', 'ndjson', ...common()];
    const { code, stdout, stderr, tookMs } = await launch(TEST_POP_CONNECTIVITY, argv, {
      meanwhile: (child) => {
        child.stdout?.on('data', (text: string) => {
          if (seen === '' && text.includes('\n')) setTimeout(() => child.kill('SIGINT'), 300);
          seen += text;
        });
      },
    });
    expect(tookMs).toBeLessThan(10_000);
    expect(code).toBe(1);
    expect(stderr).toBe('');
    expect(stdout.match(/ended by SIGINT/g)).toHaveLength(3);
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Told);
    const results = Object.fromEntries(told.map(({ casServer, result }) => [casServer.slice(0, 6), result]));
    expect(results).toEqual({ pop001: 'Success', pop023: 'Skipped', pop033: 'Skipped', pop002: 'Skipped' });
  });

  it('are UNKNOWN to a platform that ends them', async () => {
    const targets = folder.file('slow.yaml', some(1, 23, 2));
    const { code, stdout } = await launch(CHECK_POP3, ['--targets', targets, '--concurrency', '1', ...common()], {
      meanwhile: (child) => setTimeout(() => child.kill('SIGTERM'), 1500),
    });
    expect(code).toBe(3);
    expect(stdout).toMatch(/^POP3 UNKNOWN - \d servers, .*1 ok/);
    expect(stdout).toContain('[UNKNOWN] pop023.example.com: skipped: interrupted in greeting, ended by SIGTERM');
    expect(stdout).toContain('[OK] pop001.example.com: logon');
  });

  it('that were asked for twice are tested once', async () => {
    const targets = folder.file('twice.yaml', some(1, 1, 2));
    const { stdout } = await launch(
      TEST_POP_CONNECTIVITY,
      ['--targets', targets, '--format', 'ndjson', ...common()],
      {},
    );
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
  });
});

describe('progress', () => {
  it('is one line that fits', () => {
    expect(lineOf(40, 10, 2, ['a (12 s)'], 80)).toBe(
      '[#####---------------] 10 of 40 tested, 2 not well; waiting for a (12 s)',
    );
    expect(lineOf(1, 0, 0, [], 80)).toBe('[--------------------] 0 of 1 tested');
    for (const columns of [1, 10, 40])
      expect(lineOf(40, 10, 2, ['a (12 s)'], columns).length).toBeLessThanOrEqual(columns);
  });

  it.skipIf(missing(SCRIPT))('is shown on a terminal alone, and gone at the end', async () => {
    const targets = folder.file('watched.yaml', targetsFile({ ...farm, servers: farm.servers.slice(20, 24) }));
    const argv = [TEST_POP_CONNECTIVITY, '--targets', targets, '-t', '5', '--format', 'csv', ...common()];
    const words = argv.map((word) => `'${word}'`).join(' ');
    const child = spawn(pathOf('script'), ['-qec', `${words} 2>&1 >/dev/null`, '/dev/null'], {
      env: { ...process.env, SHELL: '/bin/sh' },
    });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(shown).toContain('3 of 4 tested');
    expect(shown).toMatch(/waiting for pop023\.example\.com \(\d s\)/);
    expect(shown.lastIndexOf('\x1b[2K')).toBeGreaterThan(shown.lastIndexOf('tested'));
  });
});

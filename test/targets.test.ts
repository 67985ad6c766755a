import { describe, expect, it } from 'vitest';
import { parseArguments } from '../src/cli/arguments.ts';
import { optionsOf } from '../src/cli/options.ts';
import { targetsOf } from '../src/cli/targets.ts';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { FileKind, Sources } from '../src/request/sources.ts';

/** Targets of a command line, with the files it names and what comes on standard input. */
async function targets(argv: readonly string[], files: Readonly<Record<string, string>> = {}, kinds: FileKind[] = []) {
  const sources: Sources = {
    ...nodeSources,
    file: (option, path, kind) => {
      kinds.push(kind);
      const content = files[path];
      if (content === undefined) throw new ProbeFailure('configuration', `${option} ${path}: no such file`);
      return content;
    },
    standardInput: async () => files['-'] ?? '',
  };
  return await targetsOf(parseArguments(argv, optionsOf('check_pop3')), 'check_pop3', sources);
}

const labels = async (...given: Parameters<typeof targets>): Promise<readonly string[]> =>
  (await targets(...given)).map(({ label }) => label);

const refusal = async (...given: Parameters<typeof targets>): Promise<string> =>
  await targets(...given).then(
    () => 'no refusal',
    (problem: ProbeFailure) => `${problem.reason}: ${problem.message}`,
  );

const SAME = [
  { 'client-access-server': 'a.example.com', timeout: '7', 'light-mode': true, warning: ['2', 'login=1'] },
  { 'client-access-server': 'b.example.com', 'port-client-access-server': '1110' },
];

describe('targets', () => {
  it('are every server that is named, each once', async () => {
    expect(await labels(['-H', 'a.example.com'])).toEqual(['a.example.com']);
    expect(await labels(['-H', 'a,b', '-H', 'c', '--client-access-server=d, e'])).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await labels(['-H', 'a,b,A,a', '-H', 'B', '-H', '::1,[::1]'])).toHaveLength(3);
    expect(await labels(['-u', 'probe'])).toEqual(['']);
  });

  it.each([
    [
      'YAML',
      `# a farm\n- client-access-server: a.example.com\n  timeout: 7\n  light-mode: true\n  warning: [2, login=1]\n- {client-access-server: b.example.com, port-client-access-server: 1110, ssl: false}\n`,
    ],
    [
      'JSON',
      '[{"client-access-server": "a.example.com", "timeout": 7, "light-mode": true, "warning": ["2", "login=1"]}, {"clientAccessServer": "b.example.com", "PortClientAccessServer": 1110}]',
    ],
  ])('stand in a file of %s', async (_, content) => {
    const found = await targets(['--targets', 'farm'], { farm: content });
    expect(found.map(({ settings }) => settings)).toEqual(SAME);
  });

  it.each([
    ['with commas', 'Client-Access-Server,Timeout,Light-Mode,Warning\na.example.com,7,true,2\n"b.example.com",,,\n'],
    [
      'with semicolons',
      'clientaccessserver;timeout;lightmode;warning\r\na.example.com;7;yes;2\r\nb.example.com;;no;\r\n',
    ],
  ])('stand in a file of CSV %s', async (_, content) => {
    const found = await targets(['--targets=-'], { '-': content });
    expect(found.map(({ settings }) => settings)).toEqual([
      { 'client-access-server': 'a.example.com', timeout: '7', 'light-mode': true, warning: ['2'] },
      { 'client-access-server': 'b.example.com' },
    ]);
  });

  it('stand in a file a line each', async () => {
    expect(await labels(['--targets', 'f'], { f: 'a.example.com\nb.example.com\n192.0.2.7\n' })).toEqual([
      'a.example.com',
      'b.example.com',
      '192.0.2.7',
    ]);
    expect(await labels(['--targets', 'f'], { f: '- a.example.com\n- 2001:db8::7\n' })).toEqual([
      'a.example.com',
      '2001:db8::7',
    ]);
  });

  it('come from several places at once', async () => {
    const files = { one: '- a\n- b\n', two: 'b\nc\n' };
    expect(await labels(['-H', 'z,a', '--targets', 'one', '--targets', 'two'], files)).toEqual(['z', 'a', 'b', 'c']);
  });

  it("have what is set for all, and what is a target's own before it", async () => {
    const [own, other] = await targets(['-t', '9', '-w', '1', '--password-env', 'ALL', '--targets', 'f'], {
      f: '- {client-access-server: a, timeout: 5, warning: login=2, password-file: own}\n- b\n',
    });
    expect(own?.settings).toEqual({
      'client-access-server': 'a',
      timeout: '5',
      warning: ['1', 'login=2'],
      'password-file': 'own',
    });
    expect(other?.settings).toEqual({
      'client-access-server': 'b',
      timeout: '9',
      warning: ['1'],
      'password-env': 'ALL',
    });
  });

  it('are called by what tells them apart', async () => {
    const f = [
      '- a',
      '- {client-access-server: b, ssl: true}',
      '- {client-access-server: b}',
      '- {client-access-server: c, address: 192.0.2.1}',
      '- {client-access-server: c, address: 192.0.2.2}',
      '- {client-access-server: d, mailbox-credential: one}',
      '- {client-access-server: d, mailbox-credential: two}',
      '- {client-access-server: g}',
      '- {client-access-server: g, address: 192.0.2.1}',
      '- {client-access-server: h, connection-type: SSL}',
      '- {client-access-server: h, port-client-access-server: 0}',
      '- {client-access-server: e, timeout: 5}',
      '- {client-access-server: e, timeout: 6}',
    ].join('\n');
    expect(await labels(['--targets', 'f'], { f })).toEqual([
      'a',
      'b port 995',
      'b port 110',
      'c at 192.0.2.1',
      'c at 192.0.2.2',
      'd as one',
      'd as two',
      'g',
      'g at 192.0.2.1',
      'h port 995',
      'h port 110',
      'e #12',
      'e #13',
    ]);
  });

  it('may hold secrets, in a file that is nobody else’s', async () => {
    const kinds: FileKind[] = [];
    const [target] = await targets(['--targets', 'f'], { f: '- {client-access-server: a, password: s3cret}' }, kinds);
    expect(kinds).toEqual(['public', 'secret']);
    // Not as one of the command line, which would be remarked on.
    expect(target?.settings).toEqual({ 'client-access-server': 'a', 'extra-opts password': 's3cret' });
  });

  it.each([
    [[], '', 'no target in it'],
    [[], '[]', 'no target in it'],
    [[], 'client-access-server,timeout\n', 'no target in it'],
    [[], 'a: b\n', 'it holds no list of targets'],
    [[], '- [a]', 'entry 1: neither a server nor its settings'],
    [[], '- a\n- {timeout: 5}', 'entry 2: it sets no client-access-server'],
    [[], '- {client-access-server: a, hunter2: hunter2}', 'entry 1: there is no such option as one that it sets'],
    [[], '- {client-access-server: a, targets: b}', 'entry 1: --targets is for all targets, not for one'],
    [[], '- {client-access-server: a, verbose: true}', 'entry 1: --verbose is for all targets, not for one'],
    [[], '- {client-access-server: a, ssl: hunter2}', 'entry 1: --ssl takes true or false'],
    [[], '- {client-access-server: a, timeout: [1, 2]}', 'entry 1: --timeout takes one value'],
    [
      [],
      '- {client-access-server: a, timeout: {hunter2: 1}}',
      'entry 1: --timeout takes a text, not what stands there',
    ],
    [[], '- {client-access-server: a, password: b, Password: c}', 'entry 1: --password is set twice'],
    [[], '- {client-access-server: [a, b]}', 'entry 1: not the name of one server'],
    [[], '- mail hunter2', 'entry 1: not the name of one server'],
    [[], 'mail;joe;hunter2\n', 'it holds no list of targets'],
    [[], 'host,user,password\nmail,joe,hunter2\n', 'it holds no list of targets'],
    [[], 'mail1\nmail2,joe,hunter2\n', 'it holds no list of targets'],
    [[], '- mail,joe,hunter2', 'entry 1: not the name of one server'],
    [[], '- mail:joe:hunter2', 'entry 1: not the name of one server'],
    [[], '- {client-access-server: a, password: ""}', 'entry 1: --password takes PASSWORD'],
    [[], '- a\n- {hunter2: [', 'line 2, that cannot be read as YAML, JSON or CSV'],
    [[], '{"hunter2": 1', 'that cannot be read as YAML, JSON or CSV'],
    [[], 'client-access-server,timeout\na,1,hunter2\n', 'that cannot be read as YAML, JSON or CSV'],
    [
      [],
      `${'x: &x [a,a,a,a,a,a,a,a,a,a]\ny: &y [*x,*x,*x,*x,*x,*x,*x,*x,*x,*x]\nz: &z [*y,*y,*y,*y,*y,*y,*y,*y,*y,*y]\nq: [*z,*z,*z,*z,*z,*z,*z,*z,*z,*z]'}`,
      'that cannot be read as YAML, JSON or CSV',
    ],
  ])('of %j with %j are refused: %s', async (argv, f, why) => {
    const said = await refusal([...argv, '--targets', 'f'], { f });
    expect(said).toMatch(/^configuration: --targets f[: ]/);
    expect(said).toContain(why);
    expect(said).not.toContain('hunter2');
    expect(said).not.toContain('\n');
  });

  it('have the texts that stand there: a password of digits is no number', async () => {
    const secrets = ['0123', '1e3', '0x1F', '1.0', '12345678901234567890', 'false', '~', 'null', '.inf'];
    for (const secret of secrets) {
      const [yaml] = await targets(['--targets', 'f'], { f: `- {client-access-server: a, password: ${secret}}` });
      expect(yaml?.settings['extra-opts password']).toBe(secret);
    }
    const [json] = await targets(['--targets', 'f'], { f: '[{"client-access-server": "a", "timeout": 1.50}]' });
    expect(json?.settings.timeout).toBe('1.50');
  });

  it('may leave a flag out that is set for all, and share settings by an anchor', async () => {
    const f =
      '- &all {client-access-server: a, light-mode: false, timeout: 5}\n- {<<: *all, client-access-server: b}\n';
    const found = await targets(['--light-mode', '--trust-any-ssl-certificate', '--targets', 'f'], { f });
    expect(found.map(({ settings }) => settings)).toEqual([
      { 'client-access-server': 'a', timeout: '5', 'trust-any-ssl-certificate': true },
      { 'client-access-server': 'b', timeout: '5', 'trust-any-ssl-certificate': true },
    ]);
  });

  it('may stand among remarks, a line each', async () => {
    expect(
      await labels(['--targets', 'f'], { f: '# the old ones\na\n\n  # b\nc.example.com\r\n2001:db8::1\n' }),
    ).toEqual(['a', 'c.example.com', '2001:db8::1']);
  });

  it('with a password for the proxy are in a file that is nobody else’s', async () => {
    const kinds: FileKind[] = [];
    await targets(['--targets', 'f'], { f: '- {client-access-server: a, proxy: "http://u:p@192.0.2.1:8080"}' }, kinds);
    expect(kinds).toEqual(['public', 'secret']);
  });

  it('are not more than can be tested', async () => {
    const f = Array.from({ length: 200_000 }, (_, at) => `server-${at}`).join('\n');
    expect(await refusal(['--targets', 'f'], { f })).toBe('usage: 200000 targets are too many for one run: 5000');
  });

  it('are refused where the command line is at fault', async () => {
    expect(await refusal(['-H', 'a,,b'])).toMatch(/^usage: --client-access-server takes names with a comma/);
    expect(await refusal(['--targets', 'nowhere'])).toBe('configuration: --targets nowhere: no such file');
    expect(await refusal(['--targets', '-', '--password-stdin'])).toMatch(/both want standard input/);
  });
});

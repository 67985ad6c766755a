import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Circumstances, type Ended, launch } from '../support/run.ts';
import { fullTest, withSandbox } from '../support/sandboxed.ts';
import { readXml } from '../support/xml-tree.ts';

const SCOM_POP3 = new URL('../../dist/scom_pop3', import.meta.url).pathname;

const sandbox = withSandbox();
const { folder, password, passwordFile, wrongFile, caFile } = sandbox;
const NOBODY: Circumstances = { env: { CREDENTIALS_DIRECTORY: undefined } };

type Bag = Readonly<Record<string, string | number | boolean>>;

/** A run writes nothing beside its document, and no password. */
async function scom(argv: readonly string[], circumstances: Circumstances = NOBODY): Promise<Ended> {
  const ended = await launch(SCOM_POP3, argv, circumstances);
  expect(ended.stderr, argv.join(' ')).toBe('');
  for (const secret of [password, 'wrong-horse-battery-staple']) expect(ended.stdout).not.toContain(secret);
  return ended;
}

async function bagsOf(
  argv: readonly string[],
  circumstances: Circumstances = NOBODY,
  exit = 0,
): Promise<readonly Bag[]> {
  const { stdout, code } = await scom(argv, circumstances);
  expect(code, stdout).toBe(exit);
  expect(stdout.split('\n')).toHaveLength(2);
  const { bags } = JSON.parse(stdout);
  return bags.map(({ properties }: { properties: readonly { name: string; value: string }[] }) =>
    Object.fromEntries(properties.map(({ name, value }) => [name, value])),
  );
}

const logon = (file = passwordFile): readonly string[] => [
  ...sandbox.logon(sandbox.server().pop3Port, file),
  ...['--ca-file', caFile],
];

describe('a run', () => {
  test('of a good logon is a bag that says OK', async () => {
    const [bag, ...others] = await bagsOf(logon());
    expect(others).toEqual([]);
    expect(bag).toMatchObject({ State: 'OK', Server: 'localhost', Result: 'Success', Reason: 'none', EventId: 1000 });
    expect(bag?.PhaseLoginMs).toBeGreaterThan(0);
  });

  test('sends, finds and deletes a message unless LightMode was asked for', async () => {
    const [bag] = await bagsOf(fullTest(sandbox.server(), { passwordFile, caFile, stateDir: folder.state() }));
    expect(bag).toMatchObject({ State: 'OK', Retrieved: true, Deleted: true, Verified: true });
    expect(bag?.DeliveryMs).toBeGreaterThan(0);
    expect(bag?.LatencyMs).toBeGreaterThan(Number(bag?.DeliveryMs));
    expect(sandbox.server().maildrop.messages).toHaveLength(0);
  });

  test('of a refused logon says so, and exits 0: the verdict is in the bag', async () => {
    const [bag] = await bagsOf(logon(wrongFile));
    expect(bag).toMatchObject({
      State: 'CRITICAL',
      Result: 'Failure',
      Phase: 'login',
      Reason: 'login-refused',
      EventId: 1001,
    });
  });

  test('as XML is what SCOM calls a property bag', async () => {
    const { stdout, code } = await scom([...logon(), '--format', 'bag']);
    const [item, ...others] = readXml(stdout).children;
    expect([code, others]).toEqual([0, []]);
    expect(item?.attributes.type).toBe('System.PropertyBagData');
    expect(Math.abs(Date.now() - Date.parse(item?.attributes.time ?? ''))).toBeLessThan(60_000);
    expect(item?.children.find(({ attributes }) => attributes.Name === 'State')?.text).toBe('OK');
  });

  test.each<[string, () => readonly string[], number]>([
    ['OK', () => logon(), 0],
    ['WARNING', () => [...logon(), '-w', '0.000001'], 1],
    ['CRITICAL', () => logon(wrongFile), 2],
    ['UNKNOWN', () => ['--bogus'], 3],
  ])('as a word is %s', async (word, argv, code) => {
    const ended = await scom(
      word === 'UNKNOWN' ? ['-H', 'localhost', '--format', 'word'] : [...argv(), '--format', 'word'],
    );
    expect([ended.stdout, ended.code]).toEqual([`${word}\n`, code]);
  });
});

describe('a file of targets', () => {
  const targets = (): string =>
    folder.file(
      'targets.yaml',
      JSON.stringify([
        {
          'client-access-server': 'localhost',
          address: '127.0.0.1',
          'port-client-access-server': sandbox.server().pop3Port,
        },
        { 'client-access-server': '127.0.0.9', 'port-client-access-server': 9 },
      ]),
    );
  const common = ['-u', 'probe@example.com', '--password-file', passwordFile, '--ca-file', caFile, '--light-mode'];

  test('is a bag for each server, under the name that discovery gives it', async () => {
    const argv = ['--targets', targets(), ...common];
    const bags = await bagsOf([...argv, '--timeout', '20']);
    const { stdout, code } = await scom([...argv, '--discover']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).servers.slice().sort()).toEqual(bags.map(({ Server }) => Server).sort());
    expect(bags.map(({ State }) => State).sort()).toEqual(['CRITICAL', 'OK']);
  });

  test('of one server has its name too', async () => {
    const argv = ['-H', '127.0.0.9', '-p', '9', ...common];
    const [bag] = await bagsOf(argv);
    expect(JSON.parse((await scom([...argv, '--discover'])).stdout)).toEqual({ servers: [bag?.Server] });
  });

  test('may have settings of its own for one, and what is wrong with one is told of that one', async () => {
    const file = folder.file(
      'odd.yaml',
      JSON.stringify([
        {
          'client-access-server': 'localhost',
          address: '127.0.0.1',
          'port-client-access-server': sandbox.server().pop3Port,
        },
        { 'client-access-server': 'odd.example.com', timeout: 'soon' },
      ]),
    );
    const bags = await bagsOf(['--targets', file, ...common]);
    expect(bags.map(({ Server, State }) => [Server, State])).toEqual([
      ['localhost', 'OK'],
      ['odd.example.com', 'UNKNOWN'],
    ]);
  });

  test('that is not there is a bag that names no server', async () => {
    const [bag] = await bagsOf(['--targets', '/nonexistent/targets.yaml', ...common], NOBODY, 3);
    expect(bag).toMatchObject({ State: 'UNKNOWN', Server: '', Reason: 'configuration', EventId: 1002 });
  });

  test('of which none can be tested is refused in the format that was asked for', async () => {
    const { stdout } = await scom([
      '--format',
      'bag',
      '--targets',
      targets(),
      '--ca-file',
      '/nonexistent/ca.pem',
      ...common.slice(0, 4),
    ]);
    expect(readXml(stdout).children[0]?.children.find(({ attributes }) => attributes.Name === 'State')?.text).toBe(
      'UNKNOWN',
    );
  });
});

describe('time', () => {
  let silent: Server;
  beforeAll(async () => {
    silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
  });
  afterAll(() => silent.close());

  test('is kept with a server that says nothing', async () => {
    const { port } = silent.address() as { port: number };
    const argv = ['-H', '127.0.0.1', '-p', String(port), '-u', 'x', '--password-file', passwordFile, '--light-mode'];
    const began = performance.now();
    const [bag] = await bagsOf([...argv, '--timeout', '2']);
    expect(bag).toMatchObject({ State: 'CRITICAL', Reason: 'timed-out', Phase: 'greeting' });
    expect(performance.now() - began).toBeLessThan(8000);
  });

  test('is 110 s if not said otherwise: SCOM ends a script after 130', async () => {
    const { stdout, code } = await scom(['--help']);
    expect(code).toBe(3);
    expect(stdout).toMatch(/--timeout[\s\S]{0,200}110/);
  });

  test('ends with the run where SCOM ends it: a bag all the same', async () => {
    const { port } = silent.address() as { port: number };
    const argv = ['-H', '127.0.0.1', '-p', String(port), '-u', 'x', '--password-file', passwordFile, '--light-mode'];
    const meanwhile: Circumstances['meanwhile'] = (process) => {
      silent.once('connection', () => process.kill('SIGTERM'));
    };
    const [bag] = await bagsOf(argv, { ...NOBODY, meanwhile });
    expect(bag).toMatchObject({ State: 'UNKNOWN', Reason: 'interrupted' });
  });
});

test.each([
  [['--format', 'word', '--bogus']],
  [['--bogus', '--format', 'word']],
  [['--format', 'word', '--targets', 'two', 'words']],
  [['--format', 'words', '-H', 'localhost']],
])('what cannot be understood never exits as good: %j', async (argv) => {
  const { code, stdout } = await scom(argv);
  expect(code, stdout).toBe(3);
  expect(stdout).toContain('UNKNOWN');
});

test('a password on the command line is in no bag', async () => {
  const { stdout } = await scom([
    ...logon().filter((each, at, all) => each !== '--password-file' && all[at - 1] !== '--password-file'),
    '--password',
    password,
  ]);
  expect(stdout).toContain('a password on the command line is seen by everyone');
});

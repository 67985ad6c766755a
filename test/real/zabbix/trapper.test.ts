import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { missing } from '../../support/installed.ts';
import { POSTGRESQL, type Postgresql, startPostgresql } from '../../support/postgresql.ts';
import { CHECK_POP3, type Ended, launch } from '../../support/run.ts';
import { withSandbox } from '../../support/sandboxed.ts';
import { until } from '../../support/until.ts';
import { type Item, startZabbix, type Value, ZABBIX, type Zabbix } from '../../support/zabbix.ts';

const HOST = 'mail.example.com';
const FARM = 'farm.example.com';
/** More than one request to Zabbix holds. */
const MANY = 300;

const trap = (service: string): Item => ({ key: `pop3.trap[${service}]`, holds: 'text' });

/** What a Zabbix admin makes: an item that takes the value, and others that take a part each out of it. */
const ITEMS: readonly Item[] = [
  trap('POP3'),
  { key: 'pop3.status', holds: 'integer', from: { key: 'pop3.trap[POP3]', path: '$.status' } },
  { key: 'pop3.text', holds: 'text', from: { key: 'pop3.trap[POP3]', path: '$.text' } },
  { key: 'pop3.time', holds: 'decimal', from: { key: 'pop3.trap[POP3]', path: '$.metrics.time' } },
  { key: 'pop3.messages', holds: 'integer', from: { key: 'pop3.trap[POP3]', path: '$.metrics.messages' } },
];

/** Services, and the keys of their items as Zabbix has them: quotes around a comma, a bracket or a blank in front. */
const NAMES: readonly (readonly [string, string])[] = [
  ['POP3 logon', 'pop3.trap[POP3 logon]'],
  ['Postfächer – täglich', 'pop3.trap[Postfächer – täglich]'],
  ['inbox, Berlin', 'pop3.trap["inbox, Berlin"]'],
  ['[inbox]', 'pop3.trap["[inbox]"]'],
  ['the "good" one, once more', 'pop3.trap["the \\"good\\" one, once more"]'],
];

describe.skipIf(missing(ZABBIX, POSTGRESQL))('results delivered to a real Zabbix', () => {
  const sandbox = withSandbox();
  const { folder } = sandbox;
  let postgresql: Postgresql;
  let zabbix: Zabbix;

  beforeAll(async () => {
    postgresql = await startPostgresql();
    zabbix = await startZabbix({
      postgresql,
      hosts: {
        [HOST]: [
          ...ITEMS,
          ...['refused', 'waits', 'newest', 'also', 'twice', 'late'].map(trap),
          ...NAMES.map(([, key]): Item => ({ key, holds: 'text' })),
          { ...trap('elsewhere'), allowed: '192.0.2.1' },
        ],
        [FARM]: Array.from({ length: MANY }, (_, at) => trap(`pop ${at}`)),
      },
    });
  });
  afterAll(async () => {
    await zabbix?.stop();
    await postgresql?.stop();
  });

  const to = (): readonly string[] => ['--deliver', `zabbix:127.0.0.1:${zabbix.port}`];
  const as = (service: string, host = HOST): readonly string[] => [
    ...['--deliver-host', host, '--deliver-service', service],
  ];
  const check = (argv: readonly string[]): Promise<Ended> => launch(CHECK_POP3, [...argv, ...to()], {});
  /** A logon by which somebody gets on, or by which nobody does. */
  const good = (): readonly string[] => [...sandbox.logon(), '--ca-file', sandbox.caFile];
  const bad = (): readonly string[] => [
    ...sandbox.logon(undefined, sandbox.wrongFile),
    ...['--ca-file', sandbox.caFile],
  ];
  /** What was said of the delivery: the second line. */
  const delivery = ({ stdout }: Ended): string => stdout.split('\n')[1] ?? '';

  async function arrived(key: string, count = 1, host = HOST): Promise<readonly Value[]> {
    let values: readonly Value[] = [];
    await until(`${count} values of ${key}`, async () => {
      values = await zabbix.history(host, key);
      return values.length >= count;
    });
    return values;
  }
  const last = async (key: string, count = 1): Promise<Value> => (await arrived(key, count)).at(-1) as Value;

  test('a logon: Zabbix has the value whole, at its own time, and takes the parts out of it', async () => {
    const began = Date.now();
    const ended = await check([...good(), ...as('POP3'), '--state-dir', folder.state()]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(delivery(ended)).toBe(`DELIVERY OK - zabbix 127.0.0.1:${zabbix.port}: 1 result delivered`);

    const { value, at } = await last('pop3.trap[POP3]');
    expect(at).toBeGreaterThanOrEqual(began);
    expect(at).toBeLessThanOrEqual(began + ended.tookMs);
    const said = JSON.parse(String(value));
    const [text, perfdata = ''] = ended.line.split(' | ');
    expect(said).toMatchObject({ status: 0, state: 'OK', text, server: 'localhost', reason: '', phase: '' });
    const printed = perfdata.split(' ').map((each) => /^(\w+)=([\d.]+)/.exec(each)?.slice(1) ?? []);
    expect(printed.map(([name]) => name)).toContain('time_login');
    for (const [name = '', number] of printed) expect(said.metrics[name], name).toBeCloseTo(Number(number), 3);
    expect(Object.keys(said.metrics)).toHaveLength(printed.length);

    const part = async (key: string): Promise<unknown> => (await last(key)).value;
    expect(await part('pop3.status')).toBe(0);
    expect(await part('pop3.text')).toBe(text);
    expect(await part('pop3.time')).toBe(said.metrics.time);
    expect(await part('pop3.messages')).toBe(said.metrics.messages);
  });

  test('nobody gets on: the status is that of a plugin, and the reason is told', async () => {
    const ended = await check([...bad(), ...as('refused'), '--state-dir', folder.state()]);
    expect(ended.code).toBe(2);
    const said = JSON.parse(String((await last('pop3.trap[refused]')).value));
    expect(said).toMatchObject({ status: 2, state: 'CRITICAL', reason: 'login-refused', phase: 'login' });
    expect(said.text).toBe(ended.line.split(' | ')[0]);
  });

  test.each(NAMES)('the service %s has the item %s', async (service, key) => {
    const ended = await check([...good(), ...as(service), '--state-dir', folder.state()]);
    expect(delivery(ended)).toMatch(/^DELIVERY OK /);
    expect(JSON.parse(String((await last(key)).value))).toMatchObject({ state: 'OK' });
  });

  describe('what Zabbix does not take is told by name', () => {
    const WITHOUT = [
      ['an item that is not there', HOST, 'nowhere'],
      ['a host that is not there', 'other.example.com', 'POP3'],
      ['an item that takes values from elsewhere alone', HOST, 'elsewhere'],
    ] as const;

    test.each(WITHOUT)('%s', async (_, host, service) => {
      const state = ['--state-dir', folder.state()];
      const ended = await check([...good(), ...as(service, host), ...state]);
      expect(ended.code).toBe(0); // the mail server's
      expect(delivery(ended)).toBe(
        `DELIVERY UNKNOWN - zabbix 127.0.0.1:${zabbix.port}: 1 result refused: ${host}!${service}, Zabbix has no trapper item of that host and key, or takes none from this machine`,
      );
      expect(await check([...good(), ...as(service, host), ...state, '--passive'])).toMatchObject({ code: 3 });
      // It does not wait either: the next run has nothing to tell of it.
      expect(delivery(await check([...good(), ...as('also'), ...state]))).toMatch(/: 1 result delivered$/);
    });

    test('one among many, and all the others arrive', async () => {
      const closed = await freePort();
      const targets = Array.from(
        { length: MANY + 1 },
        (_, at) => `- {client-access-server: localhost, deliver-service: pop ${at}}\n`,
      ).join('');
      const ended = await check([
        ...['--targets', folder.file('many.yaml', targets), '-I', '127.0.0.1', '-p', String(closed)],
        ...['-u', 'probe', '--password-file', sandbox.passwordFile, '--light-mode', '--concurrency', '50'],
        ...['--deliver-host', FARM, '--state-dir', folder.state(), '--passive'],
      ]);
      expect(ended.code).toBe(3);
      expect(ended.stdout).toContain(
        `: ${MANY} results delivered; 1 result refused: ${FARM}!pop ${MANY}, Zabbix has no trapper item `,
      );
      const count = `SELECT count(*)::int AS count, count(DISTINCT itemid)::int AS items FROM history_text
        JOIN items USING (itemid) JOIN hosts USING (hostid) WHERE host = '${FARM}'`;
      await until('all the others', async () => {
        const [row] = await zabbix.database.rows<{ count: number; items: number }>(count);
        return row?.items === MANY;
      });
      expect(await zabbix.database.rows(count)).toEqual([{ count: MANY, items: MANY }]); // none of them twice
    });
  });

  describe('while Zabbix is away', () => {
    test('the verdict is told, and results wait; when it is back the newest arrives, with its own time', async () => {
      const state = ['--state-dir', folder.state()];
      await zabbix.halt();
      const first = await check([...good(), ...as('newest'), ...state]);
      expect(first.line).toMatch(/^POP3 OK - localhost: /);
      expect(first.code).toBe(0);
      expect(delivery(first)).toMatch(
        /^DELIVERY WARNING - zabbix 127\.0\.0\.1:\d+: connection-refused, .*; 1 result waiting for the next run, the oldest for \d s$/,
      );
      const began = Date.now();
      const second = await check([...bad(), ...as('newest'), ...state, '--passive']);
      const ended = Date.now();
      expect(second.code).toBe(1);
      expect(delivery(second)).toContain('; 1 result waiting '); // and not two: an old OK covers nothing

      await zabbix.start();
      const back = Date.now();
      const third = await check([...good(), ...as('also'), ...state]);
      expect(delivery(third)).toMatch(/^DELIVERY OK - .*: 2 results delivered$/);
      const [only, ...others] = await arrived('pop3.trap[newest]');
      expect(others).toEqual([]);
      expect(JSON.parse(String(only?.value))).toMatchObject({ status: 2, reason: 'login-refused' });
      expect(only?.at).toBeGreaterThanOrEqual(began);
      expect(only?.at).toBeLessThanOrEqual(ended);
      expect(ended).toBeLessThan(back);
    });
  });

  describe('while Zabbix is there and does not answer', () => {
    test('the verdict does not wait for it; what it took without saying so is there once', async () => {
      const state = ['--state-dir', folder.state()];
      zabbix.freeze();
      const ended = await check([...good(), ...as('twice'), ...state, '--deliver-timeout', '1']);
      expect(ended.code).toBe(0);
      expect(delivery(ended)).toMatch(/^DELIVERY WARNING - .*: timed-out, .*; 1 result waiting /);
      zabbix.thaw();
      await arrived('pop3.trap[twice]'); // the request was in its queue
      expect(delivery(await check([...good(), ...as('late'), ...state]))).toMatch(/: 2 results delivered$/);
      await arrived('pop3.trap[late]'); // which was behind the other
      expect(await zabbix.history(HOST, 'pop3.trap[twice]')).toHaveLength(1);
    });
  });
});

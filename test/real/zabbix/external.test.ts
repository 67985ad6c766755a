import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { type Sandbox, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { POSTGRESQL, type Postgresql, startPostgresql } from '../../support/postgresql.ts';
import { CHECK_POP3, keepSecret, launch, privateFolder } from '../../support/run.ts';
import { until } from '../../support/until.ts';
import { importTemplates, startZabbix, ZABBIX, type Zabbix } from '../../support/zabbix.ts';
import { startZabbixFrontend, ZABBIX_FRONTEND, type ZabbixApi } from '../../support/zabbix-frontend.ts';

const USER = 'probe@example.com';
const PASSWORD = keepSecret('correct-horse-battery-staple');
const BUILT = new URL('../../../dist/zabbix_pop3', import.meta.url).pathname;
const TEMPLATES = new URL('../../../plugins/zabbix/pop3-6.0.yaml', import.meta.url);

/** So that a test need not wait for minutes: macros that an administrator has too. */
const QUICK = { '{$POP3.INTERVAL}': '2s', '{$POP3.FAILURES}': '#2', '{$POP3.DISCOVERY.INTERVAL}': '5s' };

interface StoredItem {
  readonly key_: string;
  readonly state: string;
  readonly error: string;
  readonly lastclock: string;
  readonly lastvalue: string;
}

interface Problem {
  readonly name: string;
  readonly severity: string;
}

const HIGH = '4';
const AVERAGE = '3';
const NOT_SUPPORTED = '1';

describe.skipIf(missing(ZABBIX, ZABBIX_FRONTEND, POSTGRESQL, DOVECOT))('the templates in a real Zabbix 6.0', () => {
  const checks = mkdtempSync(join(tmpdir(), 'zabbix-checks-'));
  const folder = privateFolder();
  let authority: Authority;
  let postgresql: Postgresql;
  let zabbix: Zabbix;
  let api: ZabbixApi;
  let sandbox: Sandbox;
  let silent: Server;
  const dovecots = new Map<string, Dovecot>();
  const hostids = new Map<string, string>();

  /** A file that the account of Zabbix owns, and nobody else may read. */
  function own(name: string, content: string): string {
    const file = join(checks, name);
    writeFileSync(file, content, { mode: 0o600 });
    chownSync(file, postgresql.account.uid, postgresql.account.gid);
    return file;
  }

  async function startServer(name: string): Promise<Dovecot> {
    const identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
    const dovecot = await startDovecot({ identity, users: { [USER]: PASSWORD } });
    dovecots.set(name, dovecot);
    return dovecot;
  }

  const portOf = (name: string): string => String(dovecots.get(name)?.port);

  /** As an administrator makes a host: an interface, a template, and macros. */
  async function createHost(host: string, template: string, macros: Readonly<Record<string, string>>): Promise<void> {
    const [found] = await api.call<readonly { templateid: string }[]>('template.get', { filter: { host: template } });
    const common = {
      '{$POP3.USER}': USER,
      '{$POP3.PASSWORD.FILE}': join(checks, 'pop3.password'),
      '{$POP3.EXTRA}': `pop3@${join(checks, 'pop3.ini')}`,
      ...QUICK,
    };
    const { ip = '', ...set } = macros;
    const created = await api.call<{ hostids: readonly string[] }>('host.create', {
      host,
      groups: [{ groupid: '2' }],
      interfaces: [{ type: 1, main: 1, useip: ip === '' ? 0 : 1, ip, dns: 'localhost', port: '10050' }],
      templates: [{ templateid: found?.templateid }],
      macros: Object.entries({ ...common, ...set }).map(([macro, value]) => ({ macro, value })),
    });
    hostids.set(host, created.hostids[0] as string);
  }

  /** Gives a macro of a host another value, or back to what the template says. */
  async function setMacro(host: string, macro: string, value: string | null): Promise<void> {
    const hostid = hostids.get(host);
    const [found] = await api.call<readonly { hostmacroid: string }[]>('usermacro.get', {
      hostids: [hostid],
      filter: { macro },
    });
    if (value === null) await api.call('usermacro.delete', [found?.hostmacroid]);
    else if (found === undefined) await api.call('usermacro.create', { hostid, macro, value });
    else await api.call('usermacro.update', { hostmacroid: found.hostmacroid, value });
  }

  const items = (host: string): Promise<readonly StoredItem[]> =>
    api.call('item.get', {
      hostids: [hostids.get(host)],
      output: ['key_', 'state', 'error', 'lastclock', 'lastvalue'],
    });

  /** What the items of a host hold, by their keys. */
  async function valuesOf(host: string): Promise<Readonly<Record<string, string>>> {
    const filled = (await items(host)).filter(({ lastclock }) => lastclock !== '0');
    return Object.fromEntries(filled.map(({ key_, lastvalue }) => [key_, lastvalue]));
  }

  const problems = async (host: string): Promise<readonly Problem[]> =>
    (
      await api.call<readonly Problem[]>('problem.get', {
        hostids: [hostids.get(host)],
        output: ['name', 'severity'],
      })
    ).map(({ name, severity }) => ({ name, severity }));

  /** How many alerts were raised for a host since the beginning. */
  const raised = async (host: string): Promise<number> =>
    Number(
      await api.call('event.get', { hostids: [hostids.get(host)], source: 0, object: 0, value: 1, countOutput: true }),
    );

  async function untilProblems(host: string, count: number): Promise<readonly Problem[]> {
    let found: readonly Problem[] = [];
    await until(`${count} problems of ${host}`, async () => {
      found = await problems(host);
      return found.length === count;
    });
    return found;
  }

  /** Until a host was tested so many times more: what is to happen at all has happened by then. */
  async function tested(host: string, key: string, times: number): Promise<void> {
    const count = async (): Promise<number> => {
      const [row] = await zabbix.database.rows<{ count: number }>(
        `SELECT count(*)::int AS count FROM history_uint JOIN items USING (itemid) WHERE hostid = ${hostids.get(host)} AND key_ = '${key}'`,
      );
      return row?.count ?? 0;
    };
    const enough = (await count()) + times;
    await until(`${times} more tests of ${host}`, async () => (await count()) >= enough);
  }

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    postgresql = await startPostgresql();
    chownSync(checks, postgresql.account.uid, postgresql.account.gid);
    cpSync(BUILT, join(checks, 'zabbix_pop3'));
    chmodSync(join(checks, 'zabbix_pop3'), 0o755);
    sandbox = await startSandbox({ password: PASSWORD });
    await startServer('mail');
    await startServer('other');
    own('ca.pem', `${authority.certificate}${sandbox.caCertificate}`);
    own('pop3.password', `${PASSWORD}\n`);
    own('pop3.ini', `[pop3]\nca-file=${join(checks, 'ca.pem')}\n`);
    own(
      'farm.yaml',
      ['mail', 'other']
        .map((name) => `- {client-access-server: localhost, port: "${portOf(name)}"}\n`)
        .join('')
        .replaceAll('port:', 'port-client-access-server:'),
    );
    mkdirSync(join(checks, 'state'), { mode: 0o700 });
    chownSync(join(checks, 'state'), postgresql.account.uid, postgresql.account.gid);
    silent = createServer(() => undefined).listen(0, '127.0.0.1');

    zabbix = await startZabbix({ postgresql, hosts: {}, externalScripts: checks });
    api = await startZabbixFrontend(ZABBIX_FRONTEND, postgresql, zabbix.database);
    await importTemplates(api, readFileSync(TEMPLATES, 'utf8'), '6.0');
    // Those that take their time first.
    await createHost('refused.example.com', 'POP3 logon by external check', {
      '{$POP3.CONNECTION}': 'telepathy',
      '{$POP3.NODATA}': '30s',
    });
    await createHost('mail.example.com', 'POP3 logon by external check', {
      '{$POP3.PORT}': portOf('mail'),
      '{$POP3.INTERVAL}': '1s',
    });
    await createHost('farm.example.com', 'POP3 farm by external check', {
      '{$POP3.TARGETS}': join(checks, 'farm.yaml'),
    });
    await createHost('trip.example.com', 'POP3 round trip by external check', {
      ip: '127.0.0.1',
      '{$POP3.NAME}': 'localhost',
      '{$POP3.PORT}': String(sandbox.pop3Port),
      '{$POP3.SMTP.PORT}': String(sandbox.smtpPort),
      '{$POP3.STATE.DIR}': join(checks, 'state'),
    });
    await createHost('passive.example.com', 'POP3 by trapper', {});
  });
  afterAll(async () => {
    await api?.stop();
    await zabbix?.stop();
    await postgresql?.stop();
    await Promise.all(Array.from(dovecots.values(), (dovecot) => dovecot.stop()));
    await sandbox?.close();
    silent?.close();
    rmSync(checks, { recursive: true, force: true });
  });

  test('a logon fills every item of the host', async () => {
    await dovecots.get('mail')?.deliver('Subject: one\r\n\r\nfirst\r\n');
    await dovecots.get('mail')?.deliver('Subject: two\r\n\r\nsecond\r\n');
    await until('both messages counted', async () => (await valuesOf('mail.example.com'))['pop3.messages'] === '2');
    const stored = await items('mail.example.com');
    expect(stored.filter(({ state }) => state !== '0').map(({ key_, error }) => `${key_}: ${error}`)).toEqual([]);
    const values = await valuesOf('mail.example.com');
    const master = stored.find(({ key_ }) => key_.startsWith('zabbix_pop3['))?.key_ as string;
    expect(stored.map(({ key_ }) => key_).filter((key) => key !== master && values[key] === undefined)).toEqual([]);
    expect(values).toMatchObject({ 'pop3.status': '0', 'pop3.reason': '', 'pop3.phase': '', 'pop3.tls': 'TLSv1.3' });
    expect(values['pop3.text']).toMatch(/^POP3 OK - localhost: logon \d+ ms, login \d+ ms, 2 messages, /);
    expect(values['pop3.certificate']).toBe('89'); // it was issued for ninety days, an hour ago
    expect(Number(values['pop3.octets'])).toBeGreaterThan(40);
    const phases = Object.entries(values).filter(([key]) => key.startsWith('pop3.time.'));
    const sum = phases.reduce((total, [, value]) => total + Number(value), 0);
    expect(phases).toHaveLength(9);
    expect(sum).toBeGreaterThan(0);
    expect(await problems('mail.example.com')).toEqual([]);
  });

  test('Dovecot stops: one alert, with the reason; it is there again: none', async () => {
    const before = await raised('mail.example.com');
    await dovecots.get('mail')?.stop();
    const [alert] = await untilProblems('mail.example.com', 1);
    expect(alert).toMatchObject({ severity: HIGH });
    expect(alert?.name).toMatch(/^POP3 logon fails: POP3 CRITICAL - localhost: connection-refused, /);
    await tested('mail.example.com', 'pop3.status', 2);
    expect(await problems('mail.example.com')).toHaveLength(1);
    expect(await valuesOf('mail.example.com')).toMatchObject({
      'pop3.status': '2',
      'pop3.reason': 'connection-refused',
      'pop3.phase': 'connect',
    });

    await startServer('mail');
    await setMacro('mail.example.com', '{$POP3.PORT}', portOf('mail'));
    await untilProblems('mail.example.com', 0);
    expect((await raised('mail.example.com')) - before).toBe(1);
  });

  test('slow beyond both bounds: one alert, of the one that weighs more', async () => {
    const before = await raised('mail.example.com');
    await setMacro('mail.example.com', '{$POP3.TIME.CRIT}', '0.0002');
    await setMacro('mail.example.com', '{$POP3.TIME.WARN}', '0.0001');
    const [alert] = await untilProblems('mail.example.com', 1);
    expect(alert).toMatchObject({ severity: AVERAGE, name: 'POP3 logon test takes longer than 0.0002 s' });
    await tested('mail.example.com', 'pop3.status', 2);
    expect(await problems('mail.example.com')).toHaveLength(1);
    await setMacro('mail.example.com', '{$POP3.TIME.WARN}', null);
    await setMacro('mail.example.com', '{$POP3.TIME.CRIT}', null);
    await untilProblems('mail.example.com', 0);
    expect((await raised('mail.example.com')) - before).toBe(1);
  });

  test('nobody gets on, and the certificate is about to end: one alert, and the other when people get on', async () => {
    const before = await raised('mail.example.com');
    await setMacro('mail.example.com', '{$POP3.PASSWORD.FILE}', own('wrong', keepSecret('wrong-horse-battery-staple')));
    const [alert] = await untilProblems('mail.example.com', 1);
    expect(alert?.name).toMatch(/^POP3 logon fails: POP3 CRITICAL - localhost: login-refused, /);
    await setMacro('mail.example.com', '{$POP3.CERTIFICATE.CRIT}', '900');
    await setMacro('mail.example.com', '{$POP3.CERTIFICATE.WARN}', '1000');
    await tested('mail.example.com', 'pop3.status', 3);
    expect(await problems('mail.example.com')).toHaveLength(1);

    await setMacro('mail.example.com', '{$POP3.PASSWORD.FILE}', join(checks, 'pop3.password'));
    await until('the other alert', async () => {
      const names = (await problems('mail.example.com')).map(({ name }) => name);
      return names.join() === 'POP3 logon has a certificate with less than 900 days';
    });
    await setMacro('mail.example.com', '{$POP3.CERTIFICATE.WARN}', null);
    await setMacro('mail.example.com', '{$POP3.CERTIFICATE.CRIT}', null);
    await untilProblems('mail.example.com', 0);
    expect((await raised('mail.example.com')) - before).toBe(2);
  });

  test('a check that outlasts Zabbix is ended by it, and the alert comes all the same', async () => {
    await createHost('late.example.com', 'POP3 logon by external check', {
      '{$POP3.PORT}': String((silent.address() as AddressInfo).port),
      '{$POP3.TIMEOUT}': '30', // Zabbix waits for 3
    });
    const [alert] = await untilProblems('late.example.com', 1);
    expect(alert?.name).toMatch(/^POP3 logon cannot be tested: POP3 UNKNOWN - Zabbix got no answer from zabbix_pop3/);
    expect(alert).toMatchObject({ severity: AVERAGE });
    // With its own time the check has ended first, and knows more.
    await setMacro('late.example.com', '{$POP3.TIMEOUT}', null);
    await until('it knows more', async () =>
      (await problems('late.example.com')).some(({ name }) => /^POP3 logon fails: .*timed-out in greeting/.test(name)),
    );
    expect(await problems('late.example.com')).toHaveLength(1);
    await api.call('host.delete', [hostids.get('late.example.com')]);
  });

  test('the round trip in steps: each run finds what the one before sent', async () => {
    await until('a delivery', async () => 'pop3.trip.delivery' in (await valuesOf('trip.example.com')));
    const values = await valuesOf('trip.example.com');
    expect(values).toMatchObject({ 'pop3.trip.status': '0', 'pop3.trip.stale': '0' });
    expect(values['pop3.trip.text']).toMatch(/^POP3 OK - localhost: round trip /);
    const stored = await items('trip.example.com');
    expect(stored.filter(({ state }) => state !== '0').map(({ key_, error }) => `${key_}: ${error}`)).toEqual([]);
    const phases = ['send', 'retrieve', 'delete', 'login'].map((phase) => `pop3.trip.time.${phase}`);
    expect(Object.keys(values)).toEqual(expect.arrayContaining(phases));
    expect(await problems('trip.example.com')).toEqual([]);
  });

  test('a farm: discovery makes the items of both servers, and the one that stops raises one alert', async () => {
    const [mail, other] = ['mail', 'other'].map((name) => `localhost port ${portOf(name)}`) as [string, string];
    // Until now the file names the port that Dovecot had at first: that server goes, with its alert.
    own(
      'farm.yaml',
      ['mail', 'other']
        .map((name) => `- {client-access-server: localhost, port-client-access-server: "${portOf(name)}"}\n`)
        .join(''),
    );
    const keys = [mail, other].map((server) => `pop3.farm.status[${server}]`);
    await until('items of both, and of nobody else', async () => {
      const values = await valuesOf('farm.example.com');
      const servers = Object.keys(values).filter((key) => key.startsWith('pop3.farm.status['));
      return servers.length === 2 && keys.every((key) => values[key] === '0');
    });
    const values = await valuesOf('farm.example.com');
    expect(values).toMatchObject({ 'pop3.farm.servers': '2' });
    for (const server of [mail, other]) {
      expect(values[`pop3.farm.text[${server}]`]).toMatch(/^POP3 OK - localhost/);
      expect(values).toHaveProperty([`pop3.farm.certificate[${server}]`], '89');
      expect(values).toHaveProperty([`pop3.farm.tls[${server}]`], 'TLSv1.3');
      expect(Number(values[`pop3.farm.latency[${server}]`])).toBeGreaterThan(0);
    }
    expect(values[`pop3.farm.messages[${other}]`]).toBe('0');
    expect(await problems('farm.example.com')).toEqual([]);

    await dovecots.get('other')?.stop();
    const [alert] = await untilProblems('farm.example.com', 1);
    expect(alert?.name).toMatch(new RegExp(`^POP3 of ${other} fails: POP3 CRITICAL - .*connection-refused`));
    await tested('farm.example.com', `pop3.farm.status[${mail}]`, 2);
    expect(await problems('farm.example.com')).toHaveLength(1);
    expect(await valuesOf('farm.example.com')).toMatchObject({ [keys[0] as string]: '0', [keys[1] as string]: '2' });
  });

  test('results that are handed over fill the items of a trapper, and alert', async () => {
    const deliver = [`--deliver=zabbix:127.0.0.1:${zabbix.port}`, '--deliver-host=passive.example.com'];
    const caFile = folder.file('ca.pem', sandbox.caCertificate);
    const fullTest = (password: string): readonly string[] => [
      ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(sandbox.pop3Port), '-u', USER, '--ca-file', caFile],
      ...['--smtp-port', String(sandbox.smtpPort), '--state-dir', folder.state()],
      ...['--password-file', folder.file('password', password), ...deliver],
    ];
    const good = await launch(CHECK_POP3, fullTest(PASSWORD), {});
    expect(good.stdout).toContain('DELIVERY OK');
    await until('the result', async () => (await valuesOf('passive.example.com'))['pop3.passive.status'] === '0');
    const values = await valuesOf('passive.example.com');
    expect(good.line.split(' | ')[0]).toBe(values['pop3.passive.text']);
    expect(Object.keys(values)).toEqual(
      expect.arrayContaining(['delivery', 'latency', 'messages', 'time.verify'].map((key) => `pop3.passive.${key}`)),
    );
    for (const _ of [1, 2]) await launch(CHECK_POP3, fullTest('wrong-horse-battery-staple'), {});
    const [alert] = await untilProblems('passive.example.com', 1);
    expect(alert?.name).toMatch(/^POP3 \(passive\) fails: POP3 CRITICAL - localhost: login-refused/);
  });

  test('a setting that is refused: the item says so, and after a while that nothing has come', async () => {
    let master: StoredItem | undefined;
    await until('the item says so', async () => {
      master = (await items('refused.example.com')).find(({ key_ }) => key_.startsWith('zabbix_pop3['));
      return master?.state === NOT_SUPPORTED;
    });
    expect(master?.error).toMatch(/^1\. Failed: POP3 UNKNOWN - usage, --connection-type takes .* - see --help$/m);
    expect(await valuesOf('refused.example.com')).toEqual({});
    // Half a minute, and Zabbix takes its time to look at what has not come; most of that has gone by.
    const once = (): Promise<readonly Problem[]> => untilProblems('refused.example.com', 1);
    await once().catch(once).catch(once).catch(once);
    expect(await problems('refused.example.com')).toEqual([
      { name: 'POP3 logon has not been tested for 30s', severity: AVERAGE },
    ]);
  });

  test('no password is in the database of Zabbix', async () => {
    const files = spawnSync('grep', ['-rlF', PASSWORD, postgresql.host], { encoding: 'utf8' });
    expect(files).toMatchObject({ status: 1, stdout: '' });
  });
});

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DOVECOT } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { type Nagios4, startNagios4, verify } from '../../support/nagios4.ts';
import type { Listener } from '../../support/own-machine.ts';
import { type Ended, keepSecret } from '../../support/run.ts';
import { until } from '../../support/until.ts';
import { type ConnectProxy, startConnectProxy } from './connect-proxy.ts';
import { furnishIcinga2 } from './debian-icinga2.ts';
import { asShown, attempt, fileAt, obey, redLine, type Trial, unmet, writeAsTheyStand } from './document.ts';
import { type Microsoft365, type Place, startMicrosoft365, type Tenant } from './microsoft365.ts';
import { settled, startWorkplace, WORKPLACE, type Workplace } from './workplace.ts';

const ADDRESSES = {
  'login.microsoftonline.com': '127.0.0.41',
  'outlook.office365.com': '127.0.0.42',
  'smtp.office365.com': '127.0.0.43',
} as const;
const HOST = 'outlook.office365.com';
const INI = '/etc/pop3-probe/exchange-online.ini';
const SECRET_FILE = '/etc/pop3-probe/exchange-online.secret';
const SECRET = keepSecret('the-value-of-a-client-secret');

describe.skipIf(missing(...WORKPLACE, DOVECOT))('the example of Exchange Online', () => {
  let workplace: Workplace;
  let trial: Trial;
  let cloud: Microsoft365;
  let proxy: ConnectProxy;
  let provider: Listener;
  let nagios: Nagios4;
  const tenant: Tenant = {
    domain: 'contoso.onmicrosoft.com',
    clientId: '11111111-2222-3333-4444-555555555555',
    mailbox: 'probe@contoso.com',
    certificate: null,
    secret: null,
    isPermitted: true,
    takesMail: true,
  };

  beforeAll(async () => {
    const hosts = Object.entries({ ...ADDRESSES, 'proxy.example.com': '127.0.0.44' });
    workplace = await startWorkplace(
      'Exchange Online, with a token',
      Object.fromEntries(hosts.map(([name, address]) => [name, [address]])),
    );
    const { machine, authority, example } = workplace;
    trial = example.trials[0] as Trial;
    cloud = await startMicrosoft365(await authority.issue({ names: Object.keys(ADDRESSES) }), tenant);
    provider = await listen('login.microsoftonline.com:443');
    await listen('outlook.office365.com:995');
    await listen('smtp.office365.com:587');
    proxy = await startConnectProxy(cloud.ports);
    await machine.listen('127.0.0.44', 3128, () => proxy.port);
    for (const commands of example.commands) await obey(machine, commands);
    await writeAsTheyStand(
      machine,
      example.files.filter(({ path }) => !path.startsWith('/etc/icinga2/')),
    );
    // What the administrator uploads.
    tenant.certificate = await readFile(machine.path('/etc/pop3-probe/exchange-online.crt'), 'utf8');
    tenant.secret = { value: SECRET, hasRunOut: false };
    await machine.write(SECRET_FILE, SECRET, { mode: 0o640, group: 'nagios' });
  });
  beforeEach(() => forgetTokens());
  afterAll(async () => {
    await nagios?.stop();
    await workplace?.machine.remove();
    await cloud?.stop();
    proxy?.close();
  });

  async function listen(place: Place): Promise<Listener> {
    const [name, port] = place.split(':');
    const address = ADDRESSES[name as keyof typeof ADDRESSES];
    return workplace.machine.listen(address, Number(port), () => cloud.ports[place]);
  }

  const forgetTokens = (): Promise<void> => obey(workplace.machine, 'rm -rf /var/lib/nagios/.local');

  /** The trial of the document. */
  const check = (env: Readonly<Record<string, string>> = {}): Promise<Ended> => attempt(workplace.machine, trial, env);

  /** The same with changes in what it reads; the file is as it was afterwards. */
  async function checkWith(change: (ini: string) => string, words?: string): Promise<Ended> {
    const { machine, example } = workplace;
    const file = fileAt(example, INI);
    await writeAsTheyStand(machine, [{ ...file, text: change(file.text) }]);
    const command = words === undefined ? trial.command : trial.command.replace('--light-mode', words);
    const ended = await attempt(machine, { ...trial, command });
    await writeAsTheyStand(machine, [file]);
    return ended;
  }

  /** With a secret in the place of the certificate, as the document has it. */
  const bySecret = (ini: string): string => {
    const lines = ini.trimEnd().split('\n').slice(0, -2);
    const [option = ''] = /`(oauth-client-secret-file = [^`]+)`/.exec(workplace.example.text)?.slice(1) ?? [];
    expect(option).toContain(SECRET_FILE);
    return `${[...lines, option].join('\n')}\n`;
  };

  /** By a proxy, as the document has it. */
  const byProxy = (ini: string): string => {
    const [option = ''] = /`(proxy = [^`]+)`/.exec(workplace.example.text)?.slice(1) ?? [];
    return `${ini}${option}\n`;
  };

  test('the key is for the monitoring user, and the file with the options holds no secret', async () => {
    const { machine } = workplace;
    const { stdout } = await machine.run(['stat', '-c', '%a %U:%G', '/etc/pop3-probe/exchange-online.key']);
    expect(stdout).toBe('640 root:nagios\n');
    expect(await readFile(machine.path(INI), 'utf8')).not.toMatch(/(?:secret|password|token) = \S/);
  });

  test('by hand it looks as it is shown', async () => {
    const { line, code } = await check();
    expect(line).toMatch(asShown(trial.shown.replace(/ 0\.?\d* messages/, ' 0 messages')));
    expect(code).toBe(0);
    expect(cloud.proofs.slice(-1)).toEqual(['certificate']);
  });

  test('a second run within the hour takes the same token', async () => {
    await check();
    const before = cloud.proofs.length;
    expect((await check()).code).toBe(0);
    expect(cloud.proofs.length).toBe(before);
  });

  test('it works with a secret too', async () => {
    const { line, code } = await checkWith(bySecret);
    expect(line).toMatch(/^POP3 OK - outlook\.office365\.com: logon /);
    expect(code).toBe(0);
    expect(cloud.proofs.slice(-1)).toEqual(['secret']);
  });

  describe('where a proxy is the only way out', () => {
    const withoutNames = async <T>(run: () => Promise<T>): Promise<T> => {
      const { machine } = workplace;
      const hosts = await readFile(machine.path('/etc/hosts'), 'utf8');
      await machine.write('/etc/hosts', '127.0.0.1 localhost\n127.0.0.44 proxy.example.com\n');
      try {
        return await run();
      } finally {
        await machine.write('/etc/hosts', hosts);
      }
    };

    test('everything goes through it, the message too, and names are left to it', async () => {
      const before = proxy.asked.length;
      const { line, code } = await withoutNames(() => checkWith(byProxy, '--smtp-server smtp.office365.com'));
      expect(line).toMatch(/^POP3 OK - outlook\.office365\.com: round trip /);
      expect(code).toBe(0);
      expect(new Set(proxy.asked.slice(before))).toEqual(new Set(Object.keys(cloud.ports)));
    });

    test('HTTPS_PROXY is for the token alone', async () => {
      const before = proxy.asked.length;
      await provider.close();
      const { code } = await check({ HTTPS_PROXY: 'http://proxy.example.com:3128' });
      provider = await listen('login.microsoftonline.com:443');
      expect(code).toBe(0);
      expect(proxy.asked.slice(before)).toEqual(['login.microsoftonline.com:443']);
    });
  });

  describe('the line to be looked up is shown', () => {
    const CASES: readonly (readonly [what: string, words: string, code: number, how: () => Promise<Ended>])[] = [
      [
        'when another certificate was uploaded',
        'certificate is not registered',
        3,
        () => withTenant({ certificate: null }, () => check()),
      ],
      [
        'when the secret has run out',
        'secret has expired',
        3,
        () => withTenant({ secret: { value: SECRET, hasRunOut: true } }, () => checkWith(bySecret)),
      ],
      [
        'when the identity provider is out of reach',
        'token-unavailable',
        3,
        async () => {
          await provider.close();
          const ended = await check();
          provider = await listen('login.microsoftonline.com:443');
          return ended;
        },
      ],
      [
        'when the application has no right to the mailbox',
        'login-refused',
        2,
        () => withTenant({ isPermitted: false }, () => check()),
      ],
      [
        'when SMTP AUTH is off for the mailbox',
        'send-refused',
        2,
        () => withTenant({ takesMail: false }, () => checkWith((ini) => ini, '--smtp-server smtp.office365.com')),
      ],
    ];

    test.each(CASES)('%s', async (_, words, code, how) => {
      const ended = await how();
      expect(ended.line).toMatch(redLine(workplace.example, words));
      expect(ended.code).toBe(code);
    });

    async function withTenant(changes: Partial<Tenant>, run: () => Promise<Ended>): Promise<Ended> {
      const before = { ...tenant };
      Object.assign(tenant, changes);
      const ended = await run();
      Object.assign(tenant, before);
      return ended;
    }
  });

  test('Icinga 2 has both services green, and no secret in what it keeps', async () => {
    const { machine, example } = workplace;
    const icinga = await furnishIcinga2(machine);
    await writeAsTheyStand(machine, [fileAt(example, '/etc/icinga2/conf.d/pop3/exchange-online.conf')]);
    await icinga.restart();
    const logon = await icinga.check(`${HOST}!POP3 logon`);
    expect(logon.last_check_result.output).toMatch(/^POP3 OK - outlook\.office365\.com: logon /);
    const trip = await icinga.check(`${HOST}!POP3 round trip`);
    expect(trip.last_check_result.output).toMatch(/^POP3 OK - outlook\.office365\.com: round trip /);
    expect([logon.state, trip.state]).toEqual([0, 0]);
    const key = await readFile(machine.path('/etc/pop3-probe/exchange-online.key'), 'utf8');
    expect(JSON.stringify([logon, trip])).not.toContain(key.split('\n')[1]);
    await icinga.stop();
    expect(await cloud.messages()).toBe(0);
  });

  test('Nagios has both services green, and the logon red while the application has no right', async () => {
    const { machine, example } = workplace;
    expect(await verify(machine)).toMatchObject({ code: 0, said: expect.stringContaining('Total Warnings: 0') });
    nagios = await startNagios4(machine);
    await settled(nagios, HOST, 'POP3 logon', 0);
    const { plugin_output: trip } = await settled(nagios, HOST, 'POP3 round trip', 0);
    expect(trip).toMatch(/^POP3 OK - outlook\.office365\.com: round trip /);
    tenant.isPermitted = false;
    await obey(machine, 'rm -rf /var/lib/nagios4/pop-connectivity');
    const { plugin_output: red } = await settled(nagios, HOST, 'POP3 logon', 2);
    expect(red).toMatch(redLine(example, 'login-refused'));
    tenant.isPermitted = true;
    await settled(nagios, HOST, 'POP3 logon', 0);
    await until('nothing is left', async () => (await cloud.messages()) === 0);
  });

  test('no line of the table of what to look at was passed over', () => {
    expect(unmet(workplace.example)).toEqual([]);
  });
});

import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOVECOT } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { type Monitored, startMonitored, USERS } from '../../support/monitored.ts';
import {
  asNagiosTells,
  configure,
  NAGIOS4,
  type Nagios4,
  type ServiceStatus,
  SHIPPED,
  startNagios4,
  toldOf,
  verify,
} from '../../support/nagios4.ts';
import { OWN_MACHINE } from '../../support/own-machine.ts';
import { until } from '../../support/until.ts';

/** What a server says that means harm to every character Nagios gives a meaning to. */
const HOSTILE = '-ERR [AUTH] a;b \\back \\n $5 `tick` "dq" \'sq\' <lt> {x} & pipe| 100% é ~ !';

/** Beside our own: objects for what else there is to show. In Nagios `$$` is a dollar sign and `\!` is `!`. */
const OBJECTS = `
define host {
	use		generic-host
	host_name	odd
	address		odd.example.com
	max_check_attempts	1
	contact_groups	admins
}
define host {
	use		generic-host
	host_name	by-address
	address		127.0.0.11
	max_check_attempts	1
	contact_groups	admins
}
${service('by-address', 'by name', 'check_pop3_name!mail.example.com!-w 2')}
${service('mail', 'TLS', 'check_pop3s')}
${service('mail', 'addresses', 'check_pop3_addresses!-w 2')}
${service('mail', 'verbose', 'check_pop3!-v')}
${service('mail', 'other account', 'check_pop3!--extra-opts=exchange@/etc/nagios4/pop3.ini')}
${service('mail', 'ranges', 'check_pop3!-w time=~:5 -c @100:200 -w messages=~:9')}
${service('mail', 'farm', 'check_pop3_targets!/etc/nagios4/pop3-farm.yaml!-t 10 -w 2')}
${service('odd', 'hostile', `check_pop3!--connection-type plaintext --auth user -u 'o"b\\!$$x\\;y z'`)}
${service('odd', 'silent', 'check_pop3!--connection-type plaintext -p 111 -t 2')}
${service('odd', 'silent for too long', 'check_pop3!--connection-type plaintext -p 111 -t 30')}
`;

function service(host: string, description: string, command: string): string {
  return `
define service {
	use			pop3-service
	host_name		${host}
	service_description	${description}
	check_command		${command}
	max_check_attempts	1
}`;
}

describe.skipIf(missing(NAGIOS4, DOVECOT, OWN_MACHINE))('a real Nagios 4 checks by our files', () => {
  let monitored: Monitored;
  let nagios: Nagios4;
  const servers: Server[] = [];
  const userNames: string[] = [];

  beforeAll(async () => {
    monitored = await startMonitored({ 'odd.example.com': '127.0.0.14' });
    const { machine, dovecot } = monitored;
    const shipped = (name: string): Promise<string> => readFile(join(SHIPPED, name), 'utf8');
    await machine.write('/etc/nagios-plugins/config/check_pop3.cfg', await shipped('check_pop3.cfg'));
    await machine.write('/etc/nagios4/conf.d/pop3.cfg', await shipped('services.cfg'));
    await machine.write('/etc/nagios4/pop3-farm.yaml', await shipped('pop3-farm.yaml'));
    await machine.write('/etc/nagios4/pop3.ini', await shipped('pop3.ini'), { mode: 0o640, group: 'nagios' });
    await machine.write('/etc/nagios4/conf.d/more.cfg', OBJECTS);
    await machine.listen('127.0.0.14', 110, await hostileServer());
    await machine.listen('127.0.0.14', 111, await silentServer());
    for (const subject of ['one', 'two']) {
      await dovecot('mail.example.com').deliver(`Subject: ${subject}\r\n\r\n1\r\n`, 'probe@example.com');
    }
    await configure(machine, { service_check_timeout: '6' });
    expect(await verify(machine)).toMatchObject({ code: 0, said: expect.stringContaining('Total Warnings: 0') });
    nagios = await startNagios4(machine);
  });
  afterAll(async () => {
    await nagios?.stop();
    await monitored?.remove();
    for (const server of servers) server.close();
  });

  /** The service's status, once it is in that state, hard. */
  async function statusOf(host: string, description: string, state: number): Promise<ServiceStatus> {
    let status: ServiceStatus = {};
    await until(`${description} of ${host} is in state ${state}`, async () => {
      status = await nagios.service(host, description);
      return status.has_been_checked === '1' && status.state_type === '1' && status.current_state === String(state);
    });
    return status;
  }

  const printed = async (): Promise<readonly string[]> => (await monitored.printed()).map(asNagiosTells);

  test('the service is green, red when the mail server stops, and green again, with what the plugin printed', async () => {
    const told = async (state: number): Promise<string> => {
      const status = await statusOf('mail', 'POP3 logon', state);
      expect(await printed()).toContain(toldOf(status));
      return toldOf(status);
    };
    expect(await told(0)).toMatch(/^POP3 OK - mail\.example\.com: logon .*, 2 messages/);
    await monitored.stop('mail.example.com');
    expect(await told(2)).toMatch(
      /^POP3 CRITICAL - mail\.example\.com: connection-refused, 127\.0\.0\.11 port 110: .* \| time=/,
    );
    await monitored.start('mail.example.com');
    expect(await told(0)).toMatch(/^POP3 OK - mail\.example\.com: logon .*, 0 messages/);
  });

  test('every metric is in the performance data, with its unit and its thresholds', async () => {
    const { performance_data = '' } = await statusOf('mail', 'POP3 logon', 0);
    const values = performance_data.split(' ').map((each) => /^(\w+)=(\d+(?:\.\d{3})?)(s?)(;.*)?$/.exec(each));
    expect(values, performance_data).not.toContain(null);
    expect(values.map((value) => [value?.[1], value?.[3], value?.[4]])).toEqual([
      ['time', 's', ';2;5;0'],
      ...['dns', 'connect', 'greeting', 'capabilities', 'stls', 'tls', 'login', 'mailbox', 'quit'].map((phase) => [
        `time_${phase}`,
        's',
        ';;;0',
      ]),
      ['messages', '', ';;;0'],
      ['octets', '', ';;;0'],
      ['certificate', '', ';21:;7:'],
    ]);
    // Phases do not overlap.
    const [whole = 0, ...parts] = values.filter((value) => value?.[3] === 's').map((value) => Number(value?.[2]));
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeLessThanOrEqual(whole + 0.01);
  });

  const COMMANDS = [
    ['by-address', 'by name', /^POP3 OK - mail\.example\.com: logon /],
    ['mail', 'TLS', /^POP3 OK - mail\.example\.com: logon /],
    ['mail', 'addresses', /^POP3 OK - mail\.example\.com: 1 address, 1 ok \| '127\.0\.0\.11::time'=/],
    ['mail', 'other account', /^POP3 OK - mail\.example\.com: logon .* 0 messages/],
    ['mail', 'ranges', /^POP3 OK - .* \| time=[\d.]+s;~:5;@100:200;0 .* messages=\d;~:9;;0 /],
  ] as const;

  test.each(COMMANDS)('the command of %s, %s', async (host, description, expected) => {
    const status = await statusOf(host, description, 0);
    expect(toldOf(status)).toMatch(expected);
    expect(await printed()).toContain(toldOf(status));
  });

  test('what -v adds is the long output, line by line', async () => {
    const status = await statusOf('mail', 'verbose', 0);
    expect(await printed()).toContain(toldOf(status));
    expect(toldOf(status)).toMatch(
      /^POP3 OK - .*\n(?:.*\n)*connection: 127\.0\.0\.11 port 110, tls\nphases: dns .*\ntls: TLSv1/m,
    );
  });

  test('a sweep is one line that counts, and one for each server', async () => {
    await monitored.stop('mail2.example.com');
    const status = await statusOf('mail', 'farm', 2);
    await monitored.start('mail2.example.com');
    expect(await printed()).toContain(toldOf(status));
    expect(status.plugin_output).toBe('POP3 CRITICAL - 2 servers, 1 critical, 1 ok');
    expect(status.long_plugin_output).toMatch(
      /^\[CRITICAL\] mail2\.example\.com: connection-refused, .*\\n\[OK\] mail1\.example\.com: logon /,
    );
    expect(status.performance_data).toMatch(
      /^'mail1\.example\.com::time'=[\d.]+s;2;;0 'mail1\.example\.com::certificate'=\d+;21:;7: 'mail2\.example\.com::time'=[\d.]+s;2;;0$/,
    );
  });

  test('whatever a server says stays a text: Nagios alone writes : for ;', async () => {
    const status = await statusOf('odd', 'hostile', 2);
    expect(await printed()).toContain(toldOf(status));
    expect(status.plugin_output).toContain(String.raw`a:b \back \n $5 `);
    expect(status.performance_data).toMatch(/^time=[\d.]+s;;;0 (?:time_\w+=[\d.]+s;;;0 ?)+$/);
  });

  test('a user name comes through with its quote, exclamation mark, dollar sign, semicolon and blank', async () => {
    await statusOf('odd', 'hostile', 2);
    expect(userNames).toContain('o"b!$x;y z');
  });

  test('a silent server is our verdict, not "timed out" by Nagios', async () => {
    const status = await statusOf('odd', 'silent', 2);
    expect(status.plugin_output).toMatch(
      /^POP3 CRITICAL - odd\.example\.com: timed-out in greeting, no greeting within [12]/,
    );
    expect(await printed()).toContain(toldOf(status));
    // What it is like when the plugin is given more time than Nagios has: nobody learns what was wrong.
    expect((await statusOf('odd', 'silent for too long', 2)).plugin_output).toMatch(
      /^\(Service check timed out after /,
    );
  });

  test('no password is on a command line', async () => {
    const argued = (await monitored.argued()).join('\n');
    expect(argued).toContain('--extra-opts=@/etc/nagios4/pop3.ini -H mail.example.com --light-mode -w 2 -c 5');
    for (const password of Object.values(USERS)) expect(argued).not.toContain(password);
  });

  /** It takes no logon, and says so in its own way. */
  async function hostileServer(): Promise<() => number> {
    return await listen((socket) => {
      socket.write('+OK\r\n');
      socket.on('data', (octets) => {
        const [, verb, argument = ''] = /^(\w+) ?(.*)\r\n/.exec(octets.toString()) ?? [];
        if (verb === 'USER') userNames.push(argument);
        socket.write(verb === 'USER' ? '+OK\r\n' : verb === 'PASS' ? `${HOSTILE}\r\n` : '-ERR\r\n');
      });
    });
  }

  const silentServer = (): Promise<() => number> => listen(() => undefined);

  async function listen(serve: (socket: Socket) => void): Promise<() => number> {
    const server = createServer((socket) => serve(socket.on('error', () => undefined)));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return () => (server.address() as AddressInfo).port;
  }
});

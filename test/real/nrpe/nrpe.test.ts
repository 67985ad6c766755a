import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOVECOT } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { type Monitored, startMonitored, USERS } from '../../support/monitored.ts';
import { configure, NAGIOS4, type Nagios4, SHIPPED, startNagios4, toldOf } from '../../support/nagios4.ts';
import { NRPE, type Nrpe, startNrpe } from '../../support/nrpe.ts';
import { OWN_MACHINE } from '../../support/own-machine.ts';
import { until } from '../../support/until.ts';

/** Many servers: half of them are not there. */
const MANY = 40;
const DOWN = 127;

const FARM = Array.from({ length: MANY }, (_, at) => `pop${String(at).padStart(2, '0')}.example.com`);

/** Beside our own: the same farm with all there is to say, and a server that never says anything. */
const MORE = `
command[farm_verbose]=/usr/lib/nagios/plugins/check_pop3 --extra-opts=@/etc/nagios/pop3.ini --targets /etc/nagios/pop3-farm.yaml --light-mode -t 4 --sweep-timeout 8 -v
command[silent]=/usr/lib/nagios/plugins/check_pop3 --extra-opts=@/etc/nagios/pop3.ini -H mail.example.com -p 111 --light-mode -t 8
`;

const OBJECTS = `
define host {
	use		generic-host
	host_name	remote
	address		127.0.0.1
	max_check_attempts	1
	contact_groups	admins
}
define service {
	use			pop3-service
	host_name		remote
	service_description	POP3 by NRPE
	check_command		check_pop3_by_nrpe!check_pop3
	max_check_attempts	1
}`;

/** One value of performance data, whole. */
const VALUE = /^(?:'[\w. -]+::(?:time|certificate)'|\w+)=-?\d+(?:\.\d+)?s?(?:;[\d:@~]*){0,3}$/;

describe.skipIf(missing(NRPE, NAGIOS4, DOVECOT, OWN_MACHINE))('a real NRPE by our files', () => {
  let monitored: Monitored;
  let nrpe: Nrpe;
  let silent: Server;

  beforeAll(async () => {
    monitored = await startMonitored(Object.fromEntries(FARM.map((name) => [name, '127.0.0.12'])));
    const { machine } = monitored;
    const shipped = (name: string): Promise<string> => readFile(join(SHIPPED, name), 'utf8');
    await machine.write('/etc/nagios/nrpe.d/check_pop3.cfg', await shipped('nrpe.cfg'));
    await machine.write('/etc/nagios/nrpe.d/more.cfg', MORE);
    await machine.write('/etc/nagios/pop3.ini', await shipped('pop3.ini'), { mode: 0o640, group: 'nagios' });
    const targets = FARM.map((name, at) =>
      at % 2 === 0
        ? `- ${name}\n`
        : `- {client-access-server: ${name}, port-client-access-server: ${DOWN}, connection-type: tls}\n`,
    );
    await machine.write('/etc/nagios/pop3-farm.yaml', targets.join(''));
    silent = createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    await machine.listen('127.0.0.11', 111, () => (silent.address() as AddressInfo).port);
    nrpe = await startNrpe(machine);
  });
  afterAll(async () => {
    await nrpe?.stop();
    await monitored?.remove();
    silent?.close();
  });

  const lastPrinted = async (): Promise<string> => (await monitored.printed()).at(-1) as string;

  const PACKETS = [
    ['of today', []],
    ['of version 2', ['-2']],
  ] as const;

  describe.each(PACKETS)('in packets %s', (_, options) => {
    test('a check arrives whole: state, text and every value', async () => {
      const { code, stdout } = await nrpe.ask('check_pop3', ...options);
      expect(stdout).toMatch(/^POP3 OK - mail\.example\.com: logon .* \| time=.* certificate=\d+;21:;7:\n$/);
      expect(stdout).toBe(await lastPrinted());
      expect(code).toBe(0);
    });

    test('so does a failure', async () => {
      await monitored.stop('mail.example.com');
      const { code, stdout } = await nrpe.ask('check_pop3', ...options);
      await monitored.start('mail.example.com');
      expect(stdout).toMatch(/^POP3 CRITICAL - mail\.example\.com: connection-refused, 127\.0\.0\.11 port 110/);
      expect(stdout).toBe(await lastPrinted());
      expect(code).toBe(2);
    });

    test('so does a sweep of many servers: no value is cut, and what is left out is said', async () => {
      const { code, stdout } = await nrpe.ask('check_pop3_farm', ...options);
      expect(stdout).toBe(await lastPrinted());
      expect(code).toBe(2);
      const [first = '', ...lines] = stdout.trimEnd().split('\n');
      const [text = '', perfdata = ''] = first.split(' | ');
      expect(text).toMatch(/^POP3 CRITICAL - 40 servers, 20 critical, 20 ok \(no performance data of \d+ of them/);
      const values = perfdata.match(/'[^']*'=\S*|\S+/g) ?? [];
      for (const value of values) expect(value).toMatch(VALUE);
      // Of a server that is not there nothing is known but the time.
      const charted = new Set(values.map((value) => value.split('::')[0]));
      expect(Number(/of (\d+) of them/.exec(text)?.[1])).toBe(MANY - charted.size);
      // The worst come first, and what is left out is counted.
      const told = lines.filter((line) => line.startsWith('['));
      expect(told[0]).toMatch(/^\[CRITICAL\] pop\d\d\.example\.com: connection-refused, /);
      expect(lines.at(-1)).toBe(`… and ${MANY - told.length} more; -v shows them`);
      expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(1024); // with the line end that check_nrpe adds
    });
  });

  test('with -v a sweep tells of every server, and arrives whole in packets of today', async () => {
    const { stdout } = await nrpe.ask('farm_verbose');
    expect(stdout).toBe(await lastPrinted());
    for (const name of FARM) expect(stdout).toContain(`'${name}::time'=`);
    expect(stdout.match(/^\[(?:CRITICAL|OK)\] pop\d\d\.example\.com: /gm)).toHaveLength(MANY);
  });

  test('the round trip in two runs: the first one sends', async () => {
    // There is no submission server here: that is what has to be said, within the time.
    const { code, stdout } = await nrpe.ask('check_pop3_split');
    expect(stdout).toMatch(/^POP3 CRITICAL - mail\.example\.com: connection-refused in send, /);
    expect(stdout).toBe(await lastPrinted());
    expect(code).toBe(2);
  });

  test('a silent server is our verdict, before check_nrpe has waited its 10 s', async () => {
    const { code, stdout, tookMs } = await nrpe.ask('silent');
    expect(stdout).toMatch(/^POP3 CRITICAL - mail\.example\.com: timed-out in greeting, no greeting within [78]/);
    expect(code).toBe(2);
    expect(tookMs).toBeLessThan(10_000);
  });

  test('no password is on a command line, and none is asked for', async () => {
    const argued = (await monitored.argued()).join('\n');
    expect(argued).toContain('--extra-opts=@/etc/nagios/pop3.ini -H mail.example.com --light-mode -t 8');
    for (const password of Object.values(USERS)) expect(argued).not.toContain(password);
    const cfg = await readFile(monitored.machine.path('/etc/nagios/nrpe.cfg'), 'utf8');
    expect(cfg, 'Debian leaves it so').toMatch(/^dont_blame_nrpe=0$/m);
    expect(await readFile(join(SHIPPED, 'nrpe.cfg'), 'utf8')).not.toMatch(/\$ARG\d\$/);
  });

  test('Nagios shows what the plugin printed there, and UNKNOWN when NRPE does not answer', async () => {
    const { machine } = monitored;
    const shipped = (name: string): Promise<string> => readFile(join(SHIPPED, name), 'utf8');
    await machine.write('/etc/nagios-plugins/config/check_pop3.cfg', await shipped('check_pop3.cfg'));
    await machine.write('/etc/nagios4/conf.d/pop3.cfg', await shipped('services.cfg'));
    await machine.write('/etc/nagios4/conf.d/more.cfg', OBJECTS);
    await configure(machine);
    const nagios: Nagios4 = await startNagios4(machine);
    const told = async (state: string): Promise<string> => {
      let status = {};
      await until(`the service is in state ${state}`, async () => {
        const now = await nagios.service('remote', 'POP3 by NRPE');
        status = now;
        return now.current_state === state && now.has_been_checked === '1';
      });
      return toldOf(status);
    };
    const ok = await told('0');
    expect(await monitored.printed()).toContain(ok);
    await nrpe.stop();
    const unreachable = await told('3');
    await nagios.stop();
    expect(unreachable).toMatch(/connect to address 127\.0\.0\.1 port 5666: Connection refused/);
  });
});

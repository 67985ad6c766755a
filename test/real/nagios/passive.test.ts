import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOVECOT } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { type Monitored, startMonitored } from '../../support/monitored.ts';
import {
  asNagiosTells,
  COMMAND_FILE,
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
import type { Ended } from '../../support/run.ts';
import { until } from '../../support/until.ts';

/** Beside our own: services of the same template, one of them with less patience. */
const OBJECTS = `
define service {
	use			pop3-passive-service
	host_name		mail1
	service_description	alone
}
define service {
	use			pop3-passive-service
	host_name		mail1
	service_description	impatient
	freshness_threshold	3
}`;

/** What a server says that means harm to every character the command file gives a meaning to. */
const HOSTILE = '-ERR [AUTH] a;b \\back \\n [5] PROCESS $5 `tick` "dq" \'sq\' & pipe| é';

const CHECK = '/usr/lib/nagios/plugins/check_pop3';

describe.skipIf(missing(NAGIOS4, DOVECOT, OWN_MACHINE))('a real Nagios 4 is given results by our files', () => {
  let monitored: Monitored;
  let nagios: Nagios4;
  let hostile: Server;

  beforeAll(async () => {
    monitored = await startMonitored({ 'odd.example.com': '127.0.0.14' });
    const { machine } = monitored;
    const shipped = (name: string): Promise<string> => readFile(join(SHIPPED, name), 'utf8');
    await machine.write('/etc/nagios-plugins/config/check_pop3.cfg', await shipped('check_pop3.cfg'));
    await machine.write('/etc/nagios4/conf.d/pop3.cfg', await shipped('services.cfg'));
    await machine.write('/etc/nagios4/conf.d/pop3-farm.cfg', await shipped('farm.cfg'));
    await machine.write('/etc/nagios4/conf.d/more.cfg', OBJECTS);
    await machine.write('/etc/nagios4/pop3-farm.yaml', await shipped('pop3-farm.yaml'));
    await machine.write('/etc/nagios4/pop3.ini', await shipped('pop3.ini'), { mode: 0o640, group: 'nagios' });
    await machine.write('/etc/systemd/system/pop3-sweep.service', await shipped('pop3-sweep.service'));
    await machine.write('/etc/cron.d/pop3-sweep', await shipped('pop3-sweep.cron'));
    // What systemd makes before it runs the command: a copy of the file for the service alone.
    await machine.write('/run/credentials/pop3-sweep.service/pop3.ini', await shipped('pop3.ini'), {
      mode: 0o440,
      group: 'nagios',
    });
    hostile = createServer((socket) => {
      socket.on('error', () => undefined).write('+OK\r\n');
      socket.on('data', (octets) => {
        const verb = octets.toString().slice(0, 4);
        socket.write(verb === 'USER' ? '+OK\r\n' : verb === 'PASS' ? `${HOSTILE}\r\n` : '-ERR\r\n');
      });
    });
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve));
    await machine.listen('127.0.0.14', 110, () => (hostile.address() as AddressInfo).port);
    await configure(machine);
    expect(await verify(machine)).toMatchObject({ code: 0, said: expect.stringContaining('Total Warnings: 0') });
    nagios = await startNagios4(machine);
  });
  afterAll(async () => {
    await nagios?.stop();
    await monitored?.remove();
    hostile?.close();
  });

  /** The command of pop3-sweep.service, with what systemd puts into its environment. */
  async function sweep(): Promise<Ended> {
    const unit = await readFile(monitored.machine.path('/etc/systemd/system/pop3-sweep.service'), 'utf8');
    const command = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit)?.[1] ?? '';
    const env = { CREDENTIALS_DIRECTORY: '/run/credentials/pop3-sweep.service', STATE_DIRECTORY: SWEEP_STATE };
    return await monitored.machine.run(['sh', '-c', command], { env });
  }

  /** One server, and its result for the service "alone". */
  const deliver = (argv: readonly string[]): Promise<Ended> =>
    monitored.machine.run([
      ...[CHECK, '--extra-opts=@/etc/nagios4/pop3.ini', '--light-mode', '--state-dir', OTHER_STATE],
      ...['--deliver', `nagios:${COMMAND_FILE}`, '--deliver-host', 'mail1', ...argv],
    ]);
  const ALONE = ['--deliver-service', 'alone'];
  const SWEEP_STATE = '/run/nagios/pop3-sweep';
  const OTHER_STATE = '/run/nagios/other';

  /** The service's status, once that is so. */
  async function status(
    host: string,
    description: string,
    isSo: (status: ServiceStatus) => boolean,
  ): Promise<ServiceStatus> {
    let now: ServiceStatus = {};
    await until(`${description} of ${host} is as it should be`, async () => {
      now = await nagios.service(host, description);
      return isSo(now);
    });
    return now;
  }
  const isIn =
    (state: number) =>
    ({ current_state, has_been_checked }: ServiceStatus): boolean =>
      has_been_checked === '1' && current_state === String(state);

  test('one sweep makes its services green, red when a mail server stops, and green again', async () => {
    const told = async (state: number): Promise<ServiceStatus> => {
      const { code, stdout } = await sweep();
      expect(stdout).toContain('\nDELIVERY OK - nagios /var/lib/nagios4/rw/nagios.cmd: 2 results delivered\n');
      expect(code, 'it is for the delivery, not for the mail servers').toBe(0);
      const now = await status('mail1', 'POP3', isIn(state));
      expect(stdout).toContain(now.plugin_output?.replace(/^POP3 (\w+) - /, '[$1] '));
      for (const metric of ['time', 'certificate']) {
        const value = new RegExp(`'mail1\\.example\\.com::${metric}'=(\\S+)`).exec(stdout)?.[1];
        const fields = (now.performance_data ?? '').split(' ');
        expect(fields.find((field) => field.startsWith(`${metric}=`))).toBe(value && `${metric}=${value}`);
      }
      expect((await status('mail2', 'POP3', isIn(0))).plugin_output).toMatch(/^POP3 OK - mail2\.example\.com: logon /);
      return now;
    };
    await told(0);
    await monitored.stop('mail1.example.com');
    expect((await told(2)).plugin_output).toMatch(/^POP3 CRITICAL - mail1\.example\.com: connection-refused, /);
    await monitored.start('mail1.example.com');
    const { active_checks_enabled, check_type } = await told(0);
    expect({ active_checks_enabled, check_type }).toEqual({ active_checks_enabled: '0', check_type: '1' });
  });

  test('state, output, long output and every metric arrive as they were printed', async () => {
    const { code, stdout } = await deliver(['-H', 'mail1.example.com', '-v', '-w', 'time=~:50', ...ALONE]);
    expect(code).toBe(0);
    const [report, delivery] = stdout.split(/^(?=DELIVERY)/m);
    expect(delivery).toBe('DELIVERY OK - nagios /var/lib/nagios4/rw/nagios.cmd: 1 result delivered\n');
    const now = await status('mail1', 'alone', (each) => isIn(0)(each) && each.long_plugin_output !== '');
    expect(toldOf(now)).toBe(asNagiosTells(report as string));
    expect(now.performance_data).toMatch(
      /^time=[\d.]+s;~:50;;0 (time_\w+=[\d.]+s;;;0 )+messages=0;;;0 octets=0;;;0 certificate=\d+;21:;7:$/,
    );
    expect(now.long_plugin_output).toContain('connection: 127.0.0.12 port 110, tls\\nphases: dns ');
  });

  test('without --passive the exit code stays the verdict’s', async () => {
    const { code, stdout } = await deliver(['-H', 'mail1.example.com', '-c', 'messages=1:', ...ALONE]);
    expect(stdout).toContain('DELIVERY OK');
    expect(code).toBe(2);
    await status('mail1', 'alone', isIn(2));
  });

  test('whatever a server says stays a text: Nagios alone writes : for ;', async () => {
    const argv = ['-H', 'odd.example.com', '--connection-type', 'plaintext', '--auth', 'user', '-v', ...ALONE];
    const { stdout } = await deliver([...argv, '-u', 'o"b!$x;y z\\n']);
    const now = await status('mail1', 'alone', ({ plugin_output }) => plugin_output?.includes('odd') === true);
    expect(now.current_state).toBe('2');
    expect(toldOf(now)).toBe(asNagiosTells(stdout.split(/^(?=DELIVERY)/m)[0] as string));
    expect(now.plugin_output).toContain(String.raw`a:b \back \n [5] PROCESS $5 `);
    expect(now.plugin_output).toContain(String.raw`o"b!$x:y z\n`);
  });

  test('a service that gets nothing becomes UNKNOWN, not CRITICAL, until something comes', async () => {
    const impatient = ['-H', 'mail1.example.com', '--deliver-service', 'impatient'];
    const stale = await status('mail1', 'impatient', isIn(3));
    expect(stale.plugin_output).toBe('UNKNOWN: no result has come: does pop3-sweep run?');
    await deliver(impatient);
    await status('mail1', 'impatient', isIn(0));
    await status('mail1', 'impatient', isIn(3));
    // The others have 900 s.
    expect((await nagios.service('mail2', 'POP3')).plugin_output).toMatch(/^POP3 OK/);
  });

  test('while Nagios does not run results wait, and the newest alone arrives when it is back', async () => {
    await nagios.stop();
    const before = (await nagios.log()).length;
    const waits = await sweep();
    expect(waits.stdout).toMatch(
      /^DELIVERY WARNING - nagios .*: connection-refused, .*; 2 results waiting for the next/m,
    );
    expect(waits.code).toBe(1);
    await monitored.stop('mail1.example.com');
    expect((await sweep()).code).toBe(1);
    await monitored.start('mail1.example.com');
    await nagios.start();
    // The next run is for another service: what waits is delivered all the same.
    const argv = ['--light-mode', '--deliver', `nagios:${COMMAND_FILE}`, '--deliver-host', 'mail1', ...ALONE];
    const { stdout } = await monitored.machine.run(
      [CHECK, '--extra-opts=@/etc/nagios4/pop3.ini', '-H', 'mail1.example.com', ...argv],
      { env: { STATE_DIRECTORY: SWEEP_STATE } },
    );
    expect(stdout).toContain('3 results delivered');
    await status('mail1', 'POP3', isIn(2));
    const since = (await nagios.log()).slice(before);
    expect(since.match(/EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;mail1;POP3;\d/g)).toEqual([
      'EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;mail1;POP3;2',
    ]);
  });

  test('the line for cron prints nothing, and the whole report when Nagios does not get it', async () => {
    const crontab = await readFile(monitored.machine.path('/etc/cron.d/pop3-sweep'), 'utf8');
    const [, user, command = ''] = /^(?:\S+\s+){5}(\S+)\s+(.*)$/m.exec(crontab.replace(/^#.*\n/gm, '')) ?? [];
    expect(user).toBe('nagios');
    expect(command, 'cron would make a line end of it').not.toContain('%');
    const cron = (): Promise<Ended> => monitored.machine.run(['/bin/sh', '-c', command]);
    expect(await cron()).toMatchObject({ code: 0, stdout: '', stderr: '' });
    await nagios.stop();
    const { stdout } = await cron();
    await nagios.start();
    expect(stdout).toMatch(/^POP3 OK - 2 servers, 2 ok .*\n(?:\[OK\] .*\n){2}DELIVERY WARNING - nagios /);
    expect(await cron()).toMatchObject({ stdout: '' });
  });
});

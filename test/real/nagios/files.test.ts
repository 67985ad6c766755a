import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missing, type Program } from '../../support/installed.ts';
import { NAGIOS_CFG, NAGIOS4, SHIPPED, verify } from '../../support/nagios4.ts';
import { OWN_MACHINE, type OwnMachine, startOwnMachine } from '../../support/own-machine.ts';
import { CHECK_POP3, type Ended } from '../../support/run.ts';

const SYSTEMD: Program = { name: 'systemd', commands: ['systemd-analyze'], install: 'apt-get install systemd' };

const shipped = (name: string): Promise<string> => readFile(join(SHIPPED, name), 'utf8');

/** Where the READMEs put them. */
const PLACES = {
  'check_pop3.cfg': '/etc/nagios-plugins/config/check_pop3.cfg',
  'services.cfg': '/etc/nagios4/conf.d/pop3.cfg',
  'farm.cfg': '/etc/nagios4/conf.d/pop3-farm.cfg',
  'pop3-sweep.service': '/etc/systemd/system/pop3-sweep.service',
  'pop3-sweep.timer': '/etc/systemd/system/pop3-sweep.timer',
};

describe.skipIf(missing(NAGIOS4, SYSTEMD, OWN_MACHINE))('our files on a machine with Debian’s own', () => {
  let machine: OwnMachine;

  beforeAll(async () => {
    machine = await startOwnMachine({ hosts: {} });
    await machine.write('/usr/lib/nagios/plugins/check_pop3', await readFile(CHECK_POP3, 'utf8'), { mode: 0o755 });
    for (const [name, place] of Object.entries(PLACES)) await machine.write(place, await shipped(name));
  });
  afterAll(() => machine?.remove());

  test('Nagios loads them with its own nagios.cfg as it stands, without a warning', async () => {
    const { code, said } = await verify(machine);
    expect(said).toMatch(/^Total Warnings: 0$/m);
    expect(said).toMatch(/^Total Errors: {3}0$/m);
    expect(code).toBe(0);
  });

  test('Nagios has read them: without the commands it does not load', async () => {
    await machine.write(PLACES['check_pop3.cfg'], '');
    const { code, said } = await verify(machine);
    await machine.write(PLACES['check_pop3.cfg'], await shipped('check_pop3.cfg'));
    expect(code).not.toBe(0);
    expect(said).toContain(
      "Service check command 'check_pop3!-w 2 -c 5' specified in service 'POP3 logon' for host 'mail'",
    );
  });

  test('what the plugin and a delivery may take is less than Nagios waits', async () => {
    const cfg = await readFile(machine.path(NAGIOS_CFG), 'utf8');
    const seconds = Number(/^service_check_timeout=(\d+)$/m.exec(cfg)?.[1]);
    const { stdout } = await machine.run(['/usr/lib/nagios/plugins/check_pop3', '--help']);
    const usual = (option: string): number =>
      Number(new RegExp(`--${option}\\b[\\s\\S]*?(\\d+)(?: s)? if not\\s+given`).exec(stdout)?.[1]);
    expect(50 + usual('deliver-timeout')).toBeLessThan(seconds);
  });

  test('systemd finds no fault with the units, and little that the service may do', async () => {
    const units = [PLACES['pop3-sweep.service'], PLACES['pop3-sweep.timer']];
    const verified = await machine.run(['systemd-analyze', 'verify', ...units], { as: 'root' });
    expect(verified).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const { stdout } = await analyze('security', '--offline=true', '--no-pager', PLACES['pop3-sweep.service']);
    expect(Number(/exposure level for pop3-sweep\.service: ([\d.]+) /.exec(stdout)?.[1])).toBeLessThan(2);
  });

  test('the timer starts it every five minutes, and it has ended by then', async () => {
    const calendar = /^OnCalendar=(.*)$/m.exec(await shipped('pop3-sweep.timer'))?.[1] ?? '';
    const { stdout } = await analyze('calendar', '--iterations=3', '--base-time=2026-11-24 12:01:00 UTC', calendar);
    expect(stdout.match(/ 12:\d\d:\d\d UTC/g)).toEqual([' 12:05:00 UTC', ' 12:10:00 UTC', ' 12:15:00 UTC']);
    const service = await shipped('pop3-sweep.service');
    const sweepS = Number(/--sweep-timeout (\d+)/.exec(service)?.[1]);
    const limitS = Number(/^TimeoutStartSec=(\d+)$/m.exec(service)?.[1]);
    const deliveryS = 8;
    expect(sweepS + deliveryS).toBeLessThan(limitS);
    expect(limitS).toBeLessThan(300);
  });

  test('every file has its place in the README', async () => {
    const readme = await shipped('README.md');
    const files = (await readdir(SHIPPED)).filter((name) => !/\.(?:ts|md)$/.test(name));
    const table = readme.split('\n').filter((line) => line.startsWith('| `'));
    for (const name of files) {
      const extension = name.replace(/^pop3-sweep/, '');
      expect(
        table.some((row) => row.includes(`\`${name}\``) || row.includes(`\`${extension}\``)),
        name,
      ).toBe(true);
    }
  });

  const analyze = (...argv: readonly string[]): Promise<Ended> =>
    machine.run(['systemd-analyze', ...argv], { as: 'root' });
});

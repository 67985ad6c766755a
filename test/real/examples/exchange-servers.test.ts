import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { missing } from '../../support/installed.ts';
import { type Nagios4, startNagios4, verify } from '../../support/nagios4.ts';
import type { Listener, OwnMachine } from '../../support/own-machine.ts';
import type { OwnServer } from '../../support/own-server.ts';
import { type Ended, keepSecret } from '../../support/run.ts';
import { SLAPD, startSlapd } from '../../support/slapd.ts';
import { until } from '../../support/until.ts';
import { directoryWith, SERVERS } from './active-directory.ts';
import { type DebianIcinga2, furnishIcinga2 } from './debian-icinga2.ts';
import {
  attempt,
  type Example,
  fileAt,
  obey,
  PROJECT,
  redLine,
  type Trial,
  unmet,
  writeAsTheyStand,
} from './document.ts';
import { settled, startWorkplace, WORKPLACE } from './workplace.ts';

const CONTROLLERS = { 'dc01.example.com': '127.0.0.21', 'dc02.example.com': '127.0.0.22' };
const FRONT_ENDS = {
  'cas10.example.com': '127.0.0.31',
  'cas13.example.com': '127.0.0.32',
  'ex16.example.com': '127.0.0.33',
};
type FrontEnd = keyof typeof FRONT_ENDS;
const ALL = Object.keys(FRONT_ENDS) as FrontEnd[];
const READER_PASSWORD = "the reader's password";
const LIST = '/var/lib/nagios/exchange-servers';
const SCRIPT = new URL('../../../plugins/examples/exchange-servers', import.meta.url);

describe.skipIf(missing(...WORKPLACE, SLAPD))('the example of Exchange servers found in Active Directory', () => {
  let machine: OwnMachine;
  let example: Example;
  let icinga: DebianIcinga2;
  let nagios: Nagios4 | null = null;
  let slapd: OwnServer;
  let sandbox: Sandbox;
  const controllers: Listener[] = [];
  const listeners = new Map<FrontEnd, Listener>();

  beforeAll(async () => {
    const hosts = Object.entries({ ...CONTROLLERS, ...FRONT_ENDS }).map(([name, address]) => [name, [address]]);
    const workplace = await startWorkplace('Exchange of your own', Object.fromEntries(hosts));
    ({ machine, example } = workplace);
    const { authority } = workplace;
    slapd = await startSlapd({
      identity: await authority.issue({ names: Object.keys(CONTROLLERS) }),
      ...directoryWith(SERVERS, READER_PASSWORD),
    });
    sandbox = await startSandbox({
      user: 'probe2@example.com',
      password: keepSecret('the other password'),
      identity: await authority.issue({ names: ALL }),
    });
    await openControllers();
    for (const name of ALL) await open(name);
    await machine.write(`${PROJECT}/plugins/examples/exchange-servers`, await readFile(SCRIPT, 'utf8'));
    await obey(machine, commands('/usr/local/sbin/'));
    icinga = await furnishIcinga2(machine);
    await writeAsTheyStand(machine, example.files);
  });
  afterAll(async () => {
    await nagios?.stop();
    await machine?.remove();
    await slapd?.stop();
    await sandbox?.close();
  });

  const open = async (name: FrontEnd): Promise<void> => {
    listeners.set(name, await machine.listen(FRONT_ENDS[name], 110, () => sandbox.pop3Port));
  };
  const close = async (name: FrontEnd): Promise<void> => {
    await listeners.get(name)?.close();
  };
  const openControllers = async (...addresses: readonly string[]): Promise<void> => {
    for (const address of addresses.length === 0 ? Object.values(CONTROLLERS) : addresses) {
      controllers.push(await machine.listen(address, 636, () => slapd.tlsPort));
    }
  };
  const closeControllers = async (): Promise<void> => {
    for (const listener of controllers.splice(0)) await listener.close();
  };

  /** The block of commands that has these words. */
  function commands(words: string): string {
    const found = example.commands.filter((each) => each.includes(words));
    expect(found, words).toHaveLength(1);
    return found[0] as string;
  }

  const list = (): Promise<string> => readFile(machine.path(LIST), 'utf8');
  const refresh = (): Promise<Ended> => machine.run(['sh', '-c', cronLine(/exchange-servers \S+$/)]);

  /** What cron would run, by the file as it stands. */
  function cronLine(ending: RegExp): string {
    const { text } = fileAt(example, '/etc/cron.d/exchange-servers');
    const lines = text.split('\n').filter((line) => ending.test(line) && !line.startsWith('#'));
    expect(lines).toHaveLength(1);
    const [, , , , , user, command = ''] = (lines[0] as string).split('\t');
    expect(user).toBe('nagios');
    return command;
  }

  describe('the list', () => {
    test('has the servers with the Client Access role, and no others', async () => {
      const trial = example.trials[0] as Trial;
      const { stdout, code } = await attempt(machine, trial);
      expect(stdout).toBe(trial.shown.trimEnd().concat('\n'));
      expect(stdout.trim().split('\n')).toEqual(ALL);
      expect(SERVERS.length).toBe(6);
      expect(code).toBe(0);
    });

    test('is made anew by cron without a word', async () => {
      await machine.write(LIST, 'gone.example.com\n');
      expect(await refresh()).toMatchObject({ code: 0, stdout: '', stderr: '' });
      expect((await list()).trim().split('\n')).toEqual(ALL);
    });

    test('comes from the second domain controller where the first does not answer', async () => {
      await closeControllers();
      await openControllers(CONTROLLERS['dc02.example.com']);
      await machine.write(LIST, 'gone.example.com\n');
      expect(await refresh()).toMatchObject({ code: 0, stdout: '', stderr: '' });
      expect((await list()).trim().split('\n')).toEqual(ALL);
      await closeControllers();
      await openControllers();
    });

    test('stays as it is when no domain controller answers, and cron mails why', async () => {
      await closeControllers();
      const before = await list();
      const { code, stderr } = await refresh();
      await openControllers();
      expect(stderr).toMatch(redLine(example, "Can't contact"));
      expect(code).not.toBe(0);
      expect(await list()).toBe(before);
    });

    test('stays as it is when the reader is refused, as with a line end behind the password', async () => {
      const before = await list();
      await machine.write('/etc/pop3-probe/pop3-reader.pw', `${READER_PASSWORD}\n`, { mode: 0o640, group: 'nagios' });
      const { code, stderr } = await refresh();
      await obey(machine, commands('/usr/local/sbin/'));
      await writeAsTheyStand(machine, [fileAt(example, '/etc/pop3-probe/exchange.ini')]);
      expect(stderr).toMatch(redLine(example, 'Invalid credentials'));
      expect(code).not.toBe(0);
      expect(await list()).toBe(before);
      expect((await refresh()).code).toBe(0);
    });

    test('stays as it is when the directory has none', async () => {
      const before = await list();
      const full = slapd;
      slapd = await startSlapd({
        identity: {
          certificate: await readFile(`${full.folder}/certificate.pem`, 'utf8'),
          key: await readFile(`${full.folder}/key.pem`, 'utf8'),
        },
        ...directoryWith(
          SERVERS.filter(({ roles }) => roles === 64),
          READER_PASSWORD,
        ),
      });
      const { code, stderr } = await refresh();
      await slapd.stop();
      slapd = full;
      expect(stderr).toBe('exchange-servers: the directory knows no server with this role\n');
      expect(code).toBe(1);
      expect(await list()).toBe(before);
    });
  });

  describe('Nagios', () => {
    const sweep = (): Promise<Ended> => machine.run(['sh', '-c', cronLine(/--passive\) \|\| echo "\$report"$/)]);
    const silence = { code: 0, stdout: '', stderr: '' };

    beforeAll(async () => {
      await obey(machine, commands('nagios4 -v'));
      expect(await verify(machine)).toMatchObject({ code: 0, said: expect.stringContaining('Total Warnings: 0') });
      nagios = await startNagios4(machine);
    });
    afterAll(() => nagios?.stop());

    test('has a service for each, green, red where that server stops, and green again, and cron has nothing to mail', async () => {
      const core = nagios as Nagios4;
      expect(await sweep()).toMatchObject(silence);
      for (const name of ALL) {
        const { plugin_output } = await settled(core, name, 'POP3', 0);
        expect(plugin_output).toContain(`POP3 OK - ${name}: logon `);
      }
      await close('ex16.example.com');
      expect(await sweep()).toMatchObject(silence);
      const { plugin_output } = await settled(core, 'ex16.example.com', 'POP3', 2);
      expect(plugin_output).toMatch(redLine(example, 'connection-refused'));
      for (const name of ALL.slice(0, 2)) expect((await core.service(name, 'POP3')).current_state).toBe('0');
      await open('ex16.example.com');
      expect(await sweep()).toMatchObject(silence);
      await settled(core, 'ex16.example.com', 'POP3', 0);
    });

    test('says so when no result comes', async () => {
      const core = nagios as Nagios4;
      await core.command(`SCHEDULE_FORCED_SVC_CHECK;cas10.example.com;POP3;${Math.floor(Date.now() / 1000)}`);
      const { plugin_output } = await settled(core, 'cas10.example.com', 'POP3', 3);
      expect(plugin_output).toMatch(redLine(example, 'no result has come'));
    });

    test('logs a result for a server it has no host for', async () => {
      await machine.write(LIST, `${await list()}ex19.example.com\n`);
      expect(await sweep()).toMatchObject(silence);
      await machine.write(LIST, `${ALL.join('\n')}\n`);
      await until('it is logged', async () => (await (nagios as Nagios4).log()).includes("on host 'ex19.example.com'"));
    });
  });

  describe('Icinga 2', () => {
    const SWEEP = 'exchange!POP3 sweep';

    beforeAll(async () => {
      await obey(machine, commands('icinga2 daemon -C'));
      await icinga.restart();
    });
    afterAll(() => icinga.stop());

    const states = async (): Promise<readonly number[]> =>
      Promise.all(ALL.map(async (name) => (await icinga.service(`${name}!POP3`)).state));

    test('has a service for each, fed by the sweep: green, red where that server stops, and green again', async () => {
      const { state, last_check_result } = await icinga.check(SWEEP);
      expect(last_check_result.output).toMatch(/^POP3 OK - 3 servers, 3 ok /);
      expect(last_check_result.output).toContain('DELIVERY OK - icinga2 127.0.0.1:5665: 3 results delivered');
      expect(state).toBe(0);
      expect(await states()).toEqual([0, 0, 0]);
      expect((await icinga.host('ex16.example.com')).address).toBe('ex16.example.com');

      await close('ex16.example.com');
      const { state: ofDelivery } = await icinga.check(SWEEP);
      expect(ofDelivery).toBe(0);
      expect(await states()).toEqual([0, 0, 2]);
      const { last_check_result: red } = await icinga.service('ex16.example.com!POP3');
      expect(`POP3 ${red.output}`).toMatch(redLine(example, 'connection-refused'));
      expect(red.active).toBe(false);

      await open('ex16.example.com');
      await icinga.check(SWEEP);
      expect(await states()).toEqual([0, 0, 0]);
    });

    test('shows at the sweep that a server has no host yet', async () => {
      await machine.write(LIST, `${await list()}ex19.example.com\n`);
      const { state, last_check_result } = await icinga.check(SWEEP);
      await machine.write(LIST, `${ALL.join('\n')}\n`);
      expect(last_check_result.output).toMatch(redLine(example, 'ex19.example.com'));
      expect(state).toBe(3);
    });
  });

  test('no line of the table of what to look at was passed over', () => {
    expect(unmet(example)).toEqual([]);
  });
});

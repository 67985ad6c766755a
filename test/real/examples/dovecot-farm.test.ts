import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { type Nagios4, startNagios4, verify } from '../../support/nagios4.ts';
import type { Listener } from '../../support/own-machine.ts';
import { keepSecret } from '../../support/run.ts';
import { type DebianIcinga2, furnishIcinga2 } from './debian-icinga2.ts';
import { asShown, attempt, fileAt, obey, redLine, type Trial, unmet, writeAsTheyStand } from './document.ts';
import { settled, startWorkplace, WORKPLACE, type Workplace } from './workplace.ts';

const NAME = 'pop.example.com';
const ADDRESSES = ['192.0.2.25', '192.0.2.26', '192.0.2.27'] as const;
const THIRD = ADDRESSES[2];
/** It is the mail servers'. */
const USERS = '/etc/dovecot/users';
const PASSWORD = keepSecret('the password');

describe.skipIf(missing(...WORKPLACE, DOVECOT))('the example of a Dovecot farm', () => {
  let workplace: Workplace;
  let trial: Trial;
  let nagios: Nagios4;
  let icinga: DebianIcinga2;
  /** What answers at the third address; the other two are one server. */
  let third: { readonly dovecot: Dovecot; readonly listener: Listener } | null = null;
  let others: Dovecot;

  /** A server with the users of the document. */
  async function start(changes: { readonly notAfter?: Date; readonly allowed?: string } = {}): Promise<Dovecot> {
    const { authority, example } = workplace;
    const { notAfter, allowed = '127.0.0.1' } = changes;
    const identity = await authority.issue({
      names: [NAME],
      ...(notAfter === undefined ? {} : { notBefore: new Date(notAfter.getTime() - 86_400_000), notAfter }),
    });
    const users = fileAt(example, USERS)
      .text.replace('{BLF-CRYPT}$2y$05$…', `{PLAIN}${PASSWORD}`) // it is a hash of nothing
      .replace('192.0.2.10', allowed); // where the connections of the machine come from
    return await startDovecot({
      identity,
      users: { 'somebody.else@example.com': 'another password' },
      files: { users2: users },
      config: (folder) => `passdb {\n driver = passwd-file\n args = username_format=%u ${folder}/users2\n}\n`,
    });
  }

  async function startThird(changes?: Parameters<typeof start>[0]): Promise<void> {
    const dovecot = await start(changes);
    third = { dovecot, listener: await workplace.machine.listen(THIRD, 110, () => dovecot.port) };
  }

  async function stopThird(): Promise<void> {
    await third?.listener.close();
    await third?.dovecot.stop();
    third = null;
  }

  beforeAll(async () => {
    workplace = await startWorkplace('A Dovecot farm behind one name', { [NAME]: ADDRESSES });
    const { machine, example } = workplace;
    trial = example.trials[0] as Trial;
    others = await start();
    for (const address of ADDRESSES.slice(0, 2)) await machine.listen(address, 110, () => others.port);
    await startThird();
    for (const commands of example.commands) await obey(machine, commands);
    icinga = await furnishIcinga2(machine);
    await writeAsTheyStand(
      machine,
      example.files.filter(({ path }) => path !== USERS),
    );
    expect(await verify(machine)).toMatchObject({ code: 0, said: expect.stringContaining('Total Warnings: 0') });
    nagios = await startNagios4(machine);
    await icinga.restart();
  });
  afterAll(async () => {
    await nagios?.stop();
    await stopThird();
    await workplace?.machine.remove();
    await others?.stop();
  });

  test('by hand, every address answers as it is shown', async () => {
    const { stdout, code } = await attempt(workplace.machine, trial);
    expect(stdout).toMatch(asShown(trial.shown));
    expect(code).toBe(0);
  });

  test('in both it is green, red at one address and for the farm when that server stops, and green again', async () => {
    const address = (at: number): string => `${NAME}!POP3 ${ADDRESSES[at]}`;
    const inIcinga = async (name: string): Promise<number> => (await icinga.check(name)).state;

    for (const host of ['pop1', 'pop2', 'pop3']) await settled(nagios, host, 'POP3', 0);
    const { plugin_output } = await settled(nagios, NAME, 'POP3 farm', 0);
    expect(plugin_output).toBe('POP3 OK - pop.example.com: 3 addresses, 3 ok');
    expect(await Promise.all([0, 1, 2].map((at) => inIcinga(address(at))))).toEqual([0, 0, 0]);
    expect(await inIcinga(`${NAME}!POP3 farm`)).toBe(0);

    await stopThird();
    const { plugin_output: farm, long_plugin_output: lines } = await settled(nagios, NAME, 'POP3 farm', 2);
    expect(farm).toBe('POP3 CRITICAL - pop.example.com: 3 addresses, 1 critical, 2 ok');
    expect(lines).toMatch(/^\[CRITICAL\] 192\.0\.2\.27: connection-refused, .*\\n\[OK\] .*\\n\[OK\] /);
    const { plugin_output: alone } = await settled(nagios, 'pop3', 'POP3', 2);
    expect(alone).toMatch(/^POP3 CRITICAL - pop\.example\.com: connection-refused, 192\.0\.2\.27 port 110/);
    expect((await nagios.service('pop1', 'POP3')).current_state).toBe('0');
    expect(await Promise.all([0, 1, 2].map((at) => inIcinga(address(at))))).toEqual([0, 0, 2]);
    expect(await inIcinga(`${NAME}!POP3 farm`)).toBe(2);

    await startThird();
    for (const host of ['pop1', 'pop2', 'pop3']) await settled(nagios, host, 'POP3', 0);
    await settled(nagios, NAME, 'POP3 farm', 0);
    expect(await inIcinga(address(2))).toBe(0);
  });

  test('a fourth address is tested as soon as the name has it, and by nobody else', async () => {
    const { machine } = workplace;
    const hosts = ADDRESSES.map((each) => `${each} ${NAME}\n`).join('');
    await machine.write('/etc/hosts', `127.0.0.1 localhost\n${hosts}127.0.0.9 ${NAME}\n`);
    const { line } = await attempt(machine, trial);
    await machine.write('/etc/hosts', `127.0.0.1 localhost\n${hosts}`);
    expect(line).toContain('POP3 CRITICAL - pop.example.com: 4 addresses, 1 critical, 3 ok');
  });

  const RED: readonly (readonly [what: string, shown: string, changes: Parameters<typeof start>[0] | null])[] = [
    ['does not run', 'connection-refused', null],
    ['has a certificate of yesterday', 'certificate-expired', { notAfter: new Date(Date.now() - 3_600_000) }],
    ['does not let this machine in', 'login-refused', { allowed: '192.0.2.10' }],
  ];

  test.each(RED)('when the third server %s, the line is the one to be looked up', async (_, shown, changes) => {
    const { machine, example } = workplace;
    await stopThird();
    if (changes !== null) await startThird(changes);
    const { stdout, code } = await attempt(machine, trial);
    await stopThird();
    await startThird();
    expect(stdout).toMatch(redLine(example, '1 critical, 2 ok'));
    expect(stdout.split('\n')[1]).toMatch(redLine(example, shown));
    expect(code).toBe(2);
  });

  test('no line of the table of what to look at was passed over', () => {
    expect(unmet(workplace.example)).toEqual([]);
  });
});

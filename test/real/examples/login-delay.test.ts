import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { composed } from '../../../src/probe/message.ts';
import { missing } from '../../support/installed.ts';
import { markerOf, signed } from '../../support/letters.ts';
import { type Nagios4, startNagios4, verify } from '../../support/nagios4.ts';
import type { OwnMachine } from '../../support/own-machine.ts';
import { type Ended, keepSecret } from '../../support/run.ts';
import { until } from '../../support/until.ts';
import { furnishIcinga2 } from './debian-icinga2.ts';
import { attempt, type Example, fileAt, obey, redLine, type Trial, unmet, writeAsTheyStand } from './document.ts';
import { type Provider, startProvider } from './provider.ts';
import { settled, startWorkplace, WORKPLACE, type Workplace } from './workplace.ts';

const HEADING = 'A provider that wants time';
const HOSTS = { 'pop.example.net': ['192.0.2.35'], 'smtp.example.net': ['192.0.2.36'] };
const NAGIOS_FILE = '/etc/nagios4/conf.d/hosted.cfg';
const ICINGA_FILE = '/etc/icinga2/conf.d/pop3/hosted.conf';
const CRON = '/etc/cron.d/pop3-hosted';
const STATE = '/var/lib/nagios4/pop-connectivity';
const ROUND_TRIP = ['pop.example.net', 'POP3 round trip'] as const;
const DELAY_S = 300;
const MINUTE_S = 60;

describe.skipIf(missing(...WORKPLACE))('the example of a provider with LOGIN-DELAY', () => {
  let first: Workplace;
  let machine: OwnMachine;
  let example: Example;
  let provider: Provider;
  /** What time it is at the provider, in seconds. */
  let now: () => number = () => 0;
  const machines: OwnMachine[] = [];

  /** A monitoring machine from which the provider is in reach, with what the document has for either of two. */
  async function startMachine(): Promise<Workplace> {
    const workplace = await startWorkplace(HEADING, HOSTS, first?.authority);
    machines.push(workplace.machine);
    await workplace.machine.listen('192.0.2.35', 995, () => provider.pop3sPort);
    await workplace.machine.listen('192.0.2.36', 587, () => provider.smtpPort);
    for (const commands of workplace.example.commands) await obey(workplace.machine, commands);
    const { files } = workplace.example;
    await writeAsTheyStand(
      workplace.machine,
      files.filter(({ path }) => path.startsWith('/etc/pop3-probe/') || path === CRON),
    );
    return workplace;
  }

  beforeAll(async () => {
    first = await startMachine();
    ({ machine, example } = first);
    provider = await startProvider({
      identity: await first.authority.issue({ names: Object.keys(HOSTS) }),
      user: 'probe@example.net',
      password: keepSecret('the password'),
      loginDelayS: DELAY_S,
      now: () => now(),
    });
  });
  beforeEach(async () => {
    provider.carry = 'into the inbox';
    const before = now();
    now = () => before + 3600; // whatever was before is long past
    await obey(machine, `rm -rf ${STATE}`);
    provider.maildrop.remove(new Set(provider.maildrop.messages.map(({ uid }) => uid)));
  });
  afterAll(async () => {
    for (const each of machines) await each.remove();
    await provider?.close();
  });

  const pass = (seconds: number): void => {
    const before = now();
    now = () => before + seconds;
  };

  /** The active check, as Nagios would run it. */
  function command(without = ''): string {
    const { text } = fileAt(example, NAGIOS_FILE);
    const [, options = ''] = /check_pop3_round_trip!(.*)/.exec(text) ?? [];
    expect(options).toContain('--split');
    return `/usr/lib/nagios/plugins/check_pop3 -H pop.example.net --state-dir ${STATE} ${options.replace(without, '')}`;
  }
  const check = (without?: string): Promise<Ended> => machine.run(['sh', '-c', command(without)]);

  test('what the provider wants is shown as in the document', async () => {
    const trial = example.trials[0] as Trial;
    expect(await attempt(machine, trial)).toMatchObject({ code: 0, stdout: trial.shown.trimStart(), stderr: '' });
    expect(trial.shown).toContain(`LOGIN-DELAY ${DELAY_S}\n`);
  });

  test('at the interval of the example each run finds what the one before has sent, and nothing is left but the last', async () => {
    const { line } = await check();
    expect(line).toMatch(/^POP3 OK - pop\.example\.net: .* a message is under way to the next run/);
    for (const _ of [1, 2, 3]) {
      pass(10 * MINUTE_S);
      const { line: next, code } = await check();
      expect(next).toMatch(
        /^POP3 OK - pop\.example\.net: round trip .* delivery [\d.]+ m?s, by the mail servers' clocks/,
      );
      expect(next).toMatch(/ delivery=\d+\.\d{3}s;120;600;0 /);
      expect(code).toBe(0);
    }
    expect(provider.maildrop.messages).toHaveLength(1);
  });

  describe('the line to be looked up is shown', () => {
    test('when somebody was there within five minutes', async () => {
      await check();
      pass(DELAY_S - 1);
      const { line, code } = await check();
      expect(line).toMatch(redLine(example, 'login-delay'));
      expect(code).toBe(1);
      pass(DELAY_S);
      expect((await check()).line).toMatch(/^POP3 OK - .* delivery /); // nothing was lost by it
    });

    test('when the message has not come by the next run, and when it has not come after an hour', async () => {
      provider.carry = 'nowhere';
      await check();
      pass(10 * MINUTE_S);
      const late = await check();
      expect(late.line).toMatch(redLine(example, 'delivery-delayed'));
      expect(late.code).toBe(1);
      pass(MINUTE_S * 60);
      ageWhatIsRemembered(3700);
      const lost = await check();
      expect(lost.line).toMatch(redLine(example, 'not-delivered'));
      expect(lost.code).toBe(2);
    });

    test('when --split is missing', async () => {
      const { line, code } = await check('--split');
      expect(line).toMatch(redLine(example, 'too long for a full test in one run'));
      expect(code).toBe(3);
    });
  });

  /** As if all of it had happened so many seconds earlier, for the machine's own clock cannot be set. */
  function ageWhatIsRemembered(seconds: number): void {
    const folder = machine.path(STATE);
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    expect(files).toHaveLength(1);
    const file = join(folder, files[0] as string);
    const earlier = (_: string, name: string, at: string) => `"${name}":${Number(at) - seconds}`;
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"(sentAt|expiresAt)":(\d+)/g, earlier));
  }

  test('Icinga 2 tests by its files: green at the second run', async () => {
    const icinga = await furnishIcinga2(machine);
    await writeAsTheyStand(machine, [fileAt(example, ICINGA_FILE)]);
    await icinga.restart();
    const name = ROUND_TRIP.join('!');
    const { check_interval, retry_interval } = await icinga.service(name);
    expect(check_interval).toBeGreaterThan(DELAY_S);
    expect(retry_interval).toBeGreaterThan(DELAY_S);
    await icinga.check(name);
    pass(10 * MINUTE_S);
    const { state, last_check_result } = await icinga.check(name);
    expect(last_check_result.output).toMatch(/^POP3 OK - pop\.example\.net: round trip .* delivery /);
    expect(state).toBe(0);
    await icinga.stop();
  });

  describe('at Nagios, where a minute is a second and so it is at the provider', () => {
    let nagios: Nagios4;
    afterAll(() => nagios?.stop());

    test('neither the interval nor the one after a failure is ever too short', async () => {
      await writeAsTheyStand(machine, [fileAt(example, NAGIOS_FILE)]);
      expect(await verify(machine)).toMatchObject({ code: 0, said: expect.stringContaining('Total Warnings: 0') });
      const began = Date.now();
      const before = now();
      const visits = (): number => provider.logons.length - seen;
      const seen = provider.logons.length;
      now = () => before + ((Date.now() - began) / 1000) * MINUTE_S;
      nagios = await startNagios4(machine);
      await until('the first run', () => visits() > 0);
      await until('the second run', () => visits() > 1);
      const output = async (): Promise<string> => (await nagios.service(...ROUND_TRIP)).plugin_output ?? '';
      await until('it is green', async () => /^POP3 OK - .* delivery /.test(await output()));
      provider.carry = 'nowhere';
      await until('the third run', () => visits() > 2);
      await until('the first one that misses its message', () => visits() > 3);
      expect((await settled(nagios, ...ROUND_TRIP, 1)).plugin_output).toContain('delivery-delayed');
      await nagios.stop();
      expect(visits()).toBeGreaterThan(4);
      expect(provider.logons.slice(seen).filter(({ isRefused }) => isRefused)).toEqual([]);
    });
  });

  test('two machines, one with Nagios and one with Icinga 2, share the mailbox by cron: neither ever comes too early', async () => {
    const { machine: other } = await startMachine();
    const key = readFileSync(machine.path('/etc/pop3-probe/marker.key'), 'utf8');
    writeFileSync(other.path('/etc/pop3-probe/marker.key'), key); // "take the file to the other"
    const icinga = await furnishIcinga2(other);
    await writeAsTheyStand(other, [fileAt(example, ICINGA_FILE, 'second')]);
    await icinga.restart();
    await writeAsTheyStand(machine, [fileAt(example, NAGIOS_FILE, 'second')]);
    const nagios = await startNagios4(machine);

    const { text } = fileAt(example, CRON);
    const [, remark = '', minutes = '', line = ''] = /^(#.*)\n(\S+)\t\*\t\*\t\*\t\*\tnagios\t(.*)\n$/.exec(text) ?? [];
    const [, others = ''] = /the minutes are ([\d,]+)\./.exec(remark) ?? [];
    expect(remark).toContain('icinga2@ in the place of nagios@');
    const table = [
      { machine, minutes, line },
      { machine: other, minutes: others, line: line.replace('nagios@', 'icinga2@') },
    ].map((each) => ({ ...each, minutes: each.minutes.split(',').map(Number) }));
    expect(table.map((each) => each.minutes.length)).toEqual([3, 3]);

    const seen = provider.logons.length;
    const start = now();
    for (let minute = 0; minute < 2 * 60; minute += 1) {
      now = () => start + minute * MINUTE_S;
      for (const each of table.filter(({ minutes: due }) => due.includes(minute % 60))) {
        const { stdout, code } = await each.machine.run(['sh', '-c', each.line]);
        expect([stdout, code], `minute ${minute}`).toEqual(['', 0]); // cron has nothing to mail
      }
    }
    const logons = provider.logons.slice(seen);
    expect(logons).toHaveLength(12);
    expect(logons.filter(({ isRefused }) => isRefused)).toEqual([]);
    expect(provider.maildrop.messages).toHaveLength(2); // one under way to the next run of each
    const { plugin_output } = await settled(nagios, ...ROUND_TRIP, 0);
    expect(plugin_output).toMatch(/^POP3 OK - pop\.example\.net: round trip .* delivery /);
    const { state, last_check_result } = await icinga.service(ROUND_TRIP.join('!'));
    expect([state, last_check_result.active, last_check_result.ttl]).toEqual([0, false, 3000]);
    expect(last_check_result.output).toContain(' delivery ');

    // The first machine was killed two hours ago: by the common key, the other one may remove what it left.
    for (const { machine: there, line: command } of table) {
      provider.maildrop.deliver(leftBehind(machine));
      pass(10 * MINUTE_S);
      expect((await there.run(['sh', '-c', command])).code).toBe(0);
      expect(provider.maildrop.messages).toHaveLength(2);
    }
    await nagios.stop();
    await icinga.stop();
  });

  /** What a run on a machine sent two hours ago, and nobody came for. */
  function leftBehind(on: OwnMachine): Uint8Array {
    const key = Buffer.from(readFileSync(on.path('/etc/pop3-probe/marker.key'), 'utf8'), 'base64');
    const sentAt = Math.floor(Date.now() / 1000) - 7200;
    const run = randomBytes(8).toString('hex');
    const user = 'probe@example.net';
    const marker = signed(markerOf(run, sentAt), { key, recipient: user });
    return composed({ marker, run, from: user, to: user, sentAt: new Date(sentAt * 1000) });
  }

  test('no line of the table of what to look at was passed over', () => {
    expect(unmet(example)).toEqual([]);
  });
});

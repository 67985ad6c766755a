import { describe, expect, test } from 'vitest';
import { EXIM, type Exim } from '../../support/exim.ts';
import { withExim } from '../../support/exim-scenes.ts';
import { missing } from '../../support/installed.ts';
import { VIEW_OF_FILES } from '../../support/own-view.ts';
import { CHECK_POP3, launch } from '../../support/run.ts';
import { metric, type Scene } from '../../support/scenes.ts';
import { until } from '../../support/until.ts';

/** Courier announces it, in seconds. */
const LOGIN_DELAY_S = 10;

/** When the run logged on, in seconds, by the conversation that -vvv tells. */
function logonsIn(stdout: string): readonly number[] {
  return Array.from(stdout.matchAll(/^ *([\d.]+) ms C (?:PASS|AUTH) /gm), ([, ms]) => Number(ms) / 1000);
}

/** That one visit finds the message and another one sees that it is gone, no closer together than the server wants. */
function expectThreeVisits(stdout: string): void {
  const logons = logonsIn(stdout);
  expect(logons).toHaveLength(3);
  for (const [at, logon] of logons.slice(1).entries()) {
    expect(logon - (logons[at] as number)).toBeGreaterThanOrEqual(LOGIN_DELAY_S);
  }
}

const delivered = async ({ system, user }: Scene<Exim>): Promise<number> =>
  (await system.log()).split('\n').filter((line) => line.includes(` => `) && line.includes(`<${user}>`)).length;

describe.skipIf(missing(EXIM, VIEW_OF_FILES)).concurrent('the full test by Exim and Courier', () => {
  const { scene, sceneWith } = withExim();

  test.each([
    ['STLS', 'STARTTLS', false],
    ['implicit TLS', 'submissions', true],
  ] as const)('POP3 by %s, sending by %s: it keeps to the LOGIN-DELAY', (_, __, ssl) =>
    scene(async (its) => {
      const { courier, tlsPort } = its.system;
      const ended = await its.check({
        ...(ssl && { 'connection-type': 'ssl', 'port-client-access-server': String(courier.tlsPort) }),
        ...(ssl && { 'smtp-connection-type': 'ssl', 'smtp-port': String(tlsPort) }),
        ...{ timeout: '26', verbose: 3 },
      });
      expect(ended.line).toMatch(/^POP3 OK - localhost: round trip 2\d\.\d+ s, /);
      expect(metric(ended, 'messages')).toBe(its.foreign);
      expect(metric(ended, 'polls')).toBe(1);
      expect(ended.stdout).toContain(`LOGIN-DELAY ${LOGIN_DELAY_S}`);
      expectThreeVisits(ended.stdout);
      expect(await delivered(its)).toBe(1);
      return 0;
    }),
  );

  test('too little time for three visits: nothing is sent, and the line says what to do', () =>
    scene(async (its) => {
      const { line, code } = await its.check({ timeout: '15' });
      expect(line).toMatch(/^POP3 UNKNOWN - localhost: configuration in login, .*LOGIN-DELAY.* use --split/);
      expect(code).toBe(3);
      expect(await its.system.log()).not.toContain(its.user);
      return 0;
    }));

  test('a recipient who is refused', () =>
    scene(async (its) => {
      const ended = await its.check({ 'mail-to': 'other@example.com' });
      expect(ended.line).toMatch(/^POP3 CRITICAL - localhost: send-refused, .*server said "550 Unrouteable address"/);
      expect(ended.code).toBe(2);
      expect(metric(ended, 'time_login')).toBeGreaterThanOrEqual(0);
      return 0;
    }));

  test('a message that is doubled on its way: both are removed', () =>
    sceneWith({ duplicates: true }, async (its) => {
      const ended = await its.check();
      expect(ended.line).toMatch(/^POP3 WARNING - localhost: duplicate, the message arrived 2 times/);
      expect(ended.code).toBe(1);
      expect((await its.system.log()).match(/ => /g)).toHaveLength(2);
      return 0;
    }));

  test('--split: one visit a run, so that there is no delay to keep to', () =>
    scene(async (its) => {
      const { check, ours } = its;
      const first = await check({ split: true, timeout: '5' });
      expect(first.line).toMatch(/^POP3 OK - .*a message is under way to the next run/);
      await until('the message is there', async () => (await ours()).length === 1);
      const [message] = await ours();
      const second = await check({ split: true, timeout: '5', verbose: true });
      expect(second.line).toMatch(/^POP3 OK - .* delivery .*, by the mail servers' clocks/);
      expect(second.stdout).toContain('pending 0, lost 0');
      await until('the next one is there', async () => (await delivered(its)) === 2);
      expect(await ours()).not.toContain(message);
      return 1;
    }));

  test('killed after the sending: the next run tidies up', () =>
    scene(async (its) => {
      const { check, ours, options } = its;
      const killed = await launch(CHECK_POP3, options(), {
        meanwhile: async (child) => {
          // Until the next visit are ten seconds.
          await until('the message is there', async () => (await ours()).length === 1);
          child.kill('SIGKILL');
        },
      });
      expect(killed.code).toBe(null);
      expect(await ours()).toHaveLength(1);
      const next = await check();
      expect(next.line).toMatch(/^POP3 OK - .*, 1 message of earlier runs removed \|/);
      expect(metric(next, 'stale')).toBe(1);
      expect(await delivered(its)).toBe(2);
      return 0;
    }));
});

import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Moment, startHaltingProxy } from '../../support/halting-proxy.ts';
import { missing } from '../../support/installed.ts';
import { POSTFIX, ROOT } from '../../support/postfix.ts';
import { IN_CLEAR, inClear, type TreatingPostfix, withPostfix } from '../../support/postfix-scenes.ts';
import { CHECK_POP3, launch } from '../../support/run.ts';
import type { Options, Scene } from '../../support/scenes.ts';
import { until } from '../../support/until.ts';

/**
 * A run is killed (SIGKILL: it cannot clean up) at moments that a proxy in the clear waits for: either the line does
 * not reach the server any more, or the server has acted on it and the run never hears of it.
 */
describe.skipIf(missing(POSTFIX, ROOT)).concurrent('a run that is killed', () => {
  const { scene } = withPostfix({ config: IN_CLEAR });

  /** How many messages are in the mailbox afterwards that nobody waits for. */
  type Leaves = 0 | 1;
  type Proxied = 'pop3' | 'smtp';
  type Case = readonly [when: string, proxied: Proxied, moment: Moment, leaves: Leaves];

  test.each<Case>([
    ['before the first octet', 'pop3', { connection: 1 }, 0],
    ['before the password', 'pop3', { says: /^PASS/ }, 0],
    ['while the password is being judged', 'pop3', { says: /^PASS/, until: 'answered' }, 0],
    ['while it takes stock', 'pop3', { says: /^UIDL$/, until: 'answered' }, 0],
    ['while it looks at older messages', 'pop3', { says: /^TOP 4 / }, 0],
    ['at the end of its first visit', 'pop3', { says: /^QUIT/, until: 'answered' }, 0],
    ['between its first visit and the sending', 'smtp', { connection: 1 }, 0],
    ['when its recipient was taken', 'smtp', { says: /^RCPT/, until: 'answered' }, 0],
    ['before the last dot of its message', 'smtp', { says: /^\.$/ }, 0],
    ['when its message was taken, before it hears of that', 'smtp', { says: /^\.$/, until: 'answered' }, 1],
    ['when it heard of that', 'pop3', { connection: 2 }, 1],
    ['before it looks for its message', 'pop3', { says: /^PASS/, time: 2 }, 1],
    ['before it retrieves its message', 'pop3', { says: /^RETR/ }, 1],
    ['while it retrieves its message', 'pop3', { says: /^RETR/, until: 'answered' }, 1],
    ['between RETR and DELE', 'pop3', { says: /^DELE/ }, 1],
    ['when DELE was answered', 'pop3', { says: /^DELE/, until: 'answered' }, 1],
    ['between DELE and QUIT', 'pop3', { says: /^QUIT/, after: /^DELE/ }, 1],
    ['when QUIT has deleted its message', 'pop3', { says: /^QUIT/, after: /^DELE/, until: 'answered' }, 0],
    ['before it verifies', 'pop3', { says: /^PASS/, after: /^DELE/ }, 0],
    ['while it verifies', 'pop3', { says: /^STAT/, after: /^DELE/, until: 'answered' }, 0],
    ['when it has verified', 'pop3', { says: /^QUIT/, after: /^DELE/, time: 2, until: 'answered' }, 0],
  ])('%s', (_, proxied, moment, leaves) => scene((its) => killedAt(its, proxied, moment, leaves)));

  test('between two visits, while its message is still under way', () =>
    scene(async (its) => {
      const { system: postfix, user } = its;
      postfix.treatFor(user, () => 'HOLD');
      await killedAt(its, 'pop3', { ended: 2 }, 0, async () => {
        expect(await postfix.delivered(user)).toBe(0);
        await postfix.release();
        postfix.treatFor(user, () => 'DUNNO');
        await until('the message is there', async () => (await its.ours()).length === 1);
      });
      return 0;
    }));

  test('while the mail system puts it off', () =>
    scene(async (its) => {
      its.system.treatFor(its.user, () => '451 4.7.1 Greylisted, please try again later');
      await killedAt(its, 'smtp', { ended: 1 }, 0, async () => its.system.treatFor(its.user, () => 'DUNNO'));
      return 0;
    }));

  test.each<readonly [when: string, moment: Moment, leaves: Leaves]>([
    ['before QUIT', { says: /^QUIT/, after: /^DELE/ }, 1],
    ['when QUIT has removed it', { says: /^QUIT/, after: /^DELE/, until: 'answered' }, 0],
  ])('while it removes what a killed run left, %s', (_, moment, leaves) =>
    scene(async (its) => {
      await killAt(its, 'smtp', { says: /^\.$/, until: 'answered' });
      await until('its message is there', async () => (await its.ours()).length === 1);
      return await killedAt(its, 'pop3', moment, leaves);
    }),
  );

  test('gives way to the one that waits for it', () =>
    scene(async (its) => {
      const { check } = its;
      let other: ReturnType<typeof check> | undefined;
      await killAt(its, 'pop3', { says: /^STAT/ }, {}, async () => {
        other = check();
        await sleep(1000);
        expect(await Promise.race([other, 'it waits'])).toBe('it waits');
      });
      expect((await other)?.line).toMatch(/^POP3 OK - localhost: round trip /);
      return 0;
    }));

  test.each<readonly [when: string, proxied: Proxied, moment: Moment, leaves: Leaves]>([
    ['before it deletes what the run before sent', 'pop3', { says: /^QUIT/, after: /^DELE/ }, 1],
    ['between its visit and the sending', 'smtp', { connection: 1 }, 0],
    ['before the last dot of its message', 'smtp', { says: /^\.$/ }, 0],
    ['when its message was taken, before it hears of that', 'smtp', { says: /^\.$/, until: 'answered' }, 1],
    ['when QUIT has deleted what the run before sent', 'pop3', { says: /^QUIT/, after: /^DELE/, until: 'answered' }, 0],
  ])('with --split, %s', (_, proxied, moment, leaves) =>
    scene(async (its) => {
      const { check, ours, system: postfix, user } = its;
      const split = () => check({ split: true, verbose: true });
      await split();
      await until('the first message is there', async () => (await ours()).length === 1);
      await killAt(its, proxied, moment, { split: true });
      await until('what was sent is there', async () => (await ours()).length === leaves);
      const before = await ours();
      const sent = await postfix.delivered(user);
      const next = await split();
      // It waits for no message that was perhaps never sent, or that is gone already.
      expect(next.line).toMatch(/^POP3 OK - localhost: /);
      expect(next.stdout).toContain('pending 0, lost 0');
      await until('its message is there', async () => (await postfix.delivered(user)) === sent + 1);
      expect(await ours()).toHaveLength(1);
      for (const message of before) expect(await ours()).not.toContain(message);
      const last = await split();
      expect(last.line).toMatch(/^POP3 OK - localhost: .*, by the mail servers' clocks/);
      await until('the last message is there', async () => (await postfix.delivered(user)) === sent + 2);
      return 1;
    }),
  );

  /** Runs one, and kills it. */
  async function killAt(
    { system: postfix, options }: Scene<TreatingPostfix>,
    proxied: Proxied,
    moment: Moment,
    changes: Options = {},
    before: () => Promise<void> = async () => undefined,
  ): Promise<void> {
    const proxy = await startHaltingProxy(proxied === 'pop3' ? postfix.dovecot.port : postfix.port, moment);
    const port = proxied === 'pop3' ? 'port-client-access-server' : 'smtp-port';
    let kill = (): void => undefined;
    const running = launch(CHECK_POP3, options(inClear({ ...changes, [port]: String(proxy.port) })), {
      meanwhile: (child) => {
        kill = () => child.kill('SIGKILL');
      },
    });
    try {
      await proxy.reached(running);
      await before();
      kill();
      expect(await running).toMatchObject({ code: null, stdout: '', stderr: '' });
    } finally {
      await proxy.close();
    }
  }

  /** Kills one run, and looks at what the next one makes of that. */
  async function killedAt(
    its: Scene<TreatingPostfix>,
    proxied: Proxied,
    moment: Moment,
    leaves: Leaves,
    afterwards: () => Promise<void> = async () => undefined,
  ): Promise<number> {
    const { system: postfix, user, state, check, ours } = its;
    await killAt(its, proxied, moment);
    await until('what was sent is there', async () => (await ours()).length === leaves);
    await afterwards();

    const stale = (await ours()).length;
    const before = await postfix.delivered(user);
    const next = await check();
    const words = stale === 0 ? '' : ', 1 message of earlier runs removed';
    expect(next.line).toMatch(new RegExp(`^POP3 OK - localhost: .*, delivery [\\d.]+ m?s${words} \\|`));
    expect(next.line).toContain(` stale=${stale};`);
    expect(await ours()).toEqual([]);
    expect(await postfix.delivered(user)).toBe(before + 1); // nothing of the killed run comes later
    expect(readdirSync(state).filter((name) => !/^(marker\.key|[0-9a-f]{24}\.json)$/.test(name))).toEqual([]);
    return 0;
  }
});

import { beforeEach, describe, expect, test } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { Probed } from '../src/probe/probe.ts';
import type { RoundTrip } from '../src/probe/result.ts';
import type { Stop } from '../src/probe/world.ts';
import { bounceOf, letterWith, linesOf, markerOf, NOW } from './support/letters.ts';
import { type Changes, Clock, DEFERRED, foreignMail, Machine, MailServer } from './support/mail-world.ts';

let clock: Clock;
let server: MailServer;
let machine: Machine;
let foreign: readonly string[];

beforeEach(() => {
  clock = new Clock();
  server = new MailServer(clock);
  machine = new Machine('a', server);
  foreign = foreignMail();
  for (const message of foreign) server.deliver(message);
});

const tripOf = ({ result }: Probed): RoundTrip => {
  if (result.roundTrip === null) throw new Error('a full test tells of its message');
  return result.roundTrip;
};
const warnings = ({ result }: Probed): readonly string[] =>
  result.warnings.map(({ reason, phase }) => `${reason} in ${phase}`);
const ending = ({ result }: Probed): string =>
  result.error === null ? 'success' : `${result.error.reason} in ${result.error.phase}`;
const mailbox = (): readonly string[] => server.messages.map(({ octets }) => octets);

/** A run after which nothing may be left open, nobody else's mail touched or retrieved. */
async function run(changes: Changes = {}, of: Machine = machine, stop: Stop | null = null): Promise<Probed> {
  const deadline = clock.now + (changes.timeoutMs ?? 50_000);
  const probed = await of.run(changes, stop);
  expect(of.open).toEqual({ links: 0, timers: 0, sendings: 0, memories: 0 });
  expect(clock.now).toBeLessThanOrEqual(deadline);
  expect(JSON.stringify(probed)).not.toContain('correct horse');
  expectForeignMail();
  return probed;
}

function expectForeignMail(): void {
  expect(mailbox().filter((octets) => foreign.includes(octets))).toEqual(foreign);
}
const expectNothingOfOurs = (): void => expect(mailbox()).toEqual(foreign);
const soonAfter = (ms: number) => ({ afterMs: 20, arrivesAfterMs: [ms] });
const refusing = (command: string, reply: string, when: (visit: number) => boolean) => ({
  answer: (asked: string, visit: number) => (asked.startsWith(command) && when(visit) ? reply : null),
});

describe('the full test', () => {
  test('sends a message, finds it, deletes it and sees that it is gone', async () => {
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual([]);
    expect(tripOf(probed)).toMatchObject({
      polls: 1,
      retrieved: true,
      deleted: true,
      verified: true,
      stale: 0,
      lost: 0,
    });
    expect(probed.result.mailbox?.messages).toBe(foreign.length);
    expect(machine.sent).toHaveLength(1);
    expect(server.asked('RETR')).toHaveLength(1);
    expect(server.asked('DELE')).toEqual(['DELE 5']);
    expectNothingOfOurs();
    expect(machine.left.runs).toEqual([]);
  });

  test('tells how long sending and delivery took, each on its own', async () => {
    machine.attempts = [{ afterMs: 3000, arrivesAfterMs: [3000 + 200] }];
    const probed = await run();
    expect(tripOf(probed).sendMs).toBe(3000);
    // Found by the second look, half a second after the first; each visit takes some ten milliseconds.
    expect(tripOf(probed).deliveryMs).toBeGreaterThanOrEqual(500);
    expect(tripOf(probed).deliveryMs).toBeLessThan(600);
    expect(tripOf(probed).isEstimate).toBe(false);
    const total = probed.result.phases.reduce((sum, { ms }) => sum + ms, 0);
    expect(Math.abs(total - probed.result.latencyMs)).toBeLessThan(1);
  });

  test('looks again and again for a message that is late, with more patience each time, and holds no session between', async () => {
    machine.attempts = [soonAfter(12_000)];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    const looks = server.visits.slice(1, -1);
    const pauses = looks.slice(1).map((visit, at) => visit.loggedOnAt - (looks[at] as (typeof looks)[0]).endedAt);
    for (const [at, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual([500, 1000, 2000, 4000, 8000][at] as number);
    }
    expect(tripOf(probed).polls).toBe(looks.length);
    expect(looks).toHaveLength(6); // at 0, 0.5, 1.5, 3.5, 7.5 and 15.5 s
    expect(tripOf(probed).deliveryMs).toBeGreaterThanOrEqual(12_000);
    for (const { commands } of server.visits) expect(commands[commands.length - 1]).toBe('QUIT');
    expectNothingOfOurs();
  });

  test('looks at what else has come by its header, once', async () => {
    machine.attempts = [soonAfter(5000)];
    foreign = [...foreign, 'Subject: news\r\nFrom: carol@example.net\r\n\r\nnews\r\n'];
    clock.timer(300, () => server.deliver(foreign[4] as string));
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(server.asked('TOP 5')).toHaveLength(1);
    expect(server.asked('RETR')).toHaveLength(1);
    await run();
    // Nor does the run after it: what was seen is remembered.
    expect(server.asked('TOP 5 ')).toHaveLength(1);
  });

  test('fails as not-delivered in time where the message never comes', async () => {
    machine.attempts = [{ afterMs: 20 }];
    const began = clock.now;
    const probed = await run();
    expect(ending(probed)).toBe('not-delivered in delivery');
    expect(probed.result.error?.message).toMatch(/^taken by mail\.example\.com port 587, not in the mailbox after \d/);
    expect(clock.now - began).toBeGreaterThan(20_000);
    expect(tripOf(probed)).toMatchObject({ retrieved: false, deleted: false, deliveryMs: null });
    expect(machine.left.runs.map(({ state }) => state)).toEqual(['given-up']);
    expect(server.asked('DELE')).toEqual([]);
  });

  test('tells the next run of a message that came too late, which removes it', async () => {
    machine.attempts = [soonAfter(100_000)];
    expect(ending(await run())).toBe('not-delivered in delivery');
    await clock.pass(100_000);
    machine.attempts = [{ afterMs: 1 }, soonAfter(0)];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual(['delivery-delayed in delivery']);
    expect(tripOf(probed)).toMatchObject({ stale: 1, staleRemoved: 1 });
    expectNothingOfOurs();
    expect(machine.left.runs).toEqual([]);
  });

  test('works with a mailbox that has the newest first, without TOP, without UIDL, without CAPA', async () => {
    const kinds = [
      { isNewestFirst: true },
      { capabilities: ['USER', 'UIDL'] },
      { capabilities: ['USER', 'TOP'], hasUidl: false },
      { capabilities: ['USER'], hasUidl: false },
      { capabilities: null },
    ];
    for (const kind of kinds) {
      server.set({ capabilities: ['USER', 'TOP', 'UIDL'], hasUidl: true, isNewestFirst: false, ...kind });
      const probed = await run();
      expect([ending(probed), warnings(probed), tripOf(probed).verified], JSON.stringify(kind)).toEqual([
        'success',
        [],
        true,
      ]);
      expectNothingOfOurs();
    }
  });

  test('reports what was changed on the way', async () => {
    machine.attempts = [
      {
        ...soonAfter(0),
        as: (octets) =>
          [...linesOf(octets), '-- ', 'Scanned.', ''].join('\r\n').replace('Subject: ', 'Subject: [EXTERNAL] '),
      },
    ];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual(['altered in retrieve']);
    expect(probed.result.warnings[0]?.message).toBe('its subject was changed, 2 lines were added after its text');
    expectNothingOfOurs();
  });

  test('leaves a message that has our header over another text, and says so', async () => {
    machine.attempts = [
      { ...soonAfter(0), as: (octets) => `${linesOf(octets).slice(0, 11).join('\r\n')}\r\n\r\nDear Alice\r\n` },
    ];
    const probed = await run();
    expect(warnings(probed)).toEqual(['not-deleted in delete', 'altered in retrieve']);
    expect(tripOf(probed)).toMatchObject({ deleted: false, verified: false });
    expect(mailbox()).toHaveLength(foreign.length + 1);
    expect(server.asked('DELE')).toEqual([]);
  });

  test('fails where the message is there and cannot be retrieved: that is no success', async () => {
    server.set(refusing('RETR', '-ERR [SYS/PERM] cannot open it', () => true));
    const probed = await run();
    expect(ending(probed)).toBe('server-permanent in retrieve');
    expect(tripOf(probed)).toMatchObject({ retrieved: false, deleted: false });
    expect(server.asked('DELE')).toEqual([]);
  });
});

describe('what is remembered of foreign mail', () => {
  test('is the identifiers of the latest, and no more', async () => {
    await run();
    expect(new Set(machine.left.seen)).toEqual(new Set(['m1', 'm2', 'm3', 'm4']));
    server.messages = server.messages.slice(1);
    foreign = foreign.slice(1);
    await run();
    expect(new Set(machine.left.seen)).toEqual(new Set(['m2', 'm3', 'm4']));
  });
});

describe('a server that wants time between logons', () => {
  test('has it: no two logons are closer than LOGIN-DELAY', async () => {
    server.set({ capabilities: ['USER', 'TOP', 'UIDL', 'LOGIN-DELAY 7'] });
    machine.attempts = [soonAfter(6500)];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    const logons = server.visits.map(({ loggedOnAt }) => loggedOnAt);
    for (const [at, logon] of logons.slice(1).entries())
      expect(logon - (logons[at] as number)).toBeGreaterThanOrEqual(7000);
  });

  test('and more of it than there is: refused before anything is sent, with the way out', async () => {
    server.set({ capabilities: ['USER', 'TOP', 'UIDL', 'LOGIN-DELAY 30'] });
    const probed = await run();
    expect(ending(probed)).toBe('configuration in login');
    expect(probed.result.error?.message).toContain('--split');
    expect(machine.sent).toEqual([]);
    expect(machine.left.runs).toEqual([]);
  });

  test('is either refused or served, whatever it wants: never sent to and then not looked at', async () => {
    for (let seconds = 1; seconds <= 30; seconds++) {
      for (const latencyMs of [1, 40, 200]) {
        server.set({ capabilities: ['USER', 'TOP', 'UIDL', `LOGIN-DELAY ${seconds}`], latencyMs });
        const sent = machine.sent.length;
        const probed = await run({ timeoutMs: 32_000 });
        const what = `${seconds} s, ${latencyMs} ms an answer`;
        expect(['success', 'configuration in login'], what).toContain(ending(probed));
        expect(machine.sent.length - sent, what).toBe(ending(probed) === 'success' ? 1 : 0);
        await clock.pass(60_000);
      }
    }
    expectNothingOfOurs();
  });
});

describe('sending', () => {
  const refused = new ProbeFailure('send-refused', '', { said: '550 5.1.1 User unknown', phase: 'send' });

  test('refused fails the test, and leaves nothing to remember', async () => {
    machine.attempts = [{ afterMs: 20, failure: refused }];
    const probed = await run();
    expect(ending(probed)).toBe('send-refused in send');
    expect(probed.result.error?.message).toBe('server said "550 5.1.1 User unknown"');
    expect(tripOf(probed).sendMs).toBeNull();
    expect(machine.sent).toHaveLength(1);
    expect(server.visits).toHaveLength(1);
    expect(machine.left.runs).toEqual([]);
  });

  test('deferred and then accepted is a success with a warning, sent under one marker', async () => {
    machine.attempts = [{ afterMs: 20, failure: DEFERRED() }, { afterMs: 20, failure: DEFERRED(3000) }, soonAfter(100)];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual(['send-deferred in send']);
    expect(tripOf(probed).sendMs).toBe(20 + 2000 + 20 + 3000 + 20);
    expect(new Set(machine.sent.map(({ octets }) => Buffer.from(octets).toString())).size).toBe(1);
    expectNothingOfOurs();
  });

  test('deferred to the end is no delivery that failed: nothing was taken', async () => {
    machine.attempts = [{ afterMs: 20, failure: DEFERRED() }];
    const probed = await run();
    expect(ending(probed)).toBe('send-deferred in send');
    expect(warnings(probed)).toEqual([]);
    expect(machine.left.runs).toEqual([]);
    expect(server.visits).toHaveLength(1);
  });

  test.each([0, 1, 100, 1000])(
    'deferred again and again for %i ms each is not taken for sent',
    async (retryAfterMs) => {
      machine.attempts = [{ afterMs: 20, failure: DEFERRED(retryAfterMs) }];
      expect(ending(await run())).toBe('send-deferred in send');
      expect(machine.sent.length).toBeLessThan(50);
    },
  );

  test('deferred for longer than there is time is given up at once', async () => {
    machine.attempts = [{ afterMs: 20, failure: DEFERRED(600_000) }];
    const began = clock.now;
    expect(ending(await run())).toBe('send-deferred in send');
    expect(clock.now - began).toBeLessThan(1000);
  });

  const unconfirmed = new ProbeFailure('send-unconfirmed', 'the connection was lost after the last octet', {
    phase: 'send',
  });
  test('unconfirmed is not sent again; where it arrives, that is a success with a warning', async () => {
    machine.attempts = [{ ...soonAfter(700), failure: unconfirmed }];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual(['send-unconfirmed in send']);
    expect(machine.sent).toHaveLength(1);
    expectNothingOfOurs();
  });

  test('unconfirmed and never arrived says that it may not have been taken', async () => {
    machine.attempts = [{ afterMs: 20, failure: unconfirmed }];
    const probed = await run();
    expect(ending(probed)).toBe('not-delivered in delivery');
    expect(probed.result.error?.message).toMatch(/^perhaps taken by /);
    expect(warnings(probed)).toEqual(['send-unconfirmed in send']);
    expect(machine.sent).toHaveLength(1);
  });

  test('that takes all the time is to blame itself, and what may have been sent is remembered', async () => {
    machine.attempts = [{ afterMs: 90_000, arrivesAfterMs: [90_000] }];
    const probed = await run();
    expect(ending(probed)).toBe('timed-out in send');
    expect(machine.left.runs).toHaveLength(1);
    await clock.pass(90_000);
    machine.attempts = [soonAfter(0)];
    expect(tripOf(await run())).toMatchObject({ staleRemoved: 1 });
    expectNothingOfOurs();
  });

  test('that leaves no time to look is no proof that the message is lost', async () => {
    machine.attempts = [{ afterMs: 49_900, arrivesAfterMs: [49_900] }];
    const probed = await run();
    expect(ending(probed)).toMatch(/^timed-out/);
    expect(tripOf(probed).polls).toBe(0);
    // Nor is it late, when the next run finds it.
    machine.attempts = [soonAfter(0)];
    const next = await run();
    expect([ending(next), warnings(next)]).toEqual(['success', []]);
    expectNothingOfOurs();
  });

  test('to a server that is down is told as what it is, in its phase', async () => {
    machine.attempts = [{ afterMs: 20, failure: new ProbeFailure('connection-refused', '192.0.2.1 port 587') }];
    const probed = await run();
    expect(ending(probed)).toBe('connection-refused in send');
    expect(machine.left.runs).toEqual([]);
  });
});

describe('POP3 at fault', () => {
  const IN_USE = '-ERR [IN-USE] another session';
  const down = new ProbeFailure('connection-refused', '192.0.2.1 port 110: the connection was refused');

  test.each([
    ['the first visit', (visit: number) => visit <= 2],
    ['a look', (visit: number) => visit === 2 || visit === 3],
    ['the last visit', (visit: number) => visit === 3 || visit === 4],
  ])('a mailbox in use for a while at %s is waited for', async (_, when) => {
    server.set(refusing('PASS', IN_USE, when));
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', []]);
    expect(tripOf(probed).verified).toBe(true);
    expectNothingOfOurs();
  });

  test.each(['-ERR [LOGIN-DELAY] too soon', '-ERR [SYS/TEMP] try later', '-ERR [SYS/TEMP/QUOTA] later'])(
    '%s for a while passes',
    async (reply) => {
      server.set(refusing('PASS', reply, (visit) => visit !== 3 && visit !== 6 && visit !== 8));
      const probed = await run();
      expect([ending(probed), warnings(probed)]).toEqual(['success', []]);
      expectNothingOfOurs();
    },
  );

  test.each([
    ['[IN-USE]', IN_USE, 'mailbox-in-use in login'],
    ['[LOGIN-DELAY]', '-ERR [LOGIN-DELAY] too soon', 'login-delay in login'],
    ['[SYS/TEMP]', '-ERR [SYS/TEMP] try later', 'server-temporary in login'],
  ])(
    '%s from the first look to the end is told as that, and not as a message that is lost',
    async (_, reply, expected) => {
      server.set(refusing('PASS', reply, (visit) => visit > 1));
      const probed = await run();
      expect(ending(probed)).toBe(expected);
      // Nor is it told by the next run that delivery was slow.
      server.set({ answer: () => null });
      const next = await run();
      expect([ending(next), warnings(next)]).toEqual(['success', []]);
      expectNothingOfOurs();
    },
  );

  test('a mailbox in use for all the time fails in half of it, with nothing sent', async () => {
    server.set(refusing('PASS', IN_USE, () => true));
    const began = clock.now;
    expect(ending(await run())).toBe('mailbox-in-use in login');
    expect(clock.now - began).toBeLessThanOrEqual(25_000);
    expect(machine.sent).toEqual([]);
  });

  test.each([
    ['the first visit', 1, 0],
    ['a look', 2, 1],
    ['the last visit', 3, 1],
  ])('that goes down before %s is told as such', async (_, at, sent) => {
    server.set({ connect: (visit) => (visit >= at ? down : null) });
    expect(ending(await run())).toBe('connection-refused in connect');
    expect(machine.sent).toHaveLength(sent);
    server.set({ connect: () => null });
    expect(ending(await run())).toBe('success');
    expectNothingOfOurs();
  });

  test.each(['CAPA', 'PASS', 'STAT', 'UIDL', 'TOP', 'RETR', 'DELE', 'QUIT'])(
    'that falls silent at %s is left in time, at whatever visit, and nothing foreign goes',
    async (command) => {
      for (const at of [1, 2, 3]) {
        server.set(refusing(command, '', (visit) => visit === server.visits.length && visit % 3 === at % 3));
        await run();
        server.set({ answer: () => null });
        await clock.pass(4_000_000);
        await run();
        expectNothingOfOurs();
      }
    },
  );

  test.each([
    '+OK',
    '-ERR',
    '-ERR [SYS/PERM] no',
    'nonsense',
    '+OK\r\n+OK 1',
    '+OK 1 2\r\n.',
    '.',
    '+OK 99999999999 9',
    '-ERR [AUTH] no',
  ])('that answers %j to any one command takes no foreign message with it, and nothing hangs', async (reply) => {
    for (const command of ['CAPA', 'USER', 'PASS', 'STAT', 'UIDL', 'UIDL 5', 'TOP', 'TOP 5', 'RETR', 'DELE', 'QUIT']) {
      server.set(refusing(command, reply, () => true));
      await run({ timeoutMs: 10_000 });
      server.set({ answer: () => null });
      await clock.pass(4_000_000);
    }
    await run();
    expectForeignMail();
  });
});

describe('the mail system says more', () => {
  test('a message that came back fails the test as bounced, with the diagnostic', async () => {
    machine.attempts = [{ ...soonAfter(700), as: (octets) => bounceOf(octets) }];
    const probed = await run();
    expect(ending(probed)).toBe('bounced in delivery');
    expect(probed.result.error?.message).toContain('552 5.2.2 Quota exceeded');
    expectNothingOfOurs();
    expect(machine.left.runs).toEqual([]);
  });

  test('a notice of delay is a warning, and the message is waited for', async () => {
    machine.attempts = [soonAfter(9000)];
    const told = machine.run();
    clock.timer(800, () => server.deliver(bounceOf(machine.sent[0]?.octets as Uint8Array, 'delayed')));
    const probed = await told;
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual(['delivery-delayed in delivery']);
    expect(probed.result.warnings[0]?.message).toContain('552 5.2.2 Quota exceeded');
    expectNothingOfOurs();
  });

  test('a bounce after the run gave up is told by the next one as a bounce, not as an arrival', async () => {
    machine.attempts = [{ ...soonAfter(100_000), as: (octets) => bounceOf(octets) }];
    expect(ending(await run())).toBe('not-delivered in delivery');
    await clock.pass(100_000);
    machine.attempts = [soonAfter(0)];
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(warnings(probed)).toEqual(['bounced in delivery']);
    expectNothingOfOurs();
  });

  test('a notice of delay left by a run before does not make the next one forget that message', async () => {
    machine.attempts = [soonAfter(200_000)];
    expect(ending(await run())).toBe('not-delivered in delivery');
    server.deliver(bounceOf(machine.sent[0]?.octets as Uint8Array, 'delayed'));
    machine.attempts = [soonAfter(0)];
    expect(ending(await run())).toBe('success');
    await clock.pass(200_000);
    const probed = await run();
    expect(tripOf(probed)).toMatchObject({ stale: 1, staleRemoved: 1 });
    expectNothingOfOurs();
  });

  test('a bounce of somebody else\u2019s message is none of ours', async () => {
    const other = letterWith(markerOf('00000000000000ff'), { key: new Uint8Array(32), recipient: 'probe@example.com' });
    foreign = [...foreign, Buffer.from(bounceOf(other)).toString()];
    clock.timer(30, () => server.deliver(foreign[foreign.length - 1] as string));
    machine.attempts = [soonAfter(700)];
    expect(ending(await run())).toBe('success');
  });

  test('delivered twice at once is a warning, and both go', async () => {
    machine.attempts = [{ afterMs: 20, arrivesAfterMs: [0, 0] }];
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', ['duplicate in delivery']]);
    expect(probed.result.warnings[0]?.message).toBe('the message arrived 2 times');
    expectNothingOfOurs();
  });

  test('delivered a second time before the last visit is a warning, and both go', async () => {
    let copies = 0;
    server.set({
      connect: (visit) => {
        if (visit === 3 && copies++ === 0) server.deliver(machine.sent[0]?.octets as Uint8Array);
        return null;
      },
    });
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', ['duplicate in verify']]);
    expect(tripOf(probed).verified).toBe(true);
    expectNothingOfOurs();
  });

  test('a server that keeps what it says it deleted is told by this run and by the next one', async () => {
    server.set({ keepsDeleted: true });
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', ['not-deleted in verify']]);
    expect(tripOf(probed)).toMatchObject({ deleted: false, verified: false });
    expect(machine.left.runs.map(({ uids }) => uids)).toEqual([['m5']]);
    server.set({ keepsDeleted: false });
    const next = await run();
    // It was told once; now it is something left over.
    expect(warnings(next)).toEqual([]);
    expect(tripOf(next)).toMatchObject({ stale: 1, staleRemoved: 1, verified: true });
    expectNothingOfOurs();
    expect(warnings(await run())).toEqual([]);
  });

  test('a mailbox that refuses DELE is told, and its message is removed as soon as that works', async () => {
    server.set(refusing('DELE', '-ERR read-only', () => true));
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', ['not-deleted in delete']]);
    server.set({ answer: () => null });
    expect(tripOf(await run())).toMatchObject({ stale: 1, staleRemoved: 1 });
    expectNothingOfOurs();
  });

  test('what expired between the look and the last visit is counted where it is removed', async () => {
    server.set({
      connect: (visit) => {
        if (visit === 3) server.deliver(letterWith(markerOf('00000000000000ee', NOW - 9000)));
        return null;
      },
    });
    expect(tripOf(await run())).toMatchObject({ stale: 1, staleRemoved: 1 });
    expectNothingOfOurs();
  });
});

describe('a message of an unusual size', () => {
  const picture = `\r\n--b\r\n\r\n${`${'A'.repeat(76)}\r\n`.repeat(3000)}`; // 234 kB of base 64

  test('that is ours with a signature full of pictures is altered, and removed', async () => {
    machine.attempts = [{ ...soonAfter(0), as: (octets) => `${Buffer.from(octets)}${picture}` }];
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', ['altered in retrieve']]);
    expectNothingOfOurs();
  });

  test('that has our header, and that somebody made large, does not fail each run from then on', async () => {
    const old = markerOf('00000000000000ee', NOW - 9000);
    foreign = [...foreign, `${linesOf(letterWith(old)).slice(0, 11).join('\r\n')}\r\n${picture}`];
    server.deliver(foreign[foreign.length - 1] as string);
    const probed = await run();
    expect([ending(probed), warnings(probed)]).toEqual(['success', ['not-deleted in delete']]);
    expect(tripOf(probed)).toMatchObject({ stale: 1, staleRemoved: 0 });
  });

  test('that is a report about nothing of ours, in long lines, does not fail the run', async () => {
    const header = 'Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n';
    foreign = [...foreign, `${header}${`${'x'.repeat(4000)}\r\n`.repeat(250)}`];
    server.deliver(foreign[foreign.length - 1] as string);
    expect(ending(await run())).toBe('success');
  });

  test('that is somebody else\u2019s, on a server without TOP that counts a line end as one octet, does not fail the run', async () => {
    server.set({
      capabilities: ['USER', 'UIDL'],
      answer: (command) => (command === 'LIST 5' ? `+OK 5 ${60_000}` : null),
    });
    foreign = [...foreign, `Subject: empty\r\n\r\n${'\r\n'.repeat(59_000)}`];
    clock.timer(30, () => server.deliver(foreign[4] as string));
    machine.attempts = [soonAfter(700)];
    expect(ending(await run())).toBe('success');
    expectNothingOfOurs();
  });
});

describe('a run that is ended by a signal', () => {
  /** As src/cli/signals.ts has it: whoever is asked last is told, and nobody where nobody is. */
  const signalAt = (step: number) => {
    let there: string[] = [];
    let end: ((failure: ProbeFailure) => void) | null = null;
    let heard = false;
    machine.onStep = (at) => {
      if (at !== step || end === null) return;
      heard = true;
      there = server.messages.map(({ uid }) => uid);
      end(new ProbeFailure('interrupted', 'ended by SIGTERM'));
    };
    const stop: Stop = (callback) => {
      end = callback;
      return () => {
        end = null;
      };
    };
    return { stop, wasHeard: () => heard, there: () => there };
  };

  test('ends at once as interrupted, at whatever step, lets go of everything, and makes no deletion final', async () => {
    machine.attempts = [{ afterMs: 20, failure: DEFERRED() }, soonAfter(700)];
    await run();
    const steps = machine.steps.length;
    expect(steps).toBeGreaterThan(100);
    let heard = 0;
    for (let at = 1; at <= steps; at++) {
      machine.sent.length = 0;
      const { stop, wasHeard, there } = signalAt(at);
      const probed = await run({}, machine, stop);
      machine.onStep = () => undefined;
      if (!wasHeard()) continue;
      heard++;
      const what = `at step ${at}, ${machine.steps[at - 1]}`;
      expect(probed.result.error?.reason, what).toBe('interrupted');
      expect(machine.steps.length, what).toBe(at);
      // What stood in the mailbox when the signal came stands there still: nothing was made final after it.
      expect(
        server.messages.map(({ uid }) => uid),
        what,
      ).toEqual(expect.arrayContaining(there()));
      // Whatever it left is tidied up.
      await clock.pass(5000);
      machine.sent.length = 1;
      expect(ending(await run()), what).toBe('success');
      expectNothingOfOurs();
    }
    expect(heard).toBeGreaterThan(80);
  });

  test('ends while it waits for its turn', async () => {
    machine.isHeld = true;
    let end: (failure: ProbeFailure) => void = () => undefined;
    const told = machine.run({}, (callback) => {
      end = callback;
      return () => undefined;
    });
    clock.timer(350, () => end(new ProbeFailure('interrupted', 'ended by SIGTERM')));
    expect(ending(await told)).toBe('interrupted in mailbox');
  });
});

describe('runs on one machine', () => {
  test('wait for each other', async () => {
    machine.isHeld = true;
    clock.timer(4000, () => {
      machine.isHeld = false;
    });
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(probed.result.latencyMs).toBeGreaterThan(4000);
  });

  test('and where that takes half of the time, the later one says so, having touched nothing', async () => {
    machine.isHeld = true;
    const probed = await run();
    expect(ending(probed)).toMatch(/^already-running/);
    expect(probed.result.latencyMs).toBeLessThanOrEqual(25_200);
    expect([machine.sent, server.visits]).toEqual([[], []]);
  });

  test('that cannot be remembered say so and go on', async () => {
    machine.trouble = 'what this run leaves behind will not be remembered: EROFS';
    const probed = await run();
    expect(ending(probed)).toBe('success');
    expect(probed.remarks).toEqual([machine.trouble]);
  });

  test('leave what earlier ones left where they are told to', async () => {
    server.deliver(letterWith(markerOf('00000000000000ee', NOW - 9000)));
    const probed = await run({ keepStale: true });
    expect(tripOf(probed)).toMatchObject({ stale: 1, staleRemoved: 0, deleted: true });
    expect(mailbox()).toHaveLength(foreign.length + 1);
    expect(tripOf(await run())).toMatchObject({ stale: 1, staleRemoved: 1 });
    expectNothingOfOurs();
  });

  test('killed at any step are tidied up after by the next one, and nothing of anybody else\u2019s is', async () => {
    machine.attempts = [soonAfter(700)];
    await run();
    for (let at = 1; (await machine.runKilledAt(at)) === 'killed'; at++) {
      const step = `after ${machine.steps[at - 1]}, step ${at}`;
      await clock.pass(5000);
      expectForeignMail();
      expect(ending(await run()), step).toBe('success');
      expectNothingOfOurs();
    }
    expect(machine.steps.length).toBeGreaterThan(80);
  });

  test('killed at any step, their message late: the next run, or the one after, removes it', async () => {
    machine.attempts = [soonAfter(700)];
    await run();
    const steps = machine.steps.length;
    for (let at = 1; at <= steps; at += 3) {
      machine.sent.length = 0;
      machine.attempts = [soonAfter(5000), soonAfter(200)];
      await machine.runKilledAt(at);
      machine.sent.length = 1;
      expect(ending(await run())).toBe('success');
      await clock.pass(10_000);
      expect(ending(await run())).toBe('success');
      expectNothingOfOurs();
    }
  });
});

describe('two machines that share a key', () => {
  test('do not take each other\u2019s message, however their runs overlap', async () => {
    const other = new Machine('b', server);
    for (let lead = 0; lead <= 3000; lead += 150) {
      machine.attempts = [soonAfter(1200)];
      other.attempts = [soonAfter(900)];
      const one = machine.run();
      const two = clock.sleep(lead).then(() => other.run());
      const [first, second] = await clock.during(Promise.all([one, two]));
      for (const probed of [first, second]) {
        expect([ending(probed), warnings(probed)], `${lead} ms apart`).toEqual(['success', []]);
        expect(tripOf(probed), `${lead} ms apart`).toMatchObject({ stale: 0, verified: true });
      }
      expectNothingOfOurs();
    }
  });

  test('remove what the other left only when its time is over', async () => {
    const other = new Machine('b', server);
    other.attempts = [soonAfter(0)];
    server.set({ connect: (visit) => (visit === 2 ? new ProbeFailure('unreachable', '') : null) });
    expect(ending(await run({}, other))).toBe('unreachable in connect');
    expect(tripOf(await run())).toMatchObject({ stale: 0, staleRemoved: 0 });
    expect(mailbox()).toHaveLength(foreign.length + 1);
    await clock.pass(3700_000);
    expect(tripOf(await run())).toMatchObject({ stale: 1, staleRemoved: 1 });
    expectNothingOfOurs();
  });
});

describe('--split', () => {
  const split = (changes: Changes = {}): Promise<Probed> => run({ split: true, ...changes });

  test('sends in one run and finds in the next, one visit each', async () => {
    const first = await split();
    expect([ending(first), warnings(first)]).toEqual(['success', []]);
    expect(tripOf(first)).toMatchObject({ retrieved: false, pending: 0, lost: 0 });
    await clock.pass(60_000);
    const second = await split();
    expect([ending(second), warnings(second)]).toEqual(['success', []]);
    expect(tripOf(second)).toMatchObject({
      retrieved: true,
      deleted: true,
      pending: 0,
      lost: 0,
      stale: 0,
      isEstimate: true,
    });
    expect(server.visits).toHaveLength(2);
    expect(machine.left.runs.map(({ state }) => state)).toEqual(['pending']);
    expect(mailbox()).toHaveLength(foreign.length + 1);
  });

  test('tells the time of delivery by the clocks of the mail servers', async () => {
    machine.attempts = [
      {
        ...soonAfter(0),
        as: (octets) => `Received: from a by mx.example.com; Fri, 16 Jan 2026 12:00:04 +0000\r\n${Buffer.from(octets)}`,
      },
    ];
    await split();
    await clock.pass(60_000);
    expect(tripOf(await split()).deliveryMs).toBe(4000);
  });

  test('counts what is under way, then what never came', async () => {
    machine.attempts = [{ afterMs: 20 }, soonAfter(0)];
    await split();
    await clock.pass(60_000);
    const pending = await split();
    expect([ending(pending), warnings(pending)]).toEqual(['success', ['delivery-delayed in delivery']]);
    expect(tripOf(pending)).toMatchObject({ pending: 1, lost: 0 });
    await clock.pass(3600_000);
    const lost = await split();
    expect(ending(lost)).toBe('not-delivered in delivery');
    expect(tripOf(lost)).toMatchObject({ pending: 0, lost: 1, retrieved: true });
    await clock.pass(60_000);
    expect([ending(await split()), machine.left.runs.length]).toEqual(['success', 2]);
    // It comes after all: late, and nobody's any more.
    server.deliver(machine.sent[0]?.octets as Uint8Array);
    await clock.pass(60_000);
    const late = await split();
    expect([ending(late), warnings(late)]).toEqual(['success', ['delivery-delayed in delivery']]);
    expect(tripOf(late)).toMatchObject({ stale: 1, staleRemoved: 1, lost: 0 });
  });

  test('waits on for what is under way when a visit fails', async () => {
    await split();
    await clock.pass(60_000);
    server.set({ connect: () => new ProbeFailure('connection-refused', '192.0.2.1 port 110') });
    expect(ending(await split())).toBe('connection-refused in connect');
    server.set({ connect: () => null });
    await clock.pass(60_000);
    const probed = await split();
    expect([ending(probed), warnings(probed)]).toEqual(['success', []]);
    expect(tripOf(probed)).toMatchObject({ retrieved: true, stale: 0 });
  });

  test('tells in the next run of a message that the server kept though it said it was deleted', async () => {
    await split();
    await clock.pass(60_000);
    server.set({ keepsDeleted: true });
    expect(warnings(await split())).toEqual([]);
    server.set({ keepsDeleted: false });
    await clock.pass(60_000);
    const third = await split();
    expect([ending(third), warnings(third)]).toEqual(['success', ['not-deleted in delete']]);
    expect(tripOf(third)).toMatchObject({ retrieved: true, stale: 1, staleRemoved: 1 });
    expect(mailbox()).toHaveLength(foreign.length + 1);
  });

  test('tells of a message that came back, and goes on', async () => {
    machine.attempts = [{ ...soonAfter(0), as: (octets) => bounceOf(octets) }, soonAfter(0)];
    await split();
    await clock.pass(60_000);
    const bounced = await split();
    expect(ending(bounced)).toBe('bounced in delivery');
    expect(bounced.result.error?.message).toContain('552 5.2.2');
    await clock.pass(60_000);
    const next = await split();
    expect([ending(next), warnings(next)]).toEqual(['success', []]);
  });

  test.each([
    ['without identifiers', { hasUidl: false, capabilities: ['USER', 'TOP'] }],
    ['with the newest first', { isNewestFirst: true }],
    ['that does not know CAPA', { capabilities: null }],
  ])('works with a server %s', async (_, manners) => {
    server.set(manners);
    await split();
    await clock.pass(60_000);
    const second = await split();
    expect([ending(second), warnings(second)]).toEqual(['success', []]);
    expect(tripOf(second)).toMatchObject({ retrieved: true, deleted: true });
    expect(mailbox()).toHaveLength(foreign.length + 1);
  });

  test('killed at any step: the next runs find or tidy up, and nobody\u2019s mail is touched', async () => {
    for (let at = 1, isKilled = true; isKilled; at++) {
      server.messages = [];
      machine = new Machine('a', server);
      for (const message of foreign) server.deliver(message);
      await split();
      await clock.pass(60_000);
      isKilled = (await machine.runKilledAt(at, { split: true })) === 'killed';
      const step = `after ${machine.steps[at - 1]}, step ${at}`;
      await clock.pass(5000);
      expect(ending(await split()), step).toBe('success');
      await clock.pass(5000);
      const probed = await split();
      expect(ending(probed), step).toBe('success');
      expect(mailbox(), step).toHaveLength(foreign.length + 1);
      // Not even one whose deletion nobody could write down any more is waited for.
      expect(warnings(probed), step).toEqual([]);
    }
  });

  // Nobody looks at older messages without TOP, and the one that is awaited is among them.
  test('refuses a server without TOP before anything is sent, and says so', async () => {
    server.set({ capabilities: ['USER', 'UIDL'] });
    const only = await split();
    expect(ending(only)).toBe('configuration in mailbox');
    expect(only.result.error?.message).toContain('does not offer TOP');
    expect(tripOf(only).sendMs).toBe(null);
  });
});

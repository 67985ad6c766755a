import { describe, expect, test } from 'vitest';
import { type Dialogue, type Phase, type Recipe, type Secured, Slot, type Want } from '../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { type Mask, maskFor, Secret } from '../src/dialogue/secret.ts';
import { type Account, drive, type Terms } from '../src/probe/drive.ts';
import type { Link, World } from '../src/probe/world.ts';
import { GOOD_TLS } from './support/samples.ts';

const PASSWORD = 'correct horse';
const octets = (text: string): Uint8Array => Buffer.from(text, 'utf8');

/** A clock moved by hand: what takes time moves it, and what is due by then rings. */
class Clock {
  at = 5_000_000;
  cancelled = 0;
  private readonly timers = new Set<{ readonly due: number; readonly ring: () => void }>();

  readonly world = {
    now: (): number => this.at,
    timer: (delayMs: number, ring: () => void): (() => void) => {
      const timer = { due: this.at + delayMs, ring };
      this.timers.add(timer);
      return () => {
        if (this.timers.delete(timer)) this.cancelled++;
      };
    },
    hash: (_: Recipe): Promise<Uint8Array> => Promise.resolve(octets('hashed')),
  };

  pass(ms: number): void {
    this.at += ms;
    for (const timer of this.timers) {
      if (timer.due > this.at) continue;
      this.timers.delete(timer);
      timer.ring();
    }
  }

  /** Moves on without a timer ringing: a loop that never lets one. */
  passUnheard(ms: number): void {
    this.at += ms;
  }

  get pending(): number {
    return this.timers.size;
  }
}

const SECURED: Secured = {
  facts: GOOD_TLS,
  faults: [],
  bindings: new Map(),
};

const never = (): Promise<never> => new Promise(() => undefined);

/** A link that answers everything at once, unless told otherwise. */
function linkOf(more: Partial<Link> = {}): Link & { closed: number } {
  const link = {
    closed: 0,
    resolve: async () => [{ address: '192.0.2.1', family: 4 } as const],
    reachProxy: async () => ({ address: '192.0.2.9', port: 1080 }),
    connect: async () => ({ address: '192.0.2.1', dead: [] }),
    secure: async () => SECURED,
    read: async () => octets('+OK\r\n') as Uint8Array | null,
    write: async () => undefined,
    ...more,
    close() {
      link.closed++;
    },
  };
  return link;
}

interface Kept {
  readonly allowedMs?: number;
  readonly mask?: Mask;
  readonly stop?: Terms['stop'];
  readonly world?: Pick<World, 'now' | 'timer' | 'hash'>;
}

const driven = <T>(dialogue: Dialogue<T>, link: Link, clock: Clock, kept: Kept = {}): Promise<Account<T>> =>
  drive(dialogue, link, {
    world: kept.world ?? clock.world,
    deadline: clock.at + (kept.allowedMs ?? 10_000),
    allowedMs: kept.allowedMs ?? 10_000,
    mask: kept.mask ?? maskFor([new Secret(PASSWORD)]),
    trace: true,
    stop: kept.stop ?? null,
  });

const failureOf = ({ outcome }: Account<unknown>): ProbeFailure => {
  if (!('failure' in outcome)) throw new Error(`it ended well: ${JSON.stringify(outcome)}`);
  return outcome.failure;
};

function* read(phase: Phase = 'login'): Dialogue<Uint8Array | null> {
  const slot = new Slot<Uint8Array | null>();
  yield { want: 'read', phase, slot };
  return slot.take();
}

function* readForEver(): Dialogue<never> {
  for (;;) yield* read();
}

function* write(text: string, phase: Phase = 'login'): Dialogue<void> {
  yield { want: 'write', phase, octets: octets(text), shown: text.trimEnd() };
}

describe('there is one deadline', () => {
  test('and a server that says one octet a second does not move it', async () => {
    const clock = new Clock();
    let reads = 0;
    const link = linkOf({
      read: async () => {
        reads++;
        await Promise.resolve();
        clock.pass(1000);
        return octets('x');
      },
    });
    const began = clock.at;
    const account = await driven(readForEver(), link, clock, { allowedMs: 10_000 });
    expect(failureOf(account)).toMatchObject({ reason: 'timed-out', phase: 'login' });
    expect(failureOf(account).message).toContain('10 s');
    expect(clock.at - began).toBe(10_000);
    expect(reads).toBe(10);
  });

  test('and a link that always has something at hand cannot keep it from coming', async () => {
    const clock = new Clock();
    let reads = 0;
    const link = linkOf({
      read: async () => {
        if (++reads > 1_000_000) throw new Error('the deadline never came');
        clock.passUnheard(1);
        return octets('x');
      },
    });
    const account = await driven(readForEver(), link, clock, { allowedMs: 5000 });
    expect(failureOf(account).reason).toBe('timed-out');
    expect(reads).toBe(5000);
  });

  test('and a deadline that has passed already allows nothing', async () => {
    const clock = new Clock();
    let reads = 0;
    const link = linkOf({
      read: async () => {
        reads++;
        return octets('x');
      },
    });
    const account = await driven(readForEver(), link, clock, { allowedMs: 0 });
    expect(failureOf(account).reason).toBe('timed-out');
    expect(reads).toBe(0);
  });

  const waits: readonly [string, () => Dialogue<unknown>, Partial<Link>, string, string, string][] = [
    ['greeting', () => read('greeting'), { read: never }, 'timed-out', 'greeting', 'no greeting'],
    ['answer', () => read('login'), { read: never }, 'timed-out', 'login', 'no answer'],
    // Nothing was asked of the mail server: the phase makes it UNKNOWN.
    ['proxy', reachProxy, { reachProxy: never }, 'timed-out', 'proxy', 'the proxy did not let us in'],
    ['connection', connect, { connect: never }, 'timed-out', 'connect', 'no connection within'],
    ['TLS handshake', secure, { secure: never }, 'timed-out', 'tls', 'TLS handshake'],
    ['room for a command', () => write('STAT\r\n'), { write: never }, 'timed-out', 'login', 'take'],
    // A resolver that keeps quiet proves nothing about the mail server (design §4).
    ['address', resolve, { resolve: never }, 'dns-unavailable', 'dns', 'mail.example.com'],
  ];
  test.each(waits)('with a word for what did not come: no %s', async (_, dialogue, more, reason, phase, words) => {
    const clock = new Clock();
    const link = linkOf(more);
    const running = driven(dialogue(), link, clock, { allowedMs: 2500 });
    await Promise.resolve();
    clock.pass(2500);
    const account = await running;
    expect(failureOf(account)).toMatchObject({ reason, phase });
    expect(failureOf(account).message).toContain(words);
    expect(failureOf(account).message).toContain('2.5 s');
    expect(account.phases).toEqual([{ name: phase, ms: 2500 }]);
    expect(link.closed).toBe(1);
  });

  test('and a dialogue told of it may say what it knows, but waits for nothing more', async () => {
    const clock = new Clock();
    let reads = 0;
    const link = linkOf({
      read: () => {
        reads++;
        return never();
      },
    });
    const fault = new ProbeFailure('not-pop3', 'it kept quiet');
    function* stubborn(): Dialogue<unknown> {
      try {
        return yield* read('greeting');
      } catch {
        yield { want: 'note', phase: 'greeting', note: { learnt: 'fault', fault } };
        return yield* read('greeting');
      }
    }
    const running = driven(stubborn(), link, clock, { allowedMs: 1000 });
    await Promise.resolve();
    clock.pass(1000);
    const account = await running;
    expect(failureOf(account).reason).toBe('timed-out');
    expect(account.notes).toEqual([{ learnt: 'fault', fault }]);
    expect(reads).toBe(1);
  });

  test('and a dialogue that will not hear of it is ended all the same', async () => {
    const clock = new Clock();
    function* deaf(): Dialogue<never> {
      for (;;) {
        try {
          yield* read();
        } catch {
          // It goes on.
        }
      }
    }
    const running = driven(deaf(), linkOf({ read: never }), clock, { allowedMs: 1000 });
    await Promise.resolve();
    clock.pass(1000);
    expect(failureOf(await running).reason).toBe('timed-out');
  });
});

function* resolve(): Dialogue<unknown> {
  const slot = new Slot<readonly { address: string; family: 4 | 6 }[]>();
  yield { want: 'resolve', phase: 'dns', name: 'mail.example.com', slot } as Want;
  return slot.take();
}

function* reachProxy(): Dialogue<unknown> {
  const slot = new Slot<{ address: string; port: number }>();
  yield { want: 'proxy', phase: 'proxy', slot } as Want;
  return slot.take();
}

function* connectByName(): Dialogue<unknown> {
  const slot = new Slot<{ address: string | null; dead: [] }>();
  yield { want: 'connect', phase: 'connect', to: 'mail.example.com', port: 110, slot } as Want;
  return slot.take();
}

function* connect(): Dialogue<unknown> {
  const slot = new Slot<{ address: string; dead: [] }>();
  yield { want: 'connect', phase: 'connect', to: [{ address: '192.0.2.1', family: 4 }], port: 110, slot } as Want;
  return slot.take();
}

function* secure(): Dialogue<unknown> {
  const slot = new Slot<Secured>();
  yield { want: 'secure', phase: 'tls', slot };
  return slot.take();
}

describe('however a run ends, its timer is cancelled and its link closed', () => {
  test('well', async () => {
    const clock = new Clock();
    const link = linkOf();
    const account = await driven(read(), link, clock);
    expect(account.outcome).toEqual({ value: octets('+OK\r\n') });
    expect([clock.pending, clock.cancelled, link.closed]).toEqual([0, 1, 1]);
  });

  test('with a failure of the link', async () => {
    const clock = new Clock();
    const failure = new ProbeFailure('hung-up', 'the connection was reset');
    const link = linkOf({ read: () => Promise.reject(failure) });
    const account = await driven(read('mailbox'), link, clock);
    expect(failureOf(account)).toBe(failure);
    expect(failureOf(account).phase).toBe('mailbox');
    expect([clock.pending, clock.cancelled, link.closed]).toEqual([0, 1, 1]);
  });

  test('with a failure of the dialogue before it wanted anything', async () => {
    const clock = new Clock();
    const link = linkOf();
    // biome-ignore lint/correctness/useYield: it fails before it gets there.
    function* refusing(): Dialogue<never> {
      throw new ProbeFailure('configuration', 'no');
    }
    expect(failureOf(await driven(refusing(), link, clock))).toMatchObject({ reason: 'configuration', phase: null });
    expect([clock.pending, link.closed]).toEqual([0, 1]);
  });

  test('by a signal', async () => {
    const clock = new Clock();
    const link = linkOf({ read: never });
    let end: (failure: ProbeFailure) => void = () => undefined;
    let unhooked = 0;
    const stop: Terms['stop'] = (callback) => {
      end = callback;
      return () => {
        unhooked++;
      };
    };
    const running = driven(read(), link, clock, { stop });
    await Promise.resolve();
    end(new ProbeFailure('interrupted', 'ended by SIGTERM'));
    expect(failureOf(await running)).toMatchObject({ reason: 'interrupted', phase: 'login' });
    expect([clock.pending, link.closed, unhooked]).toEqual([0, 1, 1]);
  });

  test('by the first of two ends: the second changes nothing', async () => {
    const clock = new Clock();
    let end: (failure: ProbeFailure) => void = () => undefined;
    const stop: Terms['stop'] = (callback) => {
      end = callback;
      return () => undefined;
    };
    const running = driven(read(), linkOf({ read: never }), clock, { stop, allowedMs: 1000 });
    await Promise.resolve();
    end(new ProbeFailure('interrupted', 'ended by SIGTERM'));
    clock.pass(1000);
    expect(failureOf(await running).reason).toBe('interrupted');
  });
});

describe('a bug is no verdict', () => {
  function* buggy(): Dialogue<unknown> {
    yield* read();
    return (null as unknown as { length: number }).length;
  }
  function* forgetful(): Dialogue<unknown> {
    yield { want: 'note', phase: 'login', note: { learnt: 'capabilities', capabilities: [] } };
    return new Slot<number>().take();
  }

  test.each<[string, () => Dialogue<unknown>, Partial<Link>]>([
    ['in the dialogue', buggy, {}],
    ['in an answer taken that was never given', forgetful, {}],
    ['in the link', () => read(), { read: () => Promise.reject(new TypeError('no such thing')) }],
    [
      'in the link, at once',
      () => read(),
      {
        read: () => {
          throw new TypeError('no such thing');
        },
      },
    ],
  ])('%s: it rejects, and still lets go of everything', async (_, dialogue, more) => {
    const clock = new Clock();
    const link = linkOf(more);
    await expect(driven(dialogue(), link, clock)).rejects.toThrow(TypeError);
    expect([clock.pending, clock.cancelled, link.closed]).toEqual([0, 1, 1]);
  });

  test('and a dialogue cannot make a failure of one that is the link’s', async () => {
    const clock = new Clock();
    function* catching(): Dialogue<string> {
      try {
        yield* read();
      } catch {
        return 'caught';
      }
      return 'read';
    }
    const link = linkOf({ read: () => Promise.reject(new TypeError('no such thing')) });
    await expect(driven(catching(), link, clock)).rejects.toThrow(TypeError);
  });
});

describe('a failure of the link is told to the dialogue first', () => {
  const reset = (): Promise<never> => Promise.reject(new ProbeFailure('hung-up', 'the connection was reset'));

  test('which may go on without what failed', async () => {
    function* forgiving(): Dialogue<string> {
      try {
        yield* read('quit');
      } catch (problem) {
        return (problem as ProbeFailure).reason;
      }
      return 'read';
    }
    const account = await driven(forgiving(), linkOf({ read: reset }), new Clock());
    expect(account.outcome).toEqual({ value: 'hung-up' });
  });

  test('which may want something else after it', async () => {
    const written: string[] = [];
    function* trying(): Dialogue<string> {
      try {
        yield* read();
      } catch {
        yield* write('QUIT\r\n');
      }
      return 'done';
    }
    const link = linkOf({
      read: reset,
      write: async (sent) => {
        written.push(Buffer.from(sent).toString());
      },
    });
    expect((await driven(trying(), link, new Clock())).outcome).toEqual({ value: 'done' });
    expect(written).toEqual(['QUIT\r\n']);
  });

  test('which may know better what it means', async () => {
    function* knowing(): Dialogue<unknown> {
      try {
        return yield* read('greeting');
      } catch {
        throw new ProbeFailure('not-pop3', 'it hung up on us', { phase: 'greeting' });
      }
    }
    const account = await driven(knowing(), linkOf({ read: reset }), new Clock());
    expect(failureOf(account).reason).toBe('not-pop3');
  });
});

describe('time is booked on the phase that waited', () => {
  test('summed up where a phase came again, in the order they were reached, those not reached left out', async () => {
    const clock = new Clock();
    const taking = <T>(ms: number, answer: T) => {
      return async (): Promise<T> => {
        await Promise.resolve();
        clock.pass(ms);
        return answer;
      };
    };
    const link = linkOf({
      resolve: taking(7, [{ address: '192.0.2.1', family: 4 }] as const),
      connect: taking(11, { address: '192.0.2.1', dead: [] }),
      secure: taking(30, SECURED),
      read: taking(100, octets('+OK\r\n') as Uint8Array | null),
      write: taking(1, undefined),
    });
    const world = {
      ...clock.world,
      hash: async () => {
        clock.pass(500);
        return octets('hashed');
      },
    };
    function* visit(): Dialogue<string> {
      yield* resolve();
      yield* connect();
      yield* read('greeting');
      yield* write('CAPA\r\n', 'capabilities');
      yield* read('capabilities');
      yield* secure();
      yield* write('CAPA\r\n', 'capabilities');
      yield* read('capabilities');
      yield { want: 'note', phase: 'verify', note: { learnt: 'mailbox', messages: 3, octets: 120 } };
      const slot = new Slot<Uint8Array>();
      yield {
        want: 'derive',
        phase: 'login',
        recipe: { compute: 'digest', algorithm: 'md5', octets: octets('') },
        slot,
      };
      return Buffer.from(slot.take()).toString();
    }
    const account = await driven(visit(), link, clock, { world });
    expect(account.outcome).toEqual({ value: 'hashed' });
    expect(account.phases).toEqual([
      { name: 'dns', ms: 7 },
      { name: 'connect', ms: 11 },
      { name: 'greeting', ms: 100 },
      { name: 'capabilities', ms: 202 },
      { name: 'tls', ms: 30 },
      { name: 'login', ms: 500 },
    ]);
    expect(account.connected?.address).toBe('192.0.2.1');
    expect(account.tls).toEqual(SECURED.facts);
    expect(account.notes).toEqual([{ learnt: 'mailbox', messages: 3, octets: 120 }]);
  });

  test('and what was learnt before a failure is kept', async () => {
    function* failing(): Dialogue<never> {
      yield* connect();
      yield* secure();
      yield { want: 'note', phase: 'capabilities', note: { learnt: 'capabilities', capabilities: ['USER'] } };
      throw new ProbeFailure('login-refused', '', { phase: 'login' });
    }
    const account = await driven(failing(), linkOf(), new Clock());
    expect(failureOf(account).reason).toBe('login-refused');
    expect(account.tls).toEqual(SECURED.facts);
    expect(account.notes).toHaveLength(1);
    expect(account.phases.map(({ name }) => name)).toEqual(['connect', 'tls']);
  });
});

describe('through a proxy', () => {
  function* through(): Dialogue<unknown> {
    yield* reachProxy();
    return yield* connectByName();
  }

  test('the server is connected to by its name, and where that is the proxy knows', async () => {
    const clock = new Clock();
    const asked: unknown[] = [];
    const link = linkOf({
      connect: async (to) => {
        asked.push(to);
        clock.pass(40);
        return { address: null, dead: [] };
      },
      reachProxy: async () => {
        clock.pass(3);
        return { address: '192.0.2.9', port: 1080 };
      },
    });
    const account = await driven(through(), link, clock);
    expect(asked).toEqual(['mail.example.com']);
    expect(account.connected).toEqual({ address: null, dead: [] });
    expect(account.phases).toEqual([
      { name: 'proxy', ms: 3 },
      { name: 'connect', ms: 40 },
    ]);
    expect(account.conversation.map(({ words }) => words)).toEqual([
      'let in by the proxy 192.0.2.9 port 1080',
      'connected to mail.example.com port 110 through the proxy',
    ]);
  });

  test('a connection that does not come is told to be one through the proxy', async () => {
    const clock = new Clock();
    const running = driven(through(), linkOf({ connect: never }), clock, { allowedMs: 1000 });
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    clock.pass(1000);
    expect(failureOf(await running)).toMatchObject({
      reason: 'timed-out',
      phase: 'connect',
      message: 'no connection through the proxy within 1 s',
    });
  });
});

describe('the conversation', () => {
  /** A server that says this, cut into pieces of that many octets. */
  const saying = (said: Uint8Array, cut: number): Partial<Link> => {
    let at = 0;
    return {
      read: async () => {
        if (at >= said.length) return null;
        at += cut;
        return said.slice(at - cut, at);
      },
    };
  };
  function* readAll(): Dialogue<void> {
    while ((yield* read()) !== null);
  }
  const wordsOf = ({ conversation }: Account<unknown>, who: string): string[] =>
    conversation.filter((each) => each.who === who).map(({ words }) => words);

  test.each([1, 2, 3, 5, 7, 1000])('masks what the server echoes in pieces of %d octets', async (cut) => {
    const encoded = Buffer.from(`\0alice\0${PASSWORD}`).toString('base64');
    const said = octets(`-ERR unknown command: PASS ${PASSWORD}\r\n-ERR ${encoded}\r\n-ERR ${PASSWORD}`);
    const account = await driven(readAll(), linkOf(saying(said, cut)), new Clock());
    expect(wordsOf(account, 'S')).toEqual(['-ERR unknown command: PASS ****', '-ERR ****', '-ERR ****']);
    expect(JSON.stringify(account)).not.toContain(PASSWORD);
  });

  test.each([1, 2, 1000])('puts characters together again that came in pieces of %d octets', async (cut) => {
    const account = await driven(readAll(), linkOf(saying(octets('+OK grüße 📧\r\n'), cut)), new Clock());
    expect(wordsOf(account, 'S')).toEqual(['+OK grüße 📧']);
  });

  test('masks a password beyond ASCII in pieces, and handed back octet by octet', async () => {
    const password = 'pässwörd密码';
    const mask = maskFor([new Secret(password)]);
    const account = await driven(readAll(), linkOf(saying(octets(`-ERR ${password}\r\n`), 1)), new Clock(), { mask });
    expect(wordsOf(account, 'S')).toEqual(['-ERR ****']);
  });

  test('shows what was written as it was to be shown, and who said what when', async () => {
    const clock = new Clock();
    const link = linkOf({
      read: async () => {
        clock.pass(20);
        return octets('+OK\r\n');
      },
    });
    function* logIn(): Dialogue<void> {
      yield* connect();
      yield { want: 'write', phase: 'login', octets: octets(`PASS ${PASSWORD}\r\n`), shown: 'PASS ****' };
      yield* read();
    }
    expect((await driven(logIn(), link, clock)).conversation).toEqual([
      { atMs: 0, who: '*', words: 'connected to 192.0.2.1 port 110' },
      { atMs: 0, who: 'C', words: 'PASS ****' },
      { atMs: 20, who: 'S', words: '+OK' },
    ]);
  });

  test('masks even what was written without its mark', async () => {
    const account = await driven(write(`PASS ${PASSWORD}\r\n`), linkOf(), new Clock());
    expect(wordsOf(account, 'C')).toEqual(['PASS ****']);
  });

  test('shows control characters as escapes', async () => {
    const account = await driven(readAll(), linkOf(saying(octets('+OK \x1b[2J\0 a\rb\n'), 1000)), new Clock());
    expect(wordsOf(account, 'S')).toEqual(['+OK \\x1b[2J\\x00 a\\x0db']);
  });

  test('ends with why it ended', async () => {
    const failure = new ProbeFailure('hung-up', 'the connection was reset');
    const account = await driven(read(), linkOf({ read: () => Promise.reject(failure) }), new Clock());
    expect(account.conversation.at(-1)).toMatchObject({ who: '*', words: 'hung-up: the connection was reset' });
  });

  test.each([
    ['lines without end', '+OK line\r\n'.repeat(50_000), 4096],
    ['one line without end', 'x'.repeat(4_000_000), 65_536],
    ['one line without end, octet by octet', 'x'.repeat(50_000), 1],
    ['line ends alone', '\n'.repeat(50_000), 4096],
  ])('is bounded: %s', async (_, said, cut) => {
    const account = await driven(readAll(), linkOf(saying(octets(said), cut)), new Clock());
    expect(account.conversation.length).toBeLessThanOrEqual(500);
    expect(JSON.stringify(account.conversation).length).toBeLessThan(500 * 600);
    expect(Math.max(...account.conversation.map(({ words }) => words.length))).toBeLessThanOrEqual(400);
  });

  test('a secret where a line is cut for showing is masked before the cut', async () => {
    for (let before = 380; before <= 402; before++) {
      const said = octets(`${'-'.repeat(before)}${PASSWORD}\r\n`);
      const account = await driven(readAll(), linkOf(saying(said, 100_000)), new Clock());
      expect(wordsOf(account, 'S').join()).toMatch(/^-+\*{0,4}…?$/);
    }
  });

  test('is not kept when nobody asked for it', async () => {
    const clock = new Clock();
    const account = await drive(read(), linkOf(), {
      world: clock.world,
      deadline: clock.at + 1000,
      allowedMs: 1000,
      mask: (shown) => shown,
      trace: false,
      stop: null,
    });
    expect(account.conversation).toEqual([]);
  });
});

import { text, utf8 } from '../../src/dialogue/bytes.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import type { FullTestPlan } from '../../src/probe/full-test.ts';
import { type Probed, type ProbePlan, probe } from '../../src/probe/probe.ts';
import type { Left, Link, Memory, OutgoingMessage, Stop, World } from '../../src/probe/world.ts';
import { hash } from '../../src/runtimes/node/hashing.ts';
import { KEY, NOW, PROBE } from './letters.ts';

/**
 * A mail system in memory, on a clock of its own: a POP3 mailbox, a way of sending, and machines with probes that use
 * both. Waiting costs nothing: when nothing else can happen, the clock goes on to what happens next.
 */

/** A clock that goes on by itself while somebody runs by it, from one timer to the next. */
export class Clock {
  now = 5_000_000;
  private readonly timers = new Set<{ readonly at: number; readonly ring: () => void }>();
  private running = 0;

  timer(delayMs: number, ring: () => void): () => void {
    const timer = { at: this.now + Math.max(0, delayMs), ring };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.timer(ms, resolve));
  }

  /** Lets the clock go while something is under way. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.running++;
    if (this.running === 1) this.go();
    try {
      return await work;
    } finally {
      this.running--;
    }
  }

  /** Lets time pass with nobody at work. */
  async pass(ms: number): Promise<void> {
    await this.during(this.sleep(ms));
  }

  /** Promises settle before a macrotask comes: then nothing is left to do but wait for the next timer. */
  private go(): void {
    setImmediate(() => {
      if (this.running === 0) return;
      let next: { readonly at: number; readonly ring: () => void } | null = null;
      for (const timer of this.timers) if (next === null || timer.at < next.at) next = timer;
      if (next === null) throw new Error('everybody waits, and for nothing: a run would hang');
      this.timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.ring();
      this.go();
    });
  }
}

interface Message {
  readonly uid: string;
  readonly octets: string;
}

/** What a server does on a visit otherwise than it should. */
export interface Manners {
  readonly capabilities: readonly string[] | null;
  readonly hasUidl: boolean;
  readonly isNewestFirst: boolean;
  /** Says +OK to DELE and to QUIT, and keeps it all the same. */
  readonly keepsDeleted: boolean;
  /** Milliseconds for each answer. */
  readonly latencyMs: number;
  /** What becomes of a connection, of a logon, or of any command, by the number of the visit (from 1) and the time. */
  readonly connect: (visit: number, now: number) => ProbeFailure | null;
  readonly answer: (command: string, visit: number, now: number) => string | null;
}

export class MailServer {
  readonly clock: Clock;
  messages: Message[] = [];
  manners: Manners = {
    capabilities: ['USER', 'TOP', 'UIDL'],
    hasUidl: true,
    isNewestFirst: false,
    keepsDeleted: false,
    latencyMs: 1,
    connect: () => null,
    answer: () => null,
  };
  /** Every visit: when it logged on, and what it asked. */
  readonly visits: { readonly from: string; loggedOnAt: number; endedAt: number; readonly commands: string[] }[] = [];
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  set(manners: Partial<Manners>): void {
    this.manners = { ...this.manners, ...manners };
  }

  deliver(octets: Uint8Array | string): string {
    const uid = `m${++this.count}`;
    this.messages.push({ uid, octets: typeof octets === 'string' ? octets : text(octets) });
    return uid;
  }

  /** All commands of that name, of every visit, in order. */
  asked(verb: string): readonly string[] {
    return this.visits.flatMap(({ commands }) => commands.filter((command) => command.startsWith(verb)));
  }

  /** @param from the name of the machine */
  dial(from: string): ServerLink {
    return new ServerLink(this, from);
  }
}

/** One connection to the server. */
class ServerLink implements Link {
  isClosed = false;
  private readonly server: MailServer;
  private readonly from: string;
  private visit = 0;
  private unread = '';
  private snapshot: readonly Message[] = [];
  private readonly marked = new Set<string>();
  private hasHungUp = false;

  constructor(server: MailServer, from: string) {
    this.server = server;
    this.from = from;
  }

  async resolve(): Promise<readonly [{ address: string; family: 4 }]> {
    return [{ address: '192.0.2.1', family: 4 }];
  }

  reachProxy(): Promise<never> {
    throw new Error('no proxy in this world');
  }

  async connect(): Promise<{ address: string; dead: [] }> {
    const { server } = this;
    const { now } = server.clock;
    server.visits.push({ from: this.from, loggedOnAt: Number.NaN, endedAt: Number.NaN, commands: [] });
    this.visit = server.visits.length;
    await server.clock.sleep(server.manners.latencyMs);
    const failure = server.manners.connect(this.visit, now);
    if (failure !== null) throw failure;
    this.unread = '+OK\r\n';
    return { address: '192.0.2.1', dead: [] };
  }

  secure(): Promise<never> {
    throw new Error('no TLS in this world');
  }

  async read(): Promise<Uint8Array | null> {
    if (this.unread === '' && this.hasHungUp) return null;
    if (this.unread === '') return await new Promise(() => undefined);
    const octets = utf8(this.unread);
    this.unread = '';
    return octets;
  }

  async write(octets: Uint8Array): Promise<void> {
    const { server } = this;
    const command = text(octets).replace(/\r\n$/, '');
    await server.clock.sleep(server.manners.latencyMs);
    if (this.isClosed) return;
    const record = this.record();
    record.commands.push(command);
    const instead = server.manners.answer(command, this.visit, server.clock.now);
    if (instead === '') return; // silence
    this.unread += `${instead ?? this.obey(command, record)}\r\n`;
    if (command === 'QUIT') this.hasHungUp = true;
  }

  close(): void {
    this.isClosed = true;
    if (this.visit > 0) this.record().endedAt = this.server.clock.now;
  }

  private record(): MailServer['visits'][number] {
    return this.server.visits[this.visit - 1] as MailServer['visits'][number];
  }

  private obey(command: string, record: MailServer['visits'][number]): string {
    const { server, snapshot } = this;
    const [verb, first, second] = command.split(' ');
    const { capabilities, hasUidl } = server.manners;
    const list = (lines: readonly string[]): string => ['+OK', ...lines, '.'].join('\r\n');
    const one = snapshot[Number(first) - 1];
    const message = one === undefined || this.marked.has(one.uid) ? null : one;
    const lines = (message?.octets ?? '').split('\r\n').slice(0, -1);
    const stuffed = (some: readonly string[]): string => list(some.map((line) => line.replace(/^\./, '..')));
    switch (verb) {
      case 'CAPA':
        return capabilities === null ? '-ERR' : list(capabilities);
      case 'USER':
        return '+OK';
      case 'PASS':
        record.loggedOnAt = server.clock.now;
        this.snapshot = server.manners.isNewestFirst ? [...server.messages].reverse() : [...server.messages];
        return '+OK';
      case 'STAT':
        return `+OK ${snapshot.length} ${snapshot.reduce((sum, { octets }) => sum + octets.length, 0)}`;
      case 'UIDL':
        if (!hasUidl) return '-ERR';
        if (first === undefined) return list(snapshot.map(({ uid }, at) => `${at + 1} ${uid}`));
        return message === null ? '-ERR' : `+OK ${first} ${message.uid}`;
      case 'LIST':
        return message === null ? '-ERR' : `+OK ${first} ${message.octets.length}`;
      case 'TOP':
        if (message === null || capabilities?.includes('TOP') === false) return '-ERR';
        return stuffed(lines.slice(0, lines.indexOf('') + 1 + Number(second)));
      case 'RETR':
        return message === null ? '-ERR' : stuffed(lines);
      case 'DELE':
        if (message === null) return '-ERR';
        this.marked.add(message.uid);
        return '+OK';
      case 'QUIT':
        if (!server.manners.keepsDeleted) server.messages = server.messages.filter(({ uid }) => !this.marked.has(uid));
        return '+OK';
      default:
        return '-ERR';
    }
  }
}

/** What becomes of one attempt to send: after how long, and whether it was taken; and what it comes to in the mailbox. */
export interface Attempt {
  readonly afterMs: number;
  readonly failure?: ProbeFailure;
  /** When it is delivered after it was handed over, once for each; never where there is none. */
  readonly arrivesAfterMs?: readonly number[];
  /** What arrives in its place. */
  readonly as?: (octets: Uint8Array) => Uint8Array | string;
}

const nothingOpen = () => ({ links: 0, timers: 0, sendings: 0, memories: 0 });

export const DEFERRED = (retryAfterMs?: number): ProbeFailure =>
  new ProbeFailure('send-deferred', '', {
    said: '451 4.7.1 Greylisted',
    phase: 'send',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });

/** A machine that keeps what its runs tell each other. */
export class Machine {
  readonly name: string;
  readonly server: MailServer;
  left: Left = { runs: [], seen: [], deleted: [] };
  /** Whether a run has the mailbox now. */
  isHeld = false;
  trouble: string | null = null;
  /** What becomes of each attempt to send; the last one goes on. */
  attempts: readonly Attempt[] = [{ afterMs: 20, arrivesAfterMs: [0] }];
  readonly sent: OutgoingMessage[] = [];
  /** What this machine has under way: none of it may be left when a run has ended. */
  open = nothingOpen();
  /** What the run does, one by one: the number and the name of each step. */
  readonly steps: string[] = [];
  onStep: (step: number) => void = () => undefined;
  private life = { isDead: false };
  private count = 0;

  constructor(name: string, server: MailServer) {
    this.name = name;
    this.server = server;
  }

  async run(changes: Changes = {}, stop: Stop | null = null): Promise<Probed> {
    return await this.server.clock.during(this.begin(changes, stop));
  }

  private begin(changes: Changes, stop: Stop | null): Promise<Probed> {
    const plan = planOf(changes);
    this.steps.length = 0;
    this.life = { isDead: false };
    this.open = nothingOpen();
    const { clock } = this.server;
    return probe(plan, this.world(), stop, clock.now + plan.timeoutMs);
  }

  /** A run that ends like kill -9 at a step: nothing of it is done any more, and its connections break. */
  async runKilledAt(step: number, changes: Changes = {}): Promise<'killed' | Probed> {
    const killed = new Promise<'killed'>((resolve) => {
      this.onStep = (at) => {
        if (at !== step) return;
        this.life.isDead = true;
        resolve('killed');
      };
    });
    const ended = await this.server.clock.during(Promise.race([killed, this.begin(changes, null)]));
    this.onStep = () => undefined;
    this.isHeld = false; // the lock of a dead process lapses
    return ended;
  }

  /** Everything a run may use of this machine, each use a step. */
  private world(): World {
    const { server, open, life } = this;
    const { clock } = server;
    const never = new Promise<never>(() => undefined);
    const step = async <T>(name: string, what: () => Promise<T>): Promise<T> => {
      this.step(name, life);
      return life.isDead ? await never : await what();
    };
    return {
      token: null,
      now: () => clock.now,
      date: () => new Date(NOW * 1000 + clock.now - 5_000_000),
      hash,
      random: (length) => Uint8Array.from({ length }, () => (++this.count * 37 + this.name.charCodeAt(0)) & 0xff),
      timer: (delayMs, ring) => {
        open.timers++;
        let isOver = false;
        const over = (): void => {
          if (!isOver) open.timers--;
          isOver = true;
        };
        const cancel = clock.timer(delayMs, () => {
          over();
          if (!life.isDead) ring();
        });
        return () => {
          over();
          cancel();
        };
      },
      dial: () => {
        const link = server.dial(this.name);
        open.links++;
        return {
          resolve: () => step('resolve', () => link.resolve()),
          reachProxy: () => link.reachProxy(),
          connect: () => step('connect', () => link.connect()),
          secure: () => link.secure(),
          read: () => step('read', () => link.read()),
          write: (octets) => step(`write ${text(octets).trim()}`, () => link.write(octets)),
          close: () => {
            if (!link.isClosed) open.links--;
            link.close();
          },
        };
      },
      send: async () => (message) => {
        this.step('send', life);
        const attempt = (this.attempts[this.sent.length] ?? this.attempts[this.attempts.length - 1]) as Attempt;
        if (!life.isDead) this.sent.push(message);
        if (!life.isDead) this.handOver(message, attempt);
        open.sendings++;
        let isAbandoned = false;
        return {
          done: clock.sleep(attempt.afterMs).then(() =>
            step('sent', async () => {
              if (attempt.failure !== undefined) throw attempt.failure;
              return { said: '250 2.0.0 Ok: queued' };
            }),
          ),
          abandon: () => {
            if (!isAbandoned) open.sendings--;
            isAbandoned = true;
          },
        };
      },
      memory: () => (this.isHeld ? null : this.memory()),
    };
  }

  private memory(): Memory {
    const { open, life } = this;
    this.isHeld = true;
    open.memories++;
    return {
      key: KEY,
      left: JSON.parse(JSON.stringify(this.left)),
      trouble: () => this.trouble,
      keep: (left) => {
        this.step(`keep ${JSON.stringify(left.runs.map(({ state }) => state))}`, life);
        if (!life.isDead) this.left = JSON.parse(JSON.stringify(left));
      },
      close: () => {
        if (life.isDead) return;
        this.isHeld = false;
        open.memories--;
      },
    };
  }

  private handOver(message: OutgoingMessage, { arrivesAfterMs = [], as = (octets) => octets }: Attempt): void {
    for (const ms of arrivesAfterMs) this.server.clock.timer(ms, () => this.server.deliver(as(message.octets)));
  }

  private step(name: string, life: { readonly isDead: boolean }): void {
    if (life.isDead) return;
    this.steps.push(name);
    this.onStep(this.steps.length);
  }
}

export type Changes = Partial<Pick<ProbePlan, 'timeoutMs' | 'perConnectionTimeoutMs' | 'trace'>> &
  Partial<Pick<FullTestPlan, 'split' | 'keepStale'>>;

const SECRET = 'correct horse';

function planOf({ split = false, keepStale = false, ...changes }: Changes): ProbePlan {
  return {
    server: 'mail.example.com',
    mailboxServer: null,
    known: [],
    localSite: null,
    visit: {
      to: 'mail.example.com',
      port: 110,
      connectionType: 'plaintext',
      viaProxy: false,
      trustAnyCertificate: false,
      login: { kind: 'password', method: 'auto', userName: PROBE, password: new Secret(SECRET) },
    },
    link: { family: 0, proxy: null, tls: null },
    tokens: null,
    fullTest: {
      from: PROBE,
      to: PROBE,
      send: {
        via: 'smtp',
        server: 'mail.example.com',
        to: 'mail.example.com',
        port: 587,
        connectionType: 'tls',
        link: { family: 0, proxy: null, tls: null },
        credential: { kind: 'password', userName: PROBE, password: new Secret(SECRET) },
      },
      split,
      keepStale,
      memory: { stateDir: null, markerKeyFile: null },
    },
    timeoutMs: 50_000,
    perConnectionTimeoutMs: 50_000,
    trace: false,
    ...changes,
  };
}

/** Foreign mail of every kind, and some that looks like ours. */
export const foreignMail = (): readonly string[] => [
  'From: alice@example.net\r\nSubject: Hello\r\nMessage-ID: <1@example.net>\r\n\r\nHello\r\n',
  'From: bob@example.net\r\nSubject: Re: Test-PopConnectivity-\r\nMessage-ID: <2@example.net>\r\n\r\n.\r\n..\r\n',
  'Subject: \xfc\r\n\r\n',
  '\r\nno header at all\r\n',
];

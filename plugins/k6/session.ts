import { text } from '../../src/dialogue/bytes.ts';
import type { Dialogue, Note, TlsFacts, Want } from '../../src/dialogue/dialogue.ts';
import { asFailure, ProbeFailure } from '../../src/dialogue/failure.ts';
import { type Mask, maskFor } from '../../src/dialogue/secret.ts';
import type { Identified, Listed, MailboxSize } from '../../src/pop3/mailbox.ts';
import * as mailbox from '../../src/pop3/mailbox.ts';
import { visit } from '../../src/pop3/visit.ts';
import type { Wire } from '../../src/pop3/wire.ts';
import { type Account, drive } from '../../src/probe/drive.ts';
import type { Problem } from '../../src/probe/result.ts';
import { problemOf } from '../../src/probe/tell.ts';
import type { Cancel, Link, World } from '../../src/probe/world.ts';
import type { Request } from '../../src/request/request.ts';
import type { Tags, Transport } from '../../src/runtimes/k6/transport.ts';
import { secretOf } from '../../src/sasl/mechanism.ts';
import { describeProblem } from '../../src/verdict/judge.ts';
import { inScripts, notBegun, readCall, worldFor } from './call.ts';
import {
  recordCertificate,
  recordCommand,
  recordError,
  recordMailbox,
  recordPhases,
  recordSession,
} from './metrics.ts';

/**
 * `open()` of the module: logs on, and stays for whatever the script wants to do in the mailbox.
 *
 * @throws Pop3Error with the reason and the phase it failed in; Error for a mistake in the script
 */
export const openOver =
  (transport: Transport) =>
  async (options: unknown): Promise<Session> => {
    const { tags, settings, request } = await readCall('open', options, transport);
    if (request instanceof ProbeFailure) {
      const { error } = notBegun(settings, request);
      recordError(error as Problem, tags);
      recordSession(false, 0, tags);
      throw new Pop3Error(error as Problem);
    }
    const session = new Session(request, transport, tags);
    await session.logOn();
    return session;
  };

/** What a command, or the way to it, failed with: the words of every platform, and what a script can tell it by. */
export class Pop3Error extends Error {
  readonly reason: Problem['reason'];
  readonly phase: Problem['phase'];
  readonly hint: string;

  constructor(problem: Problem) {
    super(describeProblem(problem));
    this.name = 'Pop3Error';
    this.reason = problem.reason;
    this.phase = problem.phase;
    this.hint = problem.hint;
  }
}

/** A message that was fetched. */
export interface Fetched {
  readonly octets: number;
  readonly lines: number;
  /** All of it, lines ended by CRLF. What is not UTF-8 is read as Latin-1. */
  text(): string;
}

/** What is done while the session lasts; null is QUIT. */
type Order = (wire: Wire) => Dialogue<unknown>;

/** Stands between two orders: the visit goes no further until there is one. No driver ever sees it. */
const REST: Want = { want: 'note', phase: 'mailbox', note: { learnt: 'capabilities', capabilities: [] } };

/** A server that goes on beyond this will not end. */
const LARGEST_MESSAGE = 64 * 1024 * 1024;

/**
 * One visit to a mailbox (src/pop3/visit.ts) whose errand takes its orders one at a time: each is driven by the same
 * driver as a probe, over one link, with a deadline of its own.
 */
export class Session {
  /** The lines of CAPA, those after TLS where there was TLS. */
  capabilities: readonly string[] | null = null;
  tls: TlsFacts | null = null;
  /** The address that was talked to. */
  address: string | null = null;

  private readonly request: Request;
  private readonly transport: Transport;
  private readonly tags: Tags;
  private readonly world: World;
  private readonly mask: Mask;
  private readonly link: Link;
  private readonly visit: Dialogue<void>;
  private readonly began: number;
  private order: Order | null = null;
  private came: { readonly value: unknown } | { readonly refusal: ProbeFailure } = { value: undefined };
  private isBusy = false;
  private isGood = true;
  /** Why nothing more can be done, or null. */
  private over: string | null = null;
  private cancelIdle: Cancel = () => undefined;

  constructor(request: Request, transport: Transport, tags: Tags) {
    const { plan } = request;
    this.request = request;
    this.transport = transport;
    this.tags = tags;
    this.world = worldFor(transport, request, tags);
    this.mask = maskFor([secretOf(plan.visit.login)].filter((secret) => secret !== null));
    this.link = this.world.dial(plan.link);
    this.visit = visit(plan.visit, (wire) => this.errand(wire));
    this.began = this.world.now();
  }

  /** @internal */
  async logOn(): Promise<void> {
    const account = await this.go();
    const { phases, tls, connected, notes } = account;
    recordPhases(
      phases.filter(({ name }) => !this.transport.untimed.includes(name)),
      this.tags,
    );
    if (tls !== null) recordCertificate(tls.daysLeft, this.tags);
    if ('failure' in account.outcome) throw this.fail(account.outcome.failure);
    this.tls = tls;
    this.address = connected?.address ?? null;
    this.capabilities = notes.reduce<readonly string[] | null>(
      (last, note) => (note.learnt === 'capabilities' ? note.capabilities : last),
      null,
    );
    this.rest();
  }

  /** How much the mailbox holds. */
  async stat(): Promise<MailboxSize> {
    const size = await this.command('STAT', (wire) => wire.during('mailbox', mailbox.stat(wire)));
    recordMailbox(size, this.tags);
    return size;
  }

  /** The sizes of all messages, or that of one; null where there is none of that number. */
  list(): Promise<readonly Listed[]>;
  list(message: number): Promise<Listed | null>;
  async list(message?: number): Promise<readonly Listed[] | Listed | null> {
    if (message !== undefined) {
      const number = whole('list', message, 1);
      return await this.command('LIST', (wire) => wire.during('mailbox', mailbox.listOne(wire, number)));
    }
    const entries: Listed[] = [];
    await this.command('LIST', (wire) =>
      wire.during(
        'mailbox',
        mailbox.list(wire, (entry) => void entries.push(entry)),
      ),
    );
    return entries;
  }

  /** The identifiers of all messages, null where the server has no UIDL; or that of one, null where there is none. */
  uidl(): Promise<readonly Identified[] | null>;
  uidl(message: number): Promise<Identified | null>;
  async uidl(message?: number): Promise<readonly Identified[] | Identified | null> {
    if (message !== undefined) {
      const number = whole('uidl', message, 1);
      return await this.command('UIDL', (wire) => wire.during('mailbox', mailbox.uidlOne(wire, number)));
    }
    const entries: Identified[] = [];
    const isKnown = await this.command('UIDL', (wire) =>
      wire.during(
        'mailbox',
        mailbox.uidl(wire, (entry) => void entries.push(entry)),
      ),
    );
    return isKnown ? entries : null;
  }

  /** A message; null where there is none of that number. */
  async retr(message: number): Promise<Fetched | null> {
    const number = whole('retr', message, 1);
    return fetched(
      await this.command('RETR', (wire) => wire.during('retrieve', mailbox.retr(wire, number, LARGEST_MESSAGE))),
    );
  }

  /** The header of a message and the first lines of its body; null where there is none, or the server has no TOP. */
  async top(message: number, lines: number): Promise<Fetched | null> {
    const number = whole('top', message, 1);
    const count = whole('top', lines, 0);
    return fetched(
      await this.command('TOP', (wire) => wire.during('retrieve', mailbox.top(wire, number, count, LARGEST_MESSAGE))),
    );
  }

  /** Marks a message: it is gone after `quit()`. False where the server refuses. */
  async dele(message: number): Promise<boolean> {
    const number = whole('dele', message, 1);
    return (await this.command('DELE', (wire) => wire.during('delete', mailbox.dele(wire, number)))).ok;
  }

  async noop(): Promise<void> {
    await this.command('NOOP', (wire) => wire.during('mailbox', mailbox.noop(wire)));
  }

  /** Takes back every mark of `dele()`. */
  async rset(): Promise<void> {
    await this.command('RSET', (wire) => wire.during('mailbox', mailbox.rset(wire)));
  }

  /** Ends the session; only now are marked messages deleted. */
  async quit(): Promise<void> {
    this.begin('quit');
    this.order = null;
    const account = await this.timed('QUIT');
    if ('failure' in account.outcome) throw this.fail(account.outcome.failure);
    // What goes wrong after the answer to everything else is a note to a visit: to whoever calls this it is a failure.
    const fault = account.notes.find(isQuitFault);
    if (fault !== undefined) throw this.fail(fault.fault);
    this.end('the session is over');
  }

  /** Lets go at once, without QUIT: nothing is deleted. May be called at any time, and more than once. */
  close(): void {
    this.end('the session was closed');
  }

  private *errand(wire: Wire): Dialogue<void> {
    for (;;) {
      yield REST;
      const { order } = this;
      if (order === null) return;
      try {
        this.came = { value: yield* order(wire) };
      } catch (problem) {
        // A server that says no is still there; one that broke off, or the protocol, is not.
        if (!(problem instanceof ProbeFailure) || !isRefusal(problem) || wire.isInDoubt) throw problem;
        this.came = { refusal: problem };
      }
    }
  }

  /** The visit, as far as the next rest. */
  private *leg(): Dialogue<void> {
    let isThrough = false;
    try {
      let step = this.visit.next();
      while (step.done !== true && step.value !== REST) {
        try {
          yield step.value;
        } catch (problem) {
          step = this.visit.throw(problem);
          continue;
        }
        step = this.visit.next();
      }
      isThrough = true;
    } finally {
      if (!isThrough) this.visit.return();
    }
  }

  private go(): Promise<Account<void>> {
    const { plan } = this.request;
    const { world, mask } = this;
    const allowedMs = Math.min(plan.timeoutMs, plan.perConnectionTimeoutMs);
    const terms = { world, deadline: world.now() + allowedMs, allowedMs, mask, trace: false, stop: null };
    return drive(this.leg(), kept(this.link), terms).catch(
      // A bug, ours or the transport's: it ends the session as every failure does.
      (problem): Account<void> => ({ ...NOTHING, outcome: { failure: asFailure(problem) } }),
    );
  }

  private async timed(keyword: string): Promise<Account<void>> {
    const began = this.world.now();
    this.isBusy = true;
    try {
      return await this.go();
    } finally {
      this.isBusy = false;
      recordCommand(keyword, this.world.now() - began, this.tags);
    }
  }

  private async command<T>(keyword: string, order: (wire: Wire) => Dialogue<T>): Promise<T> {
    this.begin(keyword.toLowerCase());
    this.order = order;
    const { outcome } = await this.timed(keyword);
    if ('failure' in outcome) throw this.fail(outcome.failure);
    this.rest();
    const { came } = this;
    if ('refusal' in came) throw this.told(came.refusal);
    return came.value as T;
  }

  private begin(named: string): void {
    if (this.over !== null) throw new Error(`${named}(): ${this.over}`);
    if (this.isBusy) throw new Error(`${named}(): another command is under way: await each`);
    this.cancelIdle();
  }

  /** A socket of k6/x/tcp holds up the end of the iteration: one that was forgotten is closed after a while. */
  private rest(): void {
    if (!this.transport.holdsIteration || this.over !== null) return;
    const { timeoutMs } = this.request.plan;
    const why = `the session was closed after ${timeoutMs / 1000} s without a command`;
    this.cancelIdle = this.world.timer(timeoutMs, () => {
      // With the other transport nobody would know of it: what was forgotten did not go well.
      this.isGood = false;
      this.end(why);
    });
  }

  /** Tells of a failure; the session may go on. */
  private told(failure: ProbeFailure): Pop3Error {
    const { server, visit: to } = this.request.plan;
    const problem = inScripts(problemOf(failure, { server, visit: to }, this.mask));
    this.isGood = false;
    recordError(problem, this.tags);
    return new Pop3Error(problem);
  }

  /** Tells of a failure that ends the session. */
  private fail(failure: ProbeFailure): Error {
    // What close() has cut off is no fault of the server's.
    if (this.over !== null) return new Error(this.over);
    const error = this.told(failure);
    this.end(`the session is over: ${error.message}`);
    return error;
  }

  private end(why: string): void {
    if (this.over !== null) return;
    this.over = why;
    this.cancelIdle();
    this.link.close();
    recordSession(this.isGood, this.world.now() - this.began, this.tags);
  }
}

/** The link without its end: a driver closes what it was given. */
const kept = (link: Link): Link => ({
  resolve: (name) => link.resolve(name),
  reachProxy: () => link.reachProxy(),
  connect: (to, port) => link.connect(to, port),
  secure: () => link.secure(),
  read: () => link.read(),
  write: (octets) => link.write(octets),
  close: () => undefined,
});

/** A plain answer to the command, and no line that only looks like one. */
const isRefusal = ({ reason, said }: ProbeFailure): boolean =>
  said?.startsWith('-ERR') === true && reason !== 'protocol-violation';

const NOTHING = { phases: [], connected: null, tls: null, notes: [], conversation: [] } as const;

const isQuitFault = (note: Note): note is Extract<Note, { learnt: 'fault' }> =>
  note.learnt === 'fault' && note.fault.phase === 'quit';

function fetched(lines: readonly Uint8Array[] | null): Fetched | null {
  if (lines === null) return null;
  return {
    octets: lines.reduce((sum, { length }) => sum + length + 2, 0),
    lines: lines.length,
    text: () => lines.map((line) => `${text(line)}\r\n`).join(''),
  };
}

/** The number of a message, or of lines. */
function whole(named: string, given: unknown, least: number): number {
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= least) return given;
  throw new Error(`${named}() takes a whole number from ${least}`);
}

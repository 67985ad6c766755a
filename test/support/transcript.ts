import { pbkdf2Sync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Dialogue, Secured } from '../../src/dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../../src/dialogue/failure.ts';
import { maskFor, Secret } from '../../src/dialogue/secret.ts';
import type { LoginMethod } from '../../src/pop3/choice.ts';
import * as mailbox from '../../src/pop3/mailbox.ts';
import type { ConnectionType, Errand, VisitPlan } from '../../src/pop3/visit.ts';
import { visit } from '../../src/pop3/visit.ts';
import { type Account, drive } from '../../src/probe/drive.ts';
import type { Stop, World } from '../../src/probe/world.ts';
import { hash } from '../../src/runtimes/node/hashing.ts';
import { type Credential, secretOf } from '../../src/sasl/mechanism.ts';
import { filledIn, fullTestErrand, wireForm } from './full-test-errands.ts';
import { GOOD_TLS } from './samples.ts';
import { type Cut, ScriptedLink, type Step } from './scripted-link.ts';
import { scriptedWorld } from './scripted-world.ts';

/**
 * A conversation with a server as a text file. Lines:
 *
 *   # a remark
 *   plan: tls, user=alice, password=secret, auth=plain, trust, certificate=certificate-expired, errand=retr 1
 *   plan: ssl, errand=arrivals, stock=u1 u2, gone=0, seen=u3     for the errands of the full test (full-test-errands.ts)
 *   plan: ssl, name, proxy
 *   plan: ssl, auth=xoauth2, token=…     or, with the certificate TLS was made with,     plan: ssl, auth=external, certified
 *   plan: ssl, binding=tls-exporter, random=base 64     what ties SASL to TLS, and what is unguessable elsewhere
 *   (resolve) (proxy) (connect) (secure) (close) (reset) (silence)
 *   C: what the client says, without its line end
 *   S: what the server says, CRLF added; \x1b, \0, \r and \n are escapes
 *   S~ the same with LF alone;  S- the same with no line end;  S* 1000 text  repeated
 *   S< header|message|bounce|delay NAME  those lines of a message of test/support/letters.ts, dots stuffed, without end
 *   {marker NAME} and {octets NAME} stand for what that message has, wherever they stand
 *   result: success, messages=3, octets=120     or     result: failed in login: login-refused
 *   warned: timed-out in quit
 *   found: JSON of what the errand brought back
 *   shows: text that the failure's message or the server's words hold
 *   hides: text that no line of the trace holds
 */
export interface Transcript {
  readonly name: string;
  readonly plan: VisitPlan;
  readonly errand: Errand<unknown>;
  readonly steps: readonly Step[];
  readonly secured: Secured;
  readonly hash: World['hash'];
  readonly expected: {
    readonly result: string;
    readonly warned: readonly string[];
    readonly found: string | null;
    readonly shows: readonly string[];
    readonly hides: readonly string[];
  };
}

const FOLDER = new URL('../transcripts/', import.meta.url);

export const transcripts = (): readonly Transcript[] =>
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.pop3'))
    .sort()
    .map((file) => parseTranscript(file.slice(0, -'.pop3'.length), readFileSync(new URL(file, FOLDER), 'utf8')));

export function parseTranscript(name: string, content: string): Transcript {
  const steps: Step[] = [];
  const settings = new Map<string, string>();
  const expected: { result: string; warned: string[]; found: string | null; shows: string[]; hides: string[] } = {
    result: '',
    warned: [],
    found: null,
    shows: [],
    hides: [],
  };
  for (const [at, written] of content.split('\n').entries()) {
    const line = filledIn(written);
    const parts = /^(?:(plan|result|warned|found|shows|hides|C|S):|(S[~*<-])|(\())(?: ?)(.*)$/.exec(line);
    const [, keyword, special, bracket, rest = ''] = parts ?? [];
    if (parts === null && !/^(#.*|\s*)$/.test(line))
      throw new Error(`${name} line ${at + 1} is no line of a transcript`);
    if (keyword === 'plan') for (const part of rest.split(', ')) settings.set(...pair(part));
    if (keyword === 'result') expected.result = rest;
    if (keyword === 'warned') expected.warned.push(rest);
    if (keyword === 'found') expected.found = rest;
    if (keyword === 'shows') expected.shows.push(rest);
    if (keyword === 'hides') expected.hides.push(rest);
    if (keyword === 'C') steps.push({ does: 'hears', line: unescaped(rest) });
    if (keyword === 'S') say(steps, `${unescaped(rest)}\r\n`);
    if (special === 'S~') say(steps, `${unescaped(rest)}\n`);
    if (special === 'S-') say(steps, unescaped(rest));
    if (special === 'S<') say(steps, wireForm(...(rest.split(' ') as [string, string])));
    if (special === 'S*') {
      const [, times, text] = /^(\d+) (.*)$/.exec(rest) as RegExpExecArray;
      say(steps, unescaped(text as string).repeat(Number(times)));
    }
    if (bracket === '(') steps.push(happening(rest.replace(')', ''), name));
  }
  return {
    name,
    plan: planOf(settings),
    errand: fullTestErrand(settings) ?? errandOf(settings.get('errand') ?? 'stat'),
    steps,
    secured: securedOf(settings),
    hash: hashWith(Buffer.from(settings.get('random') ?? '', 'base64')),
    expected,
  };
}

const pair = (part: string): [string, string] => {
  const at = part.indexOf('=');
  return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
};

/** What the server says between two of the client's lines arrives together. */
function say(steps: Step[], text: string): void {
  const octets = Buffer.from(text, 'latin1');
  const last = steps[steps.length - 1];
  if (last?.does === 'says') steps[steps.length - 1] = { does: 'says', octets: Buffer.concat([last.octets, octets]) };
  else steps.push({ does: 'says', octets });
}

const HAPPENINGS: Readonly<Record<string, Step>> = {
  resolve: { does: 'resolves' },
  proxy: { does: 'enters' },
  connect: { does: 'connects' },
  secure: { does: 'secures' },
  close: { does: 'closes' },
  reset: { does: 'resets' },
  silence: { does: 'keeps silent' },
};

function happening(what: string, name: string): Step {
  const known = HAPPENINGS[what];
  if (known !== undefined) return known;
  const [word, reason] = what.split(' ');
  if (word !== 'fails') throw new Error(`${name}: nothing called (${what})`);
  return { does: 'fails', failure: new ProbeFailure(reason as Reason, 'as the script has it') };
}

const unescaped = (text: string): string =>
  Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/\\(x[0-9a-f]{2}|[0rn\\])/g, (_, code: string) =>
      code.startsWith('x')
        ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
        : ({ '0': '\0', r: '\r', n: '\n', '\\': '\\' }[code] as string),
    );

function planOf(settings: ReadonlyMap<string, string>): VisitPlan {
  const type = (['plaintext', 'tls', 'ssl'] as const).find((each) => settings.has(each)) as ConnectionType;
  return {
    to: settings.has('name') ? 'mail.example.com' : { address: '192.0.2.1', family: 4 },
    port: type === 'ssl' ? 995 : 110,
    viaProxy: settings.has('proxy'),
    connectionType: type,
    trustAnyCertificate: settings.has('trust'),
    login: { ...credentialOf(settings), method: (settings.get('auth') ?? 'auto') as LoginMethod },
  };
}

function credentialOf(settings: ReadonlyMap<string, string>): Credential {
  const userName = settings.get('user') ?? 'alice';
  const token = settings.get('token');
  if (settings.has('certified')) return { kind: 'certificate', userName };
  return token === undefined
    ? { kind: 'password', userName, password: new Secret(settings.get('password') ?? 'correct horse') }
    : { kind: 'bearer', userName, token: new Secret(token) };
}

const text = (lines: readonly Uint8Array[] | null): readonly string[] | null =>
  lines === null ? null : lines.map((line) => Buffer.from(line).toString('latin1'));

function* collected<T>(listing: (each: (entry: T) => void) => Dialogue<unknown>): Dialogue<readonly T[]> {
  const entries: T[] = [];
  yield* listing((entry) => void entries.push(entry));
  return entries;
}

const LIMIT = 10_000;

/** What `errand=` may name: a command with its arguments. */
function errandOf(errand: string): Errand<unknown> {
  const [command = '', first = '0', second = '0'] = errand.split(' ');
  const message = Number(first);
  const errands: Readonly<Record<string, Errand<unknown>>> = {
    stat: (wire) => wire.during('mailbox', mailbox.stat(wire)),
    noop: (wire) => wire.during('mailbox', mailbox.noop(wire)),
    rset: (wire) => wire.during('mailbox', mailbox.rset(wire)),
    list: (wire) =>
      wire.during(
        'mailbox',
        collected((each) => mailbox.list(wire, each)),
      ),
    uidl: (wire) =>
      wire.during(
        'mailbox',
        collected((each) => mailbox.uidl(wire, each)),
      ),
    'list-one': (wire) => wire.during('mailbox', mailbox.listOne(wire, message)),
    'uidl-one': (wire) => wire.during('mailbox', mailbox.uidlOne(wire, message)),
    *top(wire) {
      return text(yield* wire.during('retrieve', mailbox.top(wire, message, Number(second), LIMIT)));
    },
    *retr(wire) {
      return text(yield* wire.during('retrieve', mailbox.retr(wire, message, LIMIT)));
    },
    *dele(wire) {
      return (yield* wire.during('delete', mailbox.dele(wire, message))).ok;
    },
  };
  return errands[command] as Errand<unknown>;
}

function securedOf(settings: ReadonlyMap<string, string>): Secured {
  const [fault, binding] = [settings.get('certificate'), settings.get('binding')];
  const facts = { ...GOOD_TLS, authorized: fault === undefined };
  return {
    facts,
    bindings: new Map(binding === undefined ? [] : [[binding, Buffer.from('this very link')]]),
    faults: fault === undefined ? [] : [new ProbeFailure(fault as Reason, 'as the script has it')],
  };
}

/** What is computed, without chance, time, or a thread: the script's clock stands still only while nothing waits. */
const hashWith =
  (random: Uint8Array): World['hash'] =>
  async (recipe) => {
    if (recipe.compute === 'random') return random;
    if (recipe.compute === 'filetime') return new Uint8Array(8);
    if (recipe.compute !== 'pbkdf2') return await hash(recipe);
    const { password, salt, iterations, length, algorithm } = recipe;
    return pbkdf2Sync(password, salt, iterations, length, algorithm);
  };

export interface Played {
  readonly account: Account<unknown>;
  readonly link: ScriptedLink;
  readonly pendingTimers: number;
}

/**
 * Plays a transcript under the real driver, cut as told.
 *
 * @param stopAt the want at which a signal arrives, from 1; 0 for none
 */
export async function play(transcript: Transcript, cut: Cut, stopAt = 0): Promise<Played> {
  const world = { ...scriptedWorld(), hash: transcript.hash };
  const link = new ScriptedLink(transcript.steps, cut, transcript.secured);
  const stop: Stop = (end) => {
    link.onWant = (want) => {
      if (want === stopAt) end(new ProbeFailure('interrupted', 'ended by SIGTERM'));
    };
    return () => undefined;
  };
  const account = await drive(visit(transcript.plan, transcript.errand), link, {
    world,
    deadline: world.now() + 10_000,
    allowedMs: 10_000,
    mask: maskFor([secretOf(transcript.plan.login)].filter((secret) => secret !== null)),
    trace: true,
    stop,
  });
  return { account, link, pendingTimers: world.pending() };
}

/** What became of it, in the words of a transcript's `result:`. */
export function outcomeOf({ outcome, notes }: Account<unknown>): string {
  if ('failure' in outcome) return `failed in ${outcome.failure.phase}: ${outcome.failure.reason}`;
  const size = notes.find((note) => note.learnt === 'mailbox');
  return size === undefined ? 'success' : `success, messages=${size.messages}, octets=${size.octets}`;
}

/** The warnings, in the words of `warned:`. */
export const warningsOf = ({ notes }: Account<unknown>): readonly string[] =>
  notes.flatMap((note) => (note.learnt === 'fault' ? [`${note.fault.reason} in ${note.fault.phase}`] : []));

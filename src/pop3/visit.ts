import type { Address, Destination, Dialogue } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { askCapabilities, type Capabilities } from './capabilities.ts';
import { line } from './line.ts';
import { type Footing, type LoginPlan, logIn } from './login.ts';
import { accept, parseReply, refusal } from './reply.ts';
import { Wire } from './wire.ts';

/** `plaintext`, `tls` (STLS on a plain connection) or `ssl` (TLS from the first octet): the cmdlet's words. */
export type ConnectionType = 'plaintext' | 'tls' | 'ssl';

/** Where to go, how to be protected and who to be. */
export interface VisitPlan {
  /** A name to resolve, or the address itself. */
  readonly to: string | Address;
  readonly port: number;
  /** Whether the link goes through a proxy. */
  readonly viaProxy: boolean;
  readonly connectionType: ConnectionType;
  /** A certificate at fault is noted, and the visit goes on. */
  readonly trustAnyCertificate: boolean;
  readonly login: LoginPlan;
}

/** What is done in the mailbox between logon and QUIT. */
export type Errand<T> = (wire: Wire, capabilities: Capabilities) => Dialogue<T>;

/** One visit to a mailbox, from the name of the server to QUIT (RFC 1939 §3-6, RFC 2595 §4, RFC 8314 §3). */
export function* visit<T>(plan: VisitPlan, errand: Errand<T>): Dialogue<T> {
  const wire = new Wire();
  if (plan.viaProxy) yield* wire.during('proxy', wire.reachProxy());
  const to = yield* wire.during('dns', destination(wire, plan));
  yield* wire.during('connect', wire.connect(to, plan.port));
  let bindings: Footing['bindings'] = new Map();
  if (plan.connectionType === 'ssl') bindings = yield* wire.during('tls', secure(wire, plan));
  const greeting = yield* wire.during('greeting', readGreeting(wire));
  let capabilities = yield* wire.during('capabilities', askCapabilities(wire));
  if (plan.connectionType === 'tls') {
    yield* wire.during('stls', startTls(wire, capabilities));
    bindings = yield* wire.during('tls', secure(wire, plan));
    // What was said in the clear is void: RFC 2595 §4.
    capabilities = yield* wire.during('capabilities', askCapabilities(wire));
  }
  const footing = {
    capabilities,
    greeting: plan.connectionType === 'tls' ? null : greeting,
    isProtected: plan.connectionType !== 'plaintext',
    bindings,
    host: typeof plan.to === 'string' ? plan.to : plan.to.address,
    port: plan.port,
  };
  yield* wire.during('login', logIn(wire, plan.login, footing));
  const found = yield* errand(wire, capabilities);
  yield* wire.during('quit', quit(wire));
  return found;
}

/** The addresses of a server's name alone, for those who want to visit each. */
export function* lookUp(to: string | Address): Dialogue<readonly Address[]> {
  const wire = new Wire();
  return yield* wire.during('dns', resolve(wire, to));
}

/** A proxy looks the name up itself: what is said of it here need not hold there, and nobody here may know it. */
function* destination(wire: Wire, { to, viaProxy }: VisitPlan): Dialogue<Destination> {
  return viaProxy && typeof to === 'string' ? to : yield* resolve(wire, to);
}

function* resolve(wire: Wire, to: string | Address): Dialogue<readonly Address[]> {
  return typeof to === 'string' ? yield* wire.resolve(to) : [to];
}

/** The certificate is judged before anything else is said: RFC 8314 §5.1 has no credentials on a doubtful link. */
function* secure(wire: Wire, plan: VisitPlan): Dialogue<Footing['bindings']> {
  const { faults, bindings } = yield* wire.secure();
  const [gravest, ...others] = faults;
  for (const fault of plan.trustAnyCertificate ? faults : others) {
    fault.phase = 'tls';
    yield { want: 'note', phase: 'tls', note: { learnt: 'fault', fault } };
  }
  if (gravest !== undefined && !plan.trustAnyCertificate) throw gravest;
  return bindings;
}

function* readGreeting(wire: Wire): Dialogue<string> {
  let said: string;
  try {
    said = yield* wire.statusLine();
  } catch (problem) {
    // A stranger may say less than a line and hang up: a TLS alert has no line end.
    const stranger = recognise(wire.peek());
    if (stranger === null || !(problem instanceof ProbeFailure) || problem.reason === 'interrupted') throw problem;
    throw new ProbeFailure('not-pop3', `${stranger} answers on this port`);
  }
  const reply = parseReply(said);
  if (reply === null)
    throw new ProbeFailure('not-pop3', `${recognise(said) ?? 'something else'} answers on this port`, { said });
  if (!reply.ok) throw refusal(reply, 'server-permanent');
  return said;
}

/** How other services introduce themselves. A TLS record begins with its type and its version. */
const STRANGERS: readonly (readonly [RegExp, string])[] = [
  [/^\* (?:OK|PREAUTH|BYE)/, 'IMAP'],
  [/^SSH-/, 'SSH'],
  [/^HTTP\/|^<(?:!doctype|html)/i, 'HTTP'],
  [/^220[ -].*(?:SMTP|mail)/i, 'SMTP'],
  [/^220[ -].*FTP/i, 'FTP'],
  [/^220[ -]/, 'SMTP or FTP'],
];
const TLS_RECORDS = ['\u0015\u0003', '\u0016\u0003'];

function recognise(said: string): string | null {
  if (TLS_RECORDS.some((record) => said.startsWith(record))) return 'TLS';
  return STRANGERS.find(([pattern]) => pattern.test(said))?.[1] ?? null;
}

/** STLS (RFC 2595 §4), or nothing: never a word about who we are on a link that stayed in the clear. */
function* startTls(wire: Wire, capabilities: Capabilities): Dialogue<void> {
  if (capabilities === null) throw new ProbeFailure('stls-not-offered', 'the server does not know CAPA');
  if (!capabilities.has('STLS')) throw new ProbeFailure('stls-not-offered', 'CAPA does not list STLS');
  const reply = yield* wire.ask(line`STLS`);
  // No response code changes this: whatever the cause, there is no protection to be had.
  if (!reply.ok) throw new ProbeFailure('stls-refused', '', { said: reply.said });
}

/**
 * QUIT, after which a server may still fail (RFC 1939 §6). What was to be tested has been: whatever goes wrong here
 * is noted, and does not undo it.
 */
function* quit(wire: Wire): Dialogue<void> {
  try {
    accept(yield* wire.ask(line`QUIT`), 'server-permanent');
  } catch (problem) {
    if (!(problem instanceof ProbeFailure) || problem.reason === 'interrupted') throw problem;
    problem.phase = 'quit';
    yield { want: 'note', phase: 'quit', note: { learnt: 'fault', fault: problem } };
  }
}

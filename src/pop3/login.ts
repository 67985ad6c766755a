import { hex, utf8 } from '../dialogue/bytes.ts';
import { type Dialogue, type Phase, type Recipe, Slot } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import type { Credential, PasswordCredential } from '../sasl/mechanism.ts';
import { saslExchange } from './auth.ts';
import type { Capabilities } from './capabilities.ts';
import { choose, type LoginMethod } from './choice.ts';
import { line } from './line.ts';
import { accept, LOGIN_CODES } from './reply.ts';
import type { Wire } from './wire.ts';

/** Who logs on, and how. */
export type LoginPlan = Credential & { readonly method: LoginMethod };

/** What a logon may rest on. */
export interface Footing {
  readonly capabilities: Capabilities;
  /** The greeting, where TLS protected it or nothing is to be protected: what came in clear before STLS is void. */
  readonly greeting: string | null;
  /** Whether TLS protects the link. */
  readonly isProtected: boolean;
  /** What ties SASL to the TLS link, by its name. */
  readonly bindings: ReadonlyMap<string, Uint8Array>;
  readonly host: string;
  readonly port: number;
}

/** Logs on, with one attempt: a second one with the same password locks accounts. */
export function* logIn(wire: Wire, plan: LoginPlan, footing: Footing): Dialogue<void> {
  const way = choose(plan, footing);
  if (way === 'user') yield* userAndPass(wire, asPassword(plan));
  else if (way === 'apop') yield* apop(wire, asPassword(plan), footing.greeting);
  else yield* way.authenticate(plan, saslExchange(wire, way, footing));
}

/** What `choose` has made sure of: these ways are for passwords alone. */
function asPassword(plan: LoginPlan): PasswordCredential {
  if (plan.kind !== 'password') throw new TypeError(`${plan.kind} is no password`);
  return plan;
}

/** USER and PASS (RFC 1939 §7). A server may say +OK to any USER; it is PASS that counts. */
function* userAndPass(wire: Wire, { userName, password }: PasswordCredential): Dialogue<void> {
  accept(yield* wire.ask(line`USER ${userName}`), 'login-refused', LOGIN_CODES);
  accept(yield* wire.ask(line`PASS ${password}`), 'login-refused', LOGIN_CODES);
}

/** APOP (RFC 1939 §7): the digest of the greeting's timestamp and the password. */
function* apop(wire: Wire, { userName, password }: PasswordCredential, greeting: string | null): Dialogue<void> {
  if (greeting === null)
    throw new ProbeFailure('mechanism-not-offered', 'what APOP rests on came in clear, before TLS: use implicit TLS');
  const timestamp = timestampIn(greeting);
  if (timestamp === null)
    throw new ProbeFailure('mechanism-not-offered', 'there is no timestamp for APOP in the greeting');
  const octets = utf8(timestamp + password.reveal());
  const digest = yield* computed('login', { compute: 'digest', algorithm: 'md5', octets });
  // As good as the password to whoever tries words.
  accept(yield* wire.ask(line`APOP ${userName} ${new Secret(hex(digest))}`), 'login-refused', LOGIN_CODES);
}

/**
 * The last thing in angle brackets, where it is a message identifier of printable ASCII. Anything else could be made
 * to collide, and collisions tell of the password (CVE-2007-1558). No pattern runs over the whole greeting: it could be
 * made to take for ever (CVE-2018-1060).
 */
function timestampIn(greeting: string): string | null {
  const end = greeting.lastIndexOf('>');
  const start = end < 0 ? -1 : greeting.lastIndexOf('<', end);
  const found = start < 0 ? '' : greeting.slice(start, end + 1);
  return /^<[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+>$/.test(found) ? found : null;
}

/** Has something computed, booked on a phase. */
export function* computed(phase: Phase, recipe: Recipe): Dialogue<Uint8Array> {
  const slot = new Slot<Uint8Array>();
  yield { want: 'derive', phase, recipe, slot };
  return slot.take();
}

import { fromBase64 } from '../dialogue/bytes.ts';
import type { Dialogue } from '../dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import { MECHANISMS } from '../sasl/index.ts';
import type { Credential, Exchange, Mechanism } from '../sasl/mechanism.ts';
import type { Capabilities } from './capabilities.ts';
import { authWithResponse, line, response } from './line.ts';
import { accept, LOGIN_CODES, parseChallenge, parseReply, refusal } from './reply.ts';
import type { Wire } from './wire.ts';

/** How to log on: `auto`, `user` (USER and PASS), or a SASL mechanism by its name in lower case. */
export type LoginMethod = 'auto' | 'user' | 'plain';

export interface LoginPlan extends Credential {
  readonly method: LoginMethod;
}

/** Logs on, with one attempt: a second one with the same password locks accounts. */
export function* logIn(wire: Wire, plan: LoginPlan, capabilities: Capabilities): Dialogue<void> {
  const mechanism = choose(plan, capabilities);
  if (mechanism === null) yield* userAndPass(wire, plan);
  else yield* mechanism.authenticate(plan, saslExchange(wire, mechanism.name, capabilities));
}

/** USER and PASS (RFC 1939 §7). A server may say +OK to any USER; it is PASS that counts. */
function* userAndPass(wire: Wire, { userName, password }: Credential): Dialogue<void> {
  accept(yield* wire.ask(line`USER ${userName}`), 'login-refused', LOGIN_CODES);
  accept(yield* wire.ask(line`PASS ${password}`), 'login-refused', LOGIN_CODES);
}

/**
 * The mechanism to use, or null for USER and PASS.
 *
 * @throws ProbeFailure `mechanism-not-offered`, before anything secret is sent
 */
function choose(plan: LoginPlan, capabilities: Capabilities): Mechanism | null {
  const offers = offered(capabilities);
  // No extension is needed for what RFC 1939 has (RFC 2449 §7): by name it is tried, listed or not.
  if (plan.method === 'user') return null;
  const wanted = MECHANISMS.filter((each) => plan.method === 'auto' || each.name === plan.method.toUpperCase());
  // Without CAPA nobody knows: then what was asked for by name is tried, and `auto` means USER and PASS.
  if (offers === null) return plan.method === 'auto' ? null : (wanted[0] ?? null);
  const common = wanted.find((each) => offers.includes(each.name));
  const byUser = plan.method === 'auto' && offers.includes('USER');
  // USER and PASS are what mail clients use, unless they cannot say it: RFC 1939 has ASCII alone.
  if (byUser && (common === undefined || fitsUserAndPass(plan))) return null;
  if (common !== undefined) return common;
  const list = offers.length === 0 ? 'no way to log on' : offers.join(', ');
  const asked = plan.method === 'auto' ? '' : `, not ${plan.method.toUpperCase()}`;
  throw new ProbeFailure('mechanism-not-offered', `the server offers ${list}${asked}`);
}

/** The ways to log on a server names: USER, and those behind SASL. Null where it does not know CAPA. */
function offered(capabilities: Capabilities): readonly string[] | null {
  if (capabilities === null) return null;
  const mechanisms = (capabilities.get('SASL') ?? []).map((name) => name.toUpperCase());
  return capabilities.has('USER') ? ['USER', ...mechanisms] : mechanisms;
}

const LONGEST_ARGUMENT = 255 - 'PASS '.length - '\r\n'.length;
const fitsUserAndPass = ({ userName, password }: Credential): boolean =>
  [userName, password.reveal()].every((spelt) => /^[\x20-\x7e]*$/.test(spelt) && spelt.length <= LONGEST_ARGUMENT);

/**
 * AUTH (RFC 5034 §4). A first response goes with the command only where the server names the mechanism in CAPA and
 * the line stays within 255 octets; a server of RFC 1734 would choke on it. Anything but base 64 in a challenge is
 * answered by `*`.
 */
function saslExchange(wire: Wire, mechanism: string, capabilities: Capabilities): Exchange {
  let started = false;
  return {
    *respond(octets) {
      if (!started) {
        started = true;
        const whole = capabilities === null ? null : authWithResponse(mechanism, octets);
        if (whole !== null) {
          yield* wire.send(whole);
          return yield* challenge(wire);
        }
        yield* wire.send(line`AUTH ${mechanism}`);
        // Nothing of the credential was sent: a plain refusal is one of the mechanism.
        const first = yield* challenge(wire, 'mechanism-not-offered');
        if (first === null) throw new ProbeFailure('protocol-violation', 'AUTH was accepted before any credential');
      }
      yield* wire.send(response(octets));
      return yield* challenge(wire);
    },
  };
}

/** The server's next challenge decoded, or null for +OK. */
function* challenge(wire: Wire, otherwise: Reason = 'login-refused'): Dialogue<Uint8Array | null> {
  const said = yield* wire.statusLine();
  const encoded = parseChallenge(said);
  if (encoded !== null) {
    const octets = fromBase64(encoded);
    if (octets !== null) return octets;
    const cancelled = yield* wire.ask(line`*`);
    throw new ProbeFailure('protocol-violation', 'a challenge that is not base 64', {
      said: `${said} / ${cancelled.said}`,
    });
  }
  const reply = parseReply(said);
  if (reply === null)
    throw new ProbeFailure('protocol-violation', 'neither +OK, -ERR nor a challenge to AUTH', { said });
  if (!reply.ok) throw refusal(reply, otherwise, LOGIN_CODES);
  return null;
}

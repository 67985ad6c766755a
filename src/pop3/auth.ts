import { fromBase64 } from '../dialogue/bytes.ts';
import { type Dialogue, Slot } from '../dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import type { Exchange, Mechanism } from '../sasl/mechanism.ts';
import { offered } from './choice.ts';
import { authWithResponse, line, response } from './line.ts';
import type { Footing } from './login.ts';
import { LOGIN_CODES, parseChallenge, parseReply, refusal } from './reply.ts';
import type { Wire } from './wire.ts';

/** Longer than any challenge of a mechanism we speak; a line that is longer still is too long for POP3 anyway. */
const LONGEST_CHALLENGE = 4 * 1024;

/**
 * SASL in POP3 (AUTH, RFC 5034 §4). A first response goes with the command only where the server names the mechanism in
 * CAPA and the line stays within 255 octets; a server of RFC 1734 would choke on it. Anything but base 64 in a
 * challenge is answered by `*`.
 */
export function saslExchange(wire: Wire, { name, inTwoLines }: Mechanism, footing: Footing): Exchange {
  const { host, port, bindings, capabilities } = footing;
  let started = false;
  const start = function* (): Dialogue<Uint8Array> {
    started = true;
    yield* wire.send(line`AUTH ${name}`);
    // Nothing of the credential was sent: a plain refusal is one of the mechanism.
    const first = yield* challenge(wire, 'mechanism-not-offered');
    if (first === null) throw new ProbeFailure('protocol-violation', 'AUTH was accepted before any credential');
    return first;
  };
  return {
    host,
    port,
    bindings,
    offers: offered(capabilities),
    start,
    *respond(octets) {
      if (!started) {
        const whole = capabilities === null || inTwoLines === true ? null : authWithResponse(name, octets);
        if (whole !== null) {
          started = true;
          yield* wire.send(whole);
          return yield* challenge(wire);
        }
        yield* start();
      }
      yield* wire.send(response(octets));
      return yield* challenge(wire);
    },
    *compute(recipe) {
      const slot = new Slot<Uint8Array>();
      yield { want: 'derive', phase: 'login', recipe, slot };
      return slot.take();
    },
    cancel: (failure) => cancel(wire, failure),
  };
}

/** Breaks off by `*` (RFC 5034 §4), and fails. Whatever the server says to that, or does: why it is over is known. */
function* cancel(wire: Wire, failure: ProbeFailure): Dialogue<never> {
  try {
    yield* wire.send(line`*`);
    yield* wire.statusLine();
  } catch (problem) {
    if (!(problem instanceof ProbeFailure) || problem.reason === 'interrupted') throw problem;
  }
  throw failure;
}

/** The server's next challenge decoded, or null for +OK. */
function* challenge(wire: Wire, otherwise: Reason = 'login-refused'): Dialogue<Uint8Array | null> {
  const said = yield* wire.statusLine();
  const encoded = parseChallenge(said);
  if (encoded !== null) {
    const octets = fromBase64(encoded);
    if (octets !== null && octets.length <= LONGEST_CHALLENGE) return octets;
    const what = octets === null ? 'a challenge that is not base 64' : 'a challenge longer than any is';
    return yield* cancel(wire, new ProbeFailure('protocol-violation', what, { said }));
  }
  const reply = parseReply(said);
  if (reply === null)
    throw new ProbeFailure('protocol-violation', 'neither +OK, -ERR nor a challenge to AUTH', { said });
  if (!reply.ok) throw refusal(reply, otherwise, LOGIN_CODES);
  return null;
}

import { base64, fromBase64, join, text, utf8 } from '../dialogue/bytes.ts';
import type { Dialogue, HashName } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { saslName } from './gs2.ts';
import { conclude, type Exchange, type Mechanism, type PasswordCredential } from './mechanism.ts';

const SHA1 = { name: 'SCRAM-SHA-1', algorithm: 'sha1', length: 20 } as const;
const SHA256 = { name: 'SCRAM-SHA-256', algorithm: 'sha256', length: 32 } as const;

export const scramSha1 = scram(SHA1, false);
export const scramSha1Plus = scram(SHA1, true);
export const scramSha256 = scram(SHA256, false);
export const scramSha256Plus = scram(SHA256, true);

interface Hash {
  readonly name: string;
  readonly algorithm: HashName;
  /** Of its digest, in octets. */
  readonly length: number;
}

/**
 * SCRAM (RFC 5802, RFC 7677): each side proves that it knows the password and neither tells it. With `-PLUS` both also
 * prove that they are the ends of one TLS link.
 */
function scram({ name, algorithm, length }: Hash, isPlus: boolean): Mechanism<PasswordCredential> {
  const plus = `${name}-PLUS`;
  return {
    name: isPlus ? plus : name,
    takes: 'password',
    rank: 'proof',
    ...(isPlus ? { needsBinding: true } : {}),
    *authenticate({ userName, password: secret }, exchange) {
      const hmac = (key: Uint8Array, octets: Uint8Array): Dialogue<Uint8Array> =>
        exchange.compute({ compute: 'hmac', algorithm, key, octets });
      const { header, binding } = isPlus ? tied(exchange) : loose(exchange, plus);
      const user = text(yield* exchange.compute({ compute: 'saslprep', text: new Secret(userName) }));
      const password = yield* exchange.compute({ compute: 'saslprep', text: secret });
      const nonce = base64(yield* exchange.compute({ compute: 'random', length: NONCE_LENGTH }));
      const opening = `n=${saslName(user)},r=${nonce}`;

      const challenge = yield* exchange.respond(utf8(header + opening));
      if (challenge === null) throw unproven('the server accepted the logon before anybody proved anything');
      const terms = readTerms(text(challenge), nonce);
      if (terms instanceof ProbeFailure) return yield* exchange.cancel(terms);

      const { salt, iterations } = terms;
      const salted = yield* exchange.compute({ compute: 'pbkdf2', algorithm, password, salt, iterations, length });
      const closing = `c=${base64(join(utf8(header), binding))},r=${terms.nonce}`;
      const agreed = join(utf8(`${opening},`), challenge, utf8(`,${closing}`));
      const clientKey = yield* hmac(salted, utf8('Client Key'));
      const storedKey = yield* exchange.compute({ compute: 'digest', algorithm, octets: clientKey });
      const signature = yield* hmac(storedKey, agreed);
      const proof = clientKey.map((octet, at) => octet ^ (signature[at] as number));

      const last = yield* naming(header, exchange.respond(utf8(`${closing},p=${base64(proof)}`)));
      if (last === null) throw unproven('the server accepted the logon without its own proof');
      const serverKey = yield* hmac(salted, utf8('Server Key'));
      const fault = faultIn(text(last), base64(yield* hmac(serverKey, agreed)));
      if (fault !== null) return yield* exchange.cancel(fault);
      yield* conclude(exchange, utf8(''));
    },
  };
}

const NONCE_LENGTH = 18;

/** RFC 5802 §5.1 and RFC 7677 §4 demand 4,096 of a server; beyond the most only a deadline would end it. */
const ITERATIONS = { fewest: 4096, most: 1_000_000 } as const;

/** What ties the exchange to the TLS link: the header that names it, and the thing itself (RFC 5802 §6). */
interface Tie {
  readonly header: string;
  readonly binding: Uint8Array;
}

function tied({ bindings }: Exchange): Tie {
  for (const name of BINDINGS) {
    const binding = bindings.get(name);
    if (binding !== undefined) return { header: `p=${name},,`, binding };
  }
  throw new ProbeFailure('mechanism-not-offered', 'there is nothing to tie SCRAM to this link with');
}

const BINDINGS = ['tls-exporter', 'tls-unique'] as const; // RFC 9266; RFC 5929 §3 before TLS 1.3

/**
 * `y` where we could tie it and the server does not offer to: should it have, somebody took that out of its list, and
 * the server will notice. `n` where there is nothing to tie it to, or no list to go by.
 */
function loose({ bindings, offers }: Exchange, plus: string): Tie {
  const isMissed = BINDINGS.some((name) => bindings.has(name)) && offers !== null && !offers.includes(plus);
  return { header: isMissed ? 'y,,' : 'n,,', binding: new Uint8Array(0) };
}

/** A server that would be bound by something else refuses, and says no more than to a wrong password: tell by what. */
function* naming<T>(header: string, answer: Dialogue<T>): Dialogue<T> {
  try {
    return yield* answer;
  } catch (problem) {
    const [, name] = /^p=([^,]+)/.exec(header) ?? [];
    if (name === undefined || !(problem instanceof ProbeFailure) || problem.said === null) throw problem;
    throw new ProbeFailure(problem.reason, `tied to the TLS link by ${name}`, { said: problem.said });
  }
}

interface Terms {
  /** Ours, and more of the server's. */
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** The server's first message, or what is wrong with it. */
function readTerms(said: string, nonce: string): Terms | ProbeFailure {
  if (said.startsWith('e=')) return refused(said);
  if (said.startsWith('m='))
    return new ProbeFailure('protocol-violation', 'the server demands an extension of SCRAM that there is not');
  const parts = /^r=([^,]+),s=([^,]+),i=(\d{1,12})(?:,|$)/.exec(said);
  const [, both = '', salt = '', count = ''] = parts ?? [];
  const salted = fromBase64(salt);
  if (parts === null || salted === null || !/^[\x21-\x7e]+$/.test(both))
    return new ProbeFailure('protocol-violation', 'the challenge of SCRAM is malformed');
  if (!both.startsWith(nonce) || both.length === nonce.length)
    return new ProbeFailure('protocol-violation', "the server's nonce does not continue ours");
  const iterations = Number(count);
  if (iterations < ITERATIONS.fewest || iterations > ITERATIONS.most) {
    const range = `${ITERATIONS.fewest} to ${ITERATIONS.most} are allowed`;
    return new ProbeFailure('protocol-violation', `the server wants ${iterations} iterations of SCRAM, ${range}`);
  }
  return { nonce: both, salt: salted, iterations };
}

/** What is wrong with the server's last message: it has to prove, too, that it knows the password. */
function faultIn(said: string, proof: string): ProbeFailure | null {
  if (said.startsWith('e=')) return refused(said);
  const [, shown] = /^v=([^,]*)(?:,|$)/.exec(said) ?? [];
  if (shown === undefined) return unproven('the server shows no proof');
  return shown === proof ? null : unproven("the server's proof is wrong");
}

const refused = (said: string): ProbeFailure => new ProbeFailure('login-refused', '', { said });

const unproven = (what: string): ProbeFailure => new ProbeFailure('server-not-authenticated', what);

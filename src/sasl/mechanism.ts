import type { Dialogue, Recipe } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { Secret } from '../dialogue/secret.ts';

/** Who logs on, and with what. */
export type Credential = PasswordCredential | BearerCredential | CertificateCredential;

export interface PasswordCredential {
  readonly kind: 'password';
  readonly userName: string;
  readonly password: Secret;
}

/** An OAuth 2 access token (RFC 6750). */
export interface BearerCredential {
  readonly kind: 'bearer';
  readonly userName: string;
  readonly token: Secret;
}

/** The certificate the TLS link was made with; '' as a user name leaves it to the server who that is. */
export interface CertificateCredential {
  readonly kind: 'certificate';
  readonly userName: string;
}

/** What of a credential is to be kept secret; null where it has nothing of the kind. */
export function secretOf(credential: Credential): Secret | null {
  if (credential.kind === 'certificate') return null;
  return credential.kind === 'bearer' ? credential.token : credential.password;
}

/**
 * The client's side of a SASL exchange (RFC 4422 §3), whatever protocol carries it. The carrier decides whether a
 * first response travels with the command or after an empty challenge.
 */
export interface Exchange {
  /** The server, as OAUTHBEARER tells it (RFC 7628 §3.1). */
  readonly host: string;
  readonly port: number;
  /** What ties the exchange to the TLS link under it, by its name; empty where there is none. */
  readonly bindings: ReadonlyMap<string, Uint8Array>;
  /** The mechanisms the server names, in capitals; null where it cannot say. */
  readonly offers: readonly string[] | null;
  /**
   * Names the mechanism and sends nothing of ours: for those in which the server speaks first.
   *
   * @returns the first challenge
   */
  start(): Dialogue<Uint8Array>;
  /**
   * Sends a response.
   *
   * @returns the next challenge, or null once the server has accepted the logon
   * @throws ProbeFailure what the server's refusal stands for
   */
  respond(response: Uint8Array): Dialogue<Uint8Array | null>;
  /** Has something computed that is too heavy, or too dependent on the runtime, to be done here. */
  compute(recipe: Recipe): Dialogue<Uint8Array>;
  /** Breaks the exchange off (`*`, RFC 5034 §4), and fails. */
  cancel(failure: ProbeFailure): Dialogue<never>;
}

/** A mechanism is a dialogue too: it ends when the server has accepted and, where it must, proved itself. */
export interface Mechanism<C extends Credential = Credential> {
  /** As registered with IANA, `SCRAM-SHA-256`. */
  readonly name: string;
  /** The kind of credential it takes. */
  readonly takes: C['kind'];
  /**
   * How it treats a password: `proof`, a challenge is answered and the server proves itself; `digest`, a challenge is
   * answered by a digest long since weak, and the server has to keep the password; `clear`, the server is told it.
   */
  readonly rank: 'proof' | 'digest' | 'clear';
  /** Whether it cannot do without something that ties it to the TLS link. */
  readonly needsBinding?: true;
  /** The first response never travels with the command, however short: Exchange does not take it there. */
  readonly inTwoLines?: true;
  authenticate(credential: C, exchange: Exchange): Dialogue<void>;
}

/**
 * Sends the last response of a mechanism: +OK has to follow.
 *
 * @throws ProbeFailure `protocol-violation` where the server wants more, else what its refusal stands for
 */
export function* conclude(exchange: Exchange, response: Uint8Array): Dialogue<void> {
  const more = yield* exchange.respond(response);
  if (more !== null)
    yield* exchange.cancel(
      new ProbeFailure('protocol-violation', 'the server wants more after the last answer there is'),
    );
}

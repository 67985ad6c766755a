import type { Dialogue } from '../dialogue/dialogue.ts';
import type { Secret } from '../dialogue/secret.ts';

/** Who logs on, and with what. */
export interface Credential {
  readonly userName: string;
  readonly password: Secret;
}

/**
 * The client's side of a SASL exchange (RFC 4422 §3), whatever protocol carries it. The carrier decides whether a
 * first response travels with the command or after an empty challenge.
 */
export interface Exchange {
  /**
   * Sends a response.
   *
   * @returns the next challenge, or null once the server has accepted the logon
   * @throws ProbeFailure what the server's refusal stands for
   */
  respond(response: Uint8Array): Dialogue<Uint8Array | null>;
}

/** A mechanism is a dialogue too: it ends when the server has accepted and, where it must, proved itself. */
export interface Mechanism {
  /** As registered with IANA, `SCRAM-SHA-256`. */
  readonly name: string;
  authenticate(credential: Credential, exchange: Exchange): Dialogue<void>;
}

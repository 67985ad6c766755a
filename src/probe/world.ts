import type { Address, Connected, Recipe, Secured } from '../dialogue/dialogue.ts';
import type { ProbeFailure } from '../dialogue/failure.ts';

/**
 * The ports: all that the probe needs of the machine it runs on. src/runtimes/ has one implementation for each
 * runtime; tests have a scripted one.
 */
export interface World {
  /** A new, unconnected link, with all done that need not be done at the server's expense. */
  readonly dial: (terms: LinkTerms) => Link;
  /** Calls back once after that many milliseconds, unless cancelled. */
  readonly timer: (delayMs: number, ring: () => void) => Cancel;
  /** Milliseconds on a clock that never jumps; only differences mean anything. */
  readonly now: () => number;
  /** The date and time, for what people read and for certificates. */
  readonly date: () => Date;
  readonly hash: (recipe: Recipe) => Promise<Uint8Array>;
  /** That many unguessable octets. */
  readonly random: (length: number) => Uint8Array;
  /** Sends the full test's message; null in a runtime that cannot. */
  readonly send: Send | null;
}

export type Cancel = () => void;

/** Hands one message to the mail system. Fails with a ProbeFailure (`send-refused` …). */
export type Send = (message: OutgoingMessage) => Promise<void>;

export interface OutgoingMessage {
  readonly from: string;
  readonly to: string;
  /** RFC 5322, CRLF line ends. */
  readonly octets: Uint8Array;
}

/** What a link has to know before it is used. */
export interface LinkTerms {
  /** Which addresses of a name count; 0 for all. */
  readonly family: 0 | 4 | 6;
  /** Null where there will be no TLS. */
  readonly tls: TlsTerms | null;
}

export interface TlsTerms {
  /** The name or address the certificate must be for. */
  readonly identity: string;
  /** The name told to the server (SNI, RFC 6066 §3), or null for none, as with an address. */
  readonly sni: string | null;
  /** Certificates in PEM that replace the system's and Node's roots, or null. */
  readonly authorities: string | null;
  /** Fingerprints (SHA-256, hexadecimal) of which the certificate must have one; none for any. */
  readonly pins: readonly string[];
  /** Shown to a server that asks for one. */
  readonly clientCertificate: { readonly certificate: string; readonly key: string } | null;
}

/**
 * One connection. Every operation ends in its answer or in a ProbeFailure; none has a deadline of its own. At most
 * one is under way at a time.
 */
export interface Link {
  resolve(name: string): Promise<readonly Address[]>;
  /** Tries the addresses so that a dead one costs little; the first to answer is taken. */
  connect(to: readonly Address[], port: number): Promise<Connected>;
  /** Refuses (`plaintext-after-stls`) while octets received in clear are unread. */
  secure(): Promise<Secured>;
  /** What has arrived, or null at the end of the stream. */
  read(): Promise<Uint8Array | null>;
  /**
   * Resolves when the octets were taken over; with a server that does not read, never. Refuses
   * (`protocol-violation`) while there is something unread: it would be taken for the answer.
   */
  write(octets: Uint8Array): Promise<void>;
  /** Lets go at once; whatever is under way need not settle. */
  close(): void;
}

/** Tells a run that it has to end before its time, with the failure it then ends in. */
export type Stop = (end: (failure: ProbeFailure) => void) => Cancel;

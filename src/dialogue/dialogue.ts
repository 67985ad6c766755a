import type { ProbeFailure } from './failure.ts';
import type { Secret } from './secret.ts';

/** Where in a run time is spent and blame is laid, in no fixed order: a result lists them as they were reached. */
export type Phase =
  | 'directory'
  | 'token'
  | 'proxy'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'greeting'
  | 'capabilities'
  | 'stls'
  | 'login'
  | 'mailbox'
  | 'send'
  | 'delivery'
  | 'retrieve'
  | 'delete'
  | 'quit'
  | 'verify';

/**
 * A conversation with a server, as a generator: it touches no socket, it yields what it wants and is resumed when
 * that was answered. Deadlines, timing and tracing live in the driver (src/probe/drive.ts). A link that fails is
 * thrown into it; never yield in a `finally`, for the driver ends a dialogue with `return()`.
 */
export type Dialogue<T> = Generator<Want, T, void>;

/** One thing a dialogue waits for. Each carries the slot for its own answer, so both ends are type-checked. */
export type Want = { readonly phase: Phase } & (
  | { readonly want: 'resolve'; readonly name: string; readonly slot: Slot<readonly Address[]> }
  | { readonly want: 'proxy'; readonly slot: Slot<Entered> }
  | { readonly want: 'connect'; readonly to: Destination; readonly port: number; readonly slot: Slot<Connected> }
  | { readonly want: 'secure'; readonly slot: Slot<Secured> }
  | { readonly want: 'write'; readonly octets: Uint8Array; readonly shown: string }
  | { readonly want: 'read'; readonly slot: Slot<Uint8Array | null> }
  | { readonly want: 'derive'; readonly recipe: Recipe; readonly slot: Slot<Uint8Array> }
  | { readonly want: 'note'; readonly note: Note }
);

/** Where an answer is put by the driver and taken from by the dialogue that asked. */
export class Slot<T> {
  private content: { readonly value: T } | null = null;

  put(value: T): void {
    this.content = { value };
  }

  take(): T {
    if (this.content === null) throw new TypeError('a want was resumed without its answer');
    return this.content.value;
  }
}

/** An address to connect to. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Where to connect to: the addresses of a server, or its name where a proxy looks that up. */
export type Destination = string | readonly Address[];

/** A proxy that has let us in, and waits to be told where to. */
export interface Entered {
  readonly address: string;
  readonly port: number;
}

/** What came of connecting: the address that answered, and those tried before it that did not. */
export interface Connected {
  /** Null where a proxy chose it. */
  readonly address: string | null;
  readonly dead: readonly { readonly address: string; readonly failure: ProbeFailure }[];
}

/** What came of a TLS handshake. */
export interface Secured {
  /** Null where the transport tells nothing of them. */
  readonly facts: TlsFacts | null;
  /**
   * What ties an exchange to this very connection (RFC 5056), by its name: `tls-exporter` (RFC 9266), `tls-unique`,
   * `tls-server-end-point` (RFC 5929). For SASL alone: it belongs in no result.
   */
  readonly bindings: ReadonlyMap<string, Uint8Array>;
  /** What is wrong with the certificate, the gravest first; the dialogue decides whether that ends the run. */
  readonly faults: readonly ProbeFailure[];
}

export interface TlsFacts {
  /** As TLS names it: `TLSv1.3`. */
  readonly protocol: string;
  readonly cipher: string;
  readonly subject: string;
  readonly issuer: string;
  /** The DNS names and IP addresses the certificate is for. */
  readonly names: readonly string[];
  /** ISO 8601, UTC. */
  readonly validFrom: string;
  readonly validTo: string;
  /** Days until the certificate, or one of those that vouch for it, expires; negative once it has. */
  readonly daysLeft: number;
  /** Days from validFrom to validTo. */
  readonly lifetimeDays: number;
  /** SHA-256 of the certificate, 64 hexadecimal digits: what `--pin` takes. */
  readonly fingerprint: string;
  /** Whether the certificate was found good for the server's name. */
  readonly authorized: boolean;
}

/** A computation too heavy, or too dependent on the runtime, to be done inside a dialogue. */
export type Recipe =
  | { readonly compute: 'digest'; readonly algorithm: HashName; readonly octets: Uint8Array }
  | { readonly compute: 'hmac'; readonly algorithm: HashName; readonly key: Uint8Array; readonly octets: Uint8Array }
  | {
      readonly compute: 'pbkdf2';
      readonly algorithm: HashName;
      readonly password: Uint8Array;
      readonly salt: Uint8Array;
      readonly iterations: number;
      readonly length: number;
    }
  /** That many unguessable octets. */
  | { readonly compute: 'random'; readonly length: number }
  /** The time as Windows counts it, 100 ns since 1601, in eight octets, the least first ([MS-DTYP] §2.3.3). */
  | { readonly compute: 'filetime' }
  /** SASLprep (RFC 4013) of a text, in UTF-8; a text it prohibits is a `configuration` failure. */
  | { readonly compute: 'saslprep'; readonly text: Secret };

export type HashName = 'md5' | 'sha1' | 'sha256';

/** What a dialogue learnt on its way and a result should tell, also when the run fails later. */
export type Note =
  | { readonly learnt: 'capabilities'; readonly capabilities: readonly string[] }
  | { readonly learnt: 'mailbox'; readonly messages: number; readonly octets: number }
  | { readonly learnt: 'fault'; readonly fault: ProbeFailure };

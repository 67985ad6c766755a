import type { Address, Connected, Destination, Entered, Recipe, Secured } from '../dialogue/dialogue.ts';
import type { ProbeFailure } from '../dialogue/failure.ts';
import type { Secret } from '../dialogue/secret.ts';
import type { ConnectionType } from '../pop3/visit.ts';
import type { BearerCredential, PasswordCredential } from '../sasl/mechanism.ts';

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
  /** Prepares to send the full test's message; null in a runtime that cannot. */
  readonly send: Send | null;
  /** Gets an OAuth 2 access token; null in a runtime that cannot. */
  readonly token: GetToken | null;
  /** Keeps no longer a token that a mail server refused. */
  readonly forgetToken?: (plan: TokenPlan, refused: Secret) => void;
  /** What runs on one mailbox remember for each other; null in a runtime that cannot remember. */
  readonly memory: OpenMemory | null;
}

export type Cancel = () => void;

/**
 * Prepares a way of sending: whatever need not be done at the mail system's expense, such as loading what speaks to it.
 */
export type Send = (plan: SendPlan) => Promise<Submit>;

/**
 * Hands one message to the mail system, in one attempt: whether to try again is the caller's to say.
 *
 * `done` rejects with a ProbeFailure of the phase `send`: `send-refused` where the mail system will never take it,
 * `send-deferred` where it may later (with `retryAfterMs` where it said when), `mailbox-full`, `send-unconfirmed` where
 * the connection was lost after the last octet, so that it may have been taken; or what kept us from asking at all,
 * `connection-refused`, `certificate-expired` …
 */
export type Submit = (message: OutgoingMessage) => Sending;

export interface Sending {
  readonly done: Promise<Sent>;
  /** Lets go at once; `done` need not settle. */
  readonly abandon: () => void;
}

/** A message the mail system has taken. */
export interface Sent {
  /** Its words, as they came. */
  readonly said: string;
}

export interface OutgoingMessage {
  readonly from: string;
  readonly to: string;
  /** RFC 5322, CRLF line ends, seven bits, no line of the body over 76 octets. */
  readonly octets: Uint8Array;
}

/** The way a message takes into the mail system. */
export type SendPlan = SmtpPlan | EwsPlan | GraphPlan;

/** SMTP submission (RFC 6409). */
export interface SmtpPlan {
  readonly via: 'smtp';
  /** The server as the user names it. */
  readonly server: string;
  /** A name to resolve, or the address itself. */
  readonly to: string | Address;
  readonly port: number;
  /** `tls` is STARTTLS, demanded; `ssl` TLS from the first octet (RFC 8314 §3.3). */
  readonly connectionType: ConnectionType;
  readonly link: LinkTerms;
  /** Null: no AUTH. */
  readonly credential: SendCredential | null;
}

/** Exchange Web Services, CreateItem: `ews` sends, `ews-save` puts the message straight into the Inbox. */
export interface EwsPlan {
  readonly via: 'ews' | 'ews-save';
  /** `https://mail.example.com/EWS/Exchange.asmx` */
  readonly url: string;
  readonly http: HttpTerms;
  readonly credential: SendCredential;
  /** The address an application acts for (ExchangeImpersonation); null for the account that logs on. */
  readonly impersonating: string | null;
}

/** Microsoft Graph, sendMail. */
export interface GraphPlan {
  readonly via: 'graph';
  /** `https://graph.microsoft.com/v1.0` */
  readonly url: string;
  readonly http: HttpTerms;
  readonly credential: SendCredential;
}

/** A password, or a bearer token (RFC 6750), of somebody. */
export type SendCredential = PasswordCredential | BearerCredential;

/** How an HTTPS server is reached and trusted; where nothing else is said, by its certificate for the host of the URL. */
export interface HttpTerms extends Partial<Pick<TlsTerms, 'identity' | 'pins' | 'clientCertificate'>> {
  readonly family: 0 | 4 | 6;
  /** Null: no proxy. */
  readonly proxy: ProxyPlan | null;
  /** Certificates in PEM that replace the system's and Node's roots, or null. */
  readonly authorities: string | null;
}

/**
 * Gets an access token (RFC 6749): one that is kept and good for a while yet, else a new one.
 *
 * `done` rejects with a ProbeFailure of the phase `token`: `token-refused` where the identity provider will not give one,
 * with its error and description; `token-unavailable` where it cannot be asked; `configuration`.
 */
export type GetToken = (plan: TokenPlan) => Getting;

export interface Getting {
  readonly done: Promise<Secret>;
  /** Lets go at once; `done` need not settle. */
  readonly abandon: () => void;
}

export interface TokenPlan {
  /** The token end point, `https:`. */
  readonly url: string;
  readonly clientId: string;
  readonly scope: string | null;
  readonly grant: TokenGrant;
  readonly http: HttpTerms;
  /** The folder where tokens are kept, or null for the usual one. */
  readonly stateDir: string | null;
}

/** Client credentials (RFC 6749 §4.4), or a refresh token (§6) with or without a proof of the client. */
export type TokenGrant =
  | { readonly kind: 'client-credentials'; readonly proof: ClientProof }
  | { readonly kind: 'refresh-token'; readonly refreshToken: Secret; readonly proof: ClientProof | null };

/** A shared secret, or a signed assertion (RFC 7523) by a key whose certificate the identity provider knows. */
export type ClientProof =
  | { readonly kind: 'secret'; readonly secret: Secret }
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: Secret };

/**
 * Opens what earlier runs left in writing about a mailbox, and keeps other runs of this machine from it until it is
 * closed. What cannot be written is told as trouble, and stops nobody.
 *
 * @param mailbox a name for the mailbox, the same in each run
 * @param untilMs how long from now it is needed at the most: whoever holds it longer has died
 * @returns null while another run has it
 * @throws ProbeFailure `configuration` for a key that is there and cannot be used
 */
export type OpenMemory = (mailbox: string, terms: MemoryTerms, untilMs: number) => Memory | null;

export interface MemoryTerms {
  /** The folder of the state, or null for the usual one. */
  readonly stateDir: string | null;
  /** The file with the key of the markers, which several machines share; null for one of this machine alone. */
  readonly markerKeyFile: string | null;
}

export interface Memory {
  /** What markers are signed with. */
  readonly key: Uint8Array;
  readonly left: Left;
  /** Why this run will not be remembered, or null. Asked at the end. */
  readonly trouble: () => string | null;
  readonly keep: (left: Left) => void;
  readonly close: () => void;
}

/** What one run leaves to the next. */
export interface Left {
  readonly runs: readonly LeftRun[];
  /** Identifiers of messages that were looked at and are not ours. */
  readonly seen: readonly string[];
  /** Identifiers of messages that were deleted when nobody could see yet whether they are gone. */
  readonly deleted: readonly string[];
}

/** A run that has sent a message, or was about to. */
export interface LeftRun {
  readonly run: string;
  /** Seconds since 1970. */
  readonly sentAt: number;
  readonly expiresAt: number;
  /** Under way when it was written; given up waiting; left to the next run on purpose (`--split`). */
  readonly state: 'unfinished' | 'given-up' | 'pending';
  /** Where its messages were seen and left. */
  readonly uids: readonly string[];
}

/** A proxy on the way: SOCKS 5 (RFC 1928, RFC 1929) or HTTP CONNECT (RFC 9110 §9.3.6). Names are left to it. */
export interface ProxyPlan {
  readonly kind: 'socks5' | 'http';
  readonly to: string | Address;
  readonly port: number;
  readonly credential: PasswordCredential | null;
}

/** What a link has to know before it is used. */
export interface LinkTerms {
  /** Null: no proxy. */
  readonly proxy: ProxyPlan | null;
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
  /**
   * Goes to the proxy and is let in, where there is one; only then is `connect` asked for, with a name or one address.
   * Whatever is wrong is the proxy's: `proxy-failed`.
   */
  reachProxy(): Promise<Entered>;
  /**
   * Tries the addresses so that a dead one costs little; the first to answer is taken. What a proxy says of the server
   * is the server's failure, of the phase `connect`; what it says of us is `proxy-failed`, of the phase `proxy`.
   */
  connect(to: Destination, port: number): Promise<Connected>;
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

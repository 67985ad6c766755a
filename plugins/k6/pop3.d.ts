/**
 * pop-connectivity for k6: the same test of a POP3 server as check_pop3 --light-mode, and sessions for flows of your
 * own. plugins/k6/README.md tells how to use it, which metrics it has and what each transport can do.
 */

/**
 * Logs on, looks at the mailbox and quits. A failure is a result: look at `error`. Every call counts in the metrics.
 *
 * @throws Error, in one line, for a mistake in the script: an option there is not, a call in the init context
 */
export function probe(options: ProbeOptions): Promise<ProbeResult>;

/**
 * Logs on, and stays for what the script wants to do in the mailbox. Close it in a `finally`.
 *
 * @throws Pop3Error where the logon fails; Error for a mistake in the script
 */
export function open(options: Options): Promise<Session>;

/**
 * For handleSummary: what came of all sessions, as JSON on standard output, or in a file and a line for people on
 * standard output.
 */
export function summary(data: unknown, to?: { readonly file?: string }): Record<string, string>;

/** A threshold for `options`: every session went well, else k6 ends with 99. */
export const thresholds: Readonly<Record<string, string[]>>;

/** For `options` too: has `summary()` count the failures by their reason. None of these is ever crossed. */
export const thresholdsByReason: Readonly<Record<string, string[]>>;

export interface Options {
  /** The server to test, by name or address. */
  readonly server?: string | undefined;
  /** The same. */
  readonly clientAccessServer?: string | undefined;
  /** Connect there; `server` is still the name to verify and show. */
  readonly address?: string | undefined;
  /** 110, with ssl 995; 995 alone means ssl. */
  readonly port?: number | string | undefined;
  /** The same. */
  readonly portClientAccessServer?: number | string | undefined;
  /** STLS, the default; TLS from the first octet; or nothing, which has to be asked for. */
  readonly connectionType?: 'tls' | 'ssl' | 'plaintext' | (string & {}) | undefined;
  /** Only addresses of that kind count. */
  readonly ipv4?: boolean | undefined;
  readonly ipv6?: boolean | undefined;
  readonly userName?: string | undefined;
  /** The same. */
  readonly mailboxCredential?: string | undefined;
  /** The name of a secret of `k6/secrets`; without `--secret-source`, of an environment variable. */
  readonly passwordSecret?: string | undefined;
  /** The name of an environment variable. */
  readonly passwordEnv?: string | undefined;
  readonly password?: string | undefined;
  /** An access token in place of a password, in the same three ways. */
  readonly oauthTokenSecret?: string | undefined;
  readonly oauthTokenEnv?: string | undefined;
  readonly oauthToken?: string | undefined;
  /** `auto`, the default: the strongest way the server offers; `user`, `apop`, `plain`, `scram-sha-256`, `xoauth2` … */
  readonly auth?: string | undefined;
  /** A certificate at fault is a warning, not a failure. */
  readonly trustAnySslCertificate?: boolean | undefined;
  readonly trustAnySSLCertificate?: boolean | undefined;
  /** Authorities to trust in place of the system's: PEM, as `open()` reads it in the init context. */
  readonly ca?: string | undefined;
  /** SHA-256 of the certificates to trust, and of no others. */
  readonly pin?: string | readonly string[] | undefined;
  /** The server name to ask for in TLS, if not `server`. */
  readonly sni?: string | undefined;
  /** Our own certificate and its key, PEM. */
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  /** Seconds: for all of a probe, for the logon of a session and for each of its commands. 10 unless given. */
  readonly timeout?: number | string | undefined;
  readonly perConnectionTimeout?: number | string | undefined;
  /** Put on every sample of the call. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

export interface ProbeOptions extends Options {
  /** It is the only test there is inside k6. */
  readonly lightMode?: boolean | undefined;
  /** With fewer days left on the certificate a session did not go well. */
  readonly certificateDays?: number | string | undefined;
  /** The session goes well if it fails for this reason, and only then. */
  readonly expect?: string | undefined;
  /** `reason=state`: `mailbox-in-use=ok`. */
  readonly severity?: string | readonly string[] | undefined;
}

/** A mailbox that is open. One command at a time. */
export interface Session {
  /** The lines of CAPA, those after TLS where there was TLS; null where the server does not know it. */
  readonly capabilities: readonly string[] | null;
  /** Null without TLS, and with k6/x/tcp, which tells nothing of it. */
  readonly tls: TlsFacts | null;
  /** The address that was talked to. */
  readonly address: string | null;
  stat(): Promise<MailboxSize>;
  list(): Promise<readonly Listed[]>;
  /** Null where there is no such message. */
  list(message: number): Promise<Listed | null>;
  /** Null where the server has no UIDL. */
  uidl(): Promise<readonly Identified[] | null>;
  uidl(message: number): Promise<Identified | null>;
  /** Null where there is no such message. Beware: at some sites, a message that was fetched is deleted. */
  retr(message: number): Promise<Fetched | null>;
  /** The header and the first lines of the body; null where there is no such message, or no TOP. */
  top(message: number, lines: number): Promise<Fetched | null>;
  /** Marks a message: `quit()` deletes it. False where the server refuses. */
  dele(message: number): Promise<boolean>;
  noop(): Promise<void>;
  /** Takes back every mark of `dele()`. */
  rset(): Promise<void>;
  /** Ends the session, and deletes what was marked. */
  quit(): Promise<void>;
  /** Lets go at once, without QUIT. May be called at any time, and more than once. */
  close(): void;
}

/** What a command, or the way to it, failed with. */
export interface Pop3Error extends Error {
  readonly name: 'Pop3Error';
  /** One word, as every output of pop-connectivity has it: docs/reasons.md. */
  readonly reason: string;
  readonly phase: Phase | null;
  /** What to look at first. */
  readonly hint: string;
}

export interface MailboxSize {
  readonly messages: number;
  readonly octets: number;
}

export interface Listed {
  readonly message: number;
  readonly octets: number;
}

export interface Identified {
  readonly message: number;
  readonly uid: string;
}

export interface Fetched {
  readonly octets: number;
  readonly lines: number;
  /** All of it, lines ended by CRLF. */
  text(): string;
}

/** What one test of one server came to: docs/probe-result.schema.json, as far as there is a LightMode in it. */
export interface ProbeResult {
  readonly schema: 1;
  readonly casServer: string;
  readonly mailboxServer: string | null;
  readonly localSite: string | null;
  readonly scenario: string;
  readonly result: 'Success' | 'Failure' | 'Skipped';
  /** Null exactly where the test was completed. */
  readonly error: Problem | null;
  readonly warnings: readonly Problem[];
  readonly latencyMs: number;
  readonly connectionType: 'plaintext' | 'tls' | 'ssl';
  readonly port: number;
  readonly address: string | null;
  readonly deadAddresses: readonly { readonly address: string; readonly problem: string }[];
  readonly userName: string;
  /** ISO 8601, UTC. */
  readonly startTime: string;
  /** As they were reached; one that was not is not there. */
  readonly phases: readonly { readonly name: Phase; readonly ms: number }[];
  readonly tls: TlsFacts | null;
  readonly capabilities: readonly string[] | null;
  readonly mailbox: MailboxSize | null;
  /** Always null: the full test sends mail, which k6 has no way to. */
  readonly roundTrip: unknown;
}

export interface Problem {
  readonly phase: Phase | null;
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly subject: string;
  readonly issuer: string;
  readonly names: readonly string[];
  readonly validFrom: string;
  readonly validTo: string;
  readonly daysLeft: number;
  readonly lifetimeDays: number;
  readonly fingerprint: string;
  readonly authorized: boolean;
}

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

/** What a request takes from the machine it is made on. Everything throws a ProbeFailure that names the option. */
export interface Sources {
  readonly file: (option: string, path: string, kind: FileKind) => string;
  readonly environment: (name: string) => string | undefined;
  readonly standardInput: () => Promise<string>;
  readonly exists: (path: string) => boolean;
  /** What somebody typed unseen on the terminal as that user's secret, or null where nobody can be asked. */
  readonly askOnTerminal: (prompt: string, userName: string) => Promise<string | null>;
  /** Whether somebody at the terminal said yes to a question, or null where nobody can be asked. */
  readonly confirmOnTerminal: (question: string) => Promise<boolean | null>;
  /** The certificates of a PEM file, every one of them readable. */
  readonly certificates: (option: string, path: string) => string;
  /** A private key, provided it is that of the first of some certificates. */
  readonly privateKey: (option: string, path: string, certificates: string) => string;
  /** 4 or 6 for an IP address, else 0. */
  readonly family: (text: string) => 0 | 4 | 6;
  /** An international name in the form of DNS (RFC 5890), or '' where it has none. */
  readonly ascii: (name: string) => string;
}

/**
 * A secret file that everyone may read or write is refused; a public one may lie open; one of certificates may hold
 * remarks in any character set.
 */
export type FileKind = 'secret' | 'public' | 'certificates';

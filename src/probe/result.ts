import type { Phase, TlsFacts } from '../dialogue/dialogue.ts';
import type { Reason } from '../dialogue/failure.ts';
import type { MailboxSize } from '../pop3/mailbox.ts';
import type { ConnectionType } from '../pop3/visit.ts';
import type { Hop } from './message.ts';
import type { SendPlan } from './world.ts';

/**
 * What one test of one server came to: stable, versioned, serialisable as JSON, and free of secrets. The cmdlet's
 * fields come first, then what it never told.
 */
export type ProbeResult = Succeeded | Failed | Skipped;

export interface Succeeded extends Told {
  readonly result: 'Success';
  readonly error: null;
}

/** A server that was not tested, and why. */
export interface Skipped extends Told {
  readonly result: 'Skipped';
  readonly error: Problem;
}

export interface Failed extends Told {
  readonly result: 'Failure';
  readonly error: Problem;
}

interface Told {
  /** Raised when a field changes its meaning or goes. */
  readonly schema: 1;
  /** The server as it was asked for. */
  readonly casServer: string;
  /** The Mailbox server behind it; null where no directory tells. */
  readonly mailboxServer: string | null;
  readonly localSite: string | null;
  readonly scenario: 'Test POP3 Connectivity' | 'Reset Credentials' | 'New Test User';
  /** The whole run, also of a failed one. */
  readonly latencyMs: number;
  /** What was wrong without failing the test. */
  readonly warnings: readonly Problem[];
  readonly connectionType: ConnectionType;
  readonly port: number;
  /** The address that was talked to, once there was one. */
  readonly address: string | null;
  /** Addresses of the name that were tried before it and did not answer. */
  readonly deadAddresses: readonly { readonly address: string; readonly problem: string }[];
  readonly userName: string;
  /** ISO 8601, UTC. */
  readonly startTime: string;
  /** As they were reached; one that was not is not there. */
  readonly phases: readonly PhaseTime[];
  readonly tls: TlsFacts | null;
  /** The lines of CAPA, those after TLS where there was TLS. */
  readonly capabilities: readonly string[] | null;
  readonly mailbox: MailboxSize | null;
  /** What became of the message of the full test; null where none was to be sent. */
  readonly roundTrip: RoundTrip | null;
}

/** The way of one message through the mail system and back. */
export interface RoundTrip {
  readonly sentVia: SendPlan['via'];
  /** How long the mail system took to take it; null where it did not. */
  readonly sendMs: number | null;
  /** From then until it was found in the mailbox; null where it was not. */
  readonly deliveryMs: number | null;
  /** Whether that is by the clocks of the mail servers (Received), as with `--split`, and not by our own. */
  readonly isEstimate: boolean;
  /** Visits that looked for it. */
  readonly polls: number;
  readonly retrieved: boolean;
  readonly deleted: boolean;
  /** Whether a later visit saw that it is gone. */
  readonly verified: boolean;
  /** Messages of ours that earlier runs, or other machines, left behind; and how many of them were removed. */
  readonly stale: number;
  readonly staleRemoved: number;
  /** Messages of `--split` that are still under way, and those that never came. */
  readonly pending: number;
  readonly lost: number;
  /** Its way by its Received fields: an estimate, for the clocks are others'. */
  readonly hops: readonly Hop[];
}

export interface Problem {
  /** Null where the run never began. */
  readonly phase: Phase | null;
  readonly reason: Reason;
  /** For people: one clause, the server's words in it escaped, shortened and without our secrets. */
  readonly message: string;
  readonly hint: string;
}

export interface PhaseTime {
  readonly name: Phase;
  readonly ms: number;
}

/** One line of the conversation, secrets as stars; `*` tells what happened to the connection itself. */
export interface Spoken {
  readonly atMs: number;
  readonly who: 'C' | 'S' | '*';
  readonly words: string;
}

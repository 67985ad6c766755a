import type { Phase } from '../dialogue/dialogue.ts';
import type { Reason } from '../dialogue/failure.ts';
import type { ConnectionType } from '../pop3/visit.ts';
import type { Credential } from '../sasl/mechanism.ts';

/** What a hint may speak of. */
export interface Subject {
  readonly server: string;
  readonly port: number;
  readonly userName: string;
  readonly connectionType: ConnectionType;
  /** What logs on. */
  readonly credential: Credential['kind'];
  /** The phase to blame. */
  readonly phase: Phase | null;
}

type Hint = string | ((subject: Subject) => string);

/** What to look at first, one line a reason. docs/reasons.md says more on each. */
const HINTS: Readonly<Record<Reason, Hint>> = {
  'dns-not-found': ({ server }) => `check the spelling of ${server} and its A and AAAA records`,
  'connection-refused': ({ port }) => `check that the POP3 service runs and listens on port ${port}`,
  unreachable: 'check routing and firewalls between here and the server',
  'timed-out': ({ phase, connectionType }) => {
    if (phase === 'connect') return 'check that the server is up, and firewalls on the way';
    if (phase === 'greeting' && connectionType !== 'ssl')
      return 'check the load of the server; a port that begins with TLS needs -S';
    return 'check the load of the server; --timeout gives it longer';
  },
  'hung-up': ({ phase }) =>
    phase === 'tls'
      ? "look in the server's log for why it closed; a certificate or key it cannot read is a usual cause"
      : "look in the server's log for why it closed; connection limits are the usual cause",
  'not-pop3': ({ port }) => `check that port ${port} is the POP3 port, and ssl or tls the right --connection-type`,
  'protocol-violation': 'the server, or something between, breaks POP3; -vvv shows the conversation',
  'line-too-long': 'the server, or something between, breaks POP3; -vvv shows the conversation',
  'stls-not-offered': 'enable TLS on this port, use --connection-type ssl, or suspect someone stripping STLS',
  'stls-refused': "look in the server's log for why it cannot do TLS",
  'plaintext-after-stls': 'suspect someone tampering with the connection, or a broken TLS proxy',
  'tls-failed': ({ port }) => `check that port ${port} speaks TLS 1.2 or later; -vvv shows how far it came`,
  'certificate-expired': 'renew the certificate, and reload the server that presents it',
  'certificate-not-yet-valid': 'check the clocks of this machine and of whoever issued the certificate',
  'certificate-wrong-host': 'ask by a name the certificate is for, or get one for this name',
  'certificate-untrusted': 'give its authority by --ca-file, or have the server send the intermediate certificates',
  'certificate-revoked': 'replace the certificate',
  'certificate-weak': 'replace the certificate by one with RSA 2048 or better and SHA-256',
  'login-refused': ({ server, userName, connectionType, credential }) => {
    // It refuses in the same words whatever the cause is.
    if (credential === 'bearer' && /\.office365\.|\.outlook\.|outlook\./.test(server)) {
      return 'check POP.AccessAsApp, New-ServicePrincipal, Add-MailboxPermission, and that POP is on (--explain login-refused)';
    }
    if (credential === 'bearer') return `check the right of the token to the mailbox of ${userName}`;
    if (credential === 'certificate') return 'check whom the server takes the client certificate for';
    return `check the user name and password of ${userName}${connectionType === 'plaintext' ? '; the server may want TLS first' : ''}`;
  },
  'mechanism-not-offered': 'choose by --auth what the server offers, or enable it there',
  'server-not-authenticated': 'the server could not prove that it knows the password: suspect an impostor',
  'server-permanent': "look in the server's log: it refuses, and not for the password",
  'server-temporary': 'the server says it will pass: look in its log if it does not',
  'mailbox-full': 'raise the quota of the mailbox, or empty it',
  'send-refused': 'check the recipient and who may send through this server',
  'not-delivered': "look for the message in the mail system's queue and log",
  bounced: 'read the diagnostic of the mail system that returned it',
  'mailbox-in-use': 'another session holds the mailbox: give the check a mailbox of its own',
  'login-delay': 'the server wants longer between logons: check less often',
  'send-deferred': 'greylisting or a busy server: watch whether it passes',
  'delivery-delayed': "look at the mail system's queue",
  'send-unconfirmed': 'the connection was lost while sending: watch for the message',
  altered: 'something on the way rewrites messages: disclaimers, filters',
  duplicate: 'something on the way delivers twice',
  'not-deleted': "look in the server's log for why the deletion failed",
  'password-due': 'set a new one by Test-PopConnectivity -ResetTestAccountCredentials',
  usage: 'see --help',
  configuration: ({ phase }) =>
    phase === 'directory'
      ? 'name the servers to test, or another site'
      : 'correct the command line or the file it names',
  'dns-unavailable': 'check the resolvers of this machine',
  'directory-unreachable': 'check the domain controller and the way there',
  'directory-refused': 'check the account that reads the directory',
  'test-account-missing': 'see to the test account of the site, or name a mailbox to log on to',
  'token-refused': 'check the registration of the application, its secret and what it was granted',
  'token-unavailable': 'check the way to the identity provider',
  'proxy-failed': 'check the proxy and its credentials',
  'local-resources': 'check limits, rights and memory of this machine',
  interrupted: 'run it again; if that recurs, the platform gives it less time than --timeout',
  'already-running': 'let the other run finish, or check less often',
  'internal-error': 'this is a fault in pop-connectivity: please report it',
};

/** The same trouble on the way to the server that takes the mail. */
const IN_SENDING: Readonly<Partial<Record<Reason, Hint>>> = {
  'dns-not-found': 'check the spelling of --smtp-server (or --send-url)',
  'connection-refused': 'check that the submission service runs, and --smtp-server and --smtp-port',
  'timed-out': 'check the load of the server that takes the mail; --timeout gives it longer',
  'hung-up': 'look in the log of the server that takes the mail for why it closed',
  'protocol-violation': 'check that --smtp-server and --smtp-port name a submission service',
  'stls-refused': 'enable STARTTLS there, or use --smtp-connection-type ssl',
  'tls-failed': 'check --smtp-connection-type and --smtp-port: ssl is for TLS from the first octet',
  'mailbox-full': 'raise the quota of the mailbox, or empty it',
};

/** What to look at first. */
export function hintFor(reason: Reason, subject: Subject): string {
  const hint = (subject.phase === 'send' ? IN_SENDING[reason] : undefined) ?? HINTS[reason];
  return typeof hint === 'string' ? hint : hint(subject);
}

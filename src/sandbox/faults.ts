import type { Answer, Manners } from './connection.ts';
import type { Exchange, Hooks, Moment } from './pop3-server.ts';
import type { Delivery } from './smtp.ts';

/** One way in which a mail server goes wrong, laid over the correct one. */
export interface Fault {
  /** What the server does, in one line. */
  readonly about: string;
  readonly departs: Departure | ((timing: Timing) => Departure);
}

/** What a fault changes: the POP3 conversation, how its octets leave, or the way of the mail into the maildrop. */
export interface Departure extends Hooks {
  readonly manners?: Manners;
  readonly delivery?: Delivery;
}

/** How slow the slow faults are. */
export interface Timing {
  /** Between two octets of `drip`. */
  readonly dripMs: number;
  /** Before the answer of `login-slow`. */
  readonly slowLoginMs: number;
  /** Between acceptance and delivery in `mail-late`. */
  readonly lateMs: number;
}

export const TIMING: Timing = { dripMs: 1000, slowLoginMs: 8000, lateMs: 20_000 };

const TABLE = {
  // The connection and the greeting
  'never-greet': { about: 'accepts the connection and never greets', departs: at('greeting', silence()) },
  'refuse-service': {
    about: 'greets with -ERR [SYS/TEMP] and hangs up',
    departs: at('greeting', hangUp('-ERR [SYS/TEMP] Service is not available, try again later.\r\n')),
  },
  'close-at-once': { about: 'closes every connection at once', departs: at('connect', hangUp('')) },
  'reset-at-once': {
    about: 'resets every connection at once',
    // not within the same instant: on the loopback the client would take it for a failed connect every now and then
    departs: at('connect', { ...reset(), delayMs: 30 }),
  },
  drip: { about: 'sends one octet a second', departs: ({ dripMs }) => ({ manners: { dripMs } }) },
  'endless-line': {
    about: 'greets with a line that never ends',
    departs: at('greeting', { octets: '+OK ', endless: 'x'.repeat(8192) }),
  },
  'huge-greeting': {
    about: 'greets with 600 octets, where RFC 2449 allows 512',
    departs: at('greeting', say(`+OK ${'x'.repeat(600 - '+OK \r\n'.length)}\r\n`)),
  },
  'ansi-greeting': {
    about: 'greets with control characters, terminal escapes and a |',
    departs: at('greeting', say('+OK \x1b[31mPOP3\x1b[0m\x07 ready \x00| time=0.001s;;;0 \xe4\r\n')),
  },
  unsolicited: {
    about: 'sends a second reply along with the greeting',
    departs: { after: { greeting: (answer) => ({ ...answer, octets: `${answer.octets}+OK 0 0\r\n` }) } },
  },
  'lf-only': {
    about: 'ends lines with LF alone',
    departs: { manners: { wire: (octets) => octets.replace(/\r\n/g, '\n') } },
  },

  // Something else on the port
  smtp: {
    about: 'is an SMTP server',
    departs: pose('220 mail.example.com ESMTP Sandbox\r\n', (line) =>
      /^quit$/i.test(line) ? hangUp('221 2.0.0 Bye\r\n') : say('502 5.5.2 Error: command not recognized\r\n'),
    ),
  },
  imap: {
    about: 'is an IMAP server',
    departs: pose('* OK [CAPABILITY IMAP4rev1 LITERAL+] Sandbox ready.\r\n', (line) =>
      say(`${line.split(' ')[0]} BAD Error in IMAP command received by server.\r\n`),
    ),
  },
  http: {
    about: 'is an HTTP server that is tired of waiting for a request',
    departs: at('greeting', hangUp('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')),
  },
  ssh: {
    about: 'is an SSH server',
    departs: pose('SSH-2.0-Sandbox_1.0\r\n', () => hangUp('Invalid SSH identification string.\r\n')),
  },
  'tls-alert': {
    about: 'answers every connection with a TLS alert (handshake_failure)',
    departs: at('connect', hangUp('\x15\x03\x03\x00\x02\x02\x28')), // RFC 8446 §6: alert record, fatal, 40
  },
  'plain-on-tls-port': { about: 'speaks plain POP3 on the TLS port', departs: at('connect', silence()) },

  // CAPA
  'capa-refused': { about: 'does not know CAPA', departs: at('CAPA', say('-ERR Unknown command.\r\n')) },
  'capa-odd': {
    // As mailutils 3.15 writes LOGIN-DELAY 30 and EXPIRE 7, then an empty line and eight-bit text
    about: 'lists capabilities in malformed lines',
    departs: announce('30', 'EXPIRE7', '', 'X-K\xf6nig'),
  },
  'capa-without-stls': {
    about: 'neither offers nor knows STLS (as after a stripping attack)',
    departs: {
      instead: { STLS: () => say('-ERR Unknown command.\r\n') },
      after: { CAPA: (answer) => ({ ...answer, octets: answer.octets.replace('\r\nSTLS\r\n', '\r\n') }) },
    },
  },
  'capa-silent': { about: 'never answers CAPA', departs: at('CAPA', silence()) },
  'endless-capa': {
    about: 'lists capabilities without end',
    departs: at('CAPA', { octets: '+OK Capability list follows\r\n', endless: 'X-SANDBOX\r\n'.repeat(500) }),
  },

  // STLS
  'stls-refused': { about: 'offers STLS but refuses it', departs: at('STLS', say('-ERR TLS is not available.\r\n')) },
  'stls-inject': {
    about: 'sends a whole plaintext reply behind +OK to STLS, in the same segment',
    departs: injectBehindStls('+OK Injected.\r\n'),
  },
  'stls-inject-partial': {
    about: 'sends the beginning of a plaintext reply behind +OK to STLS, in the same segment',
    departs: injectBehindStls('+OK Inj'),
  },
  'stls-plaintext': {
    about: 'says +OK to STLS and goes on in plaintext',
    departs: at('STLS', say('+OK Begin TLS negotiation now.\r\n')),
  },
  'stls-silent': {
    about: 'says +OK to STLS and nothing after it',
    departs: at('STLS', { octets: '+OK Begin TLS negotiation now.\r\n', next: 'ignore' }),
  },
  'stls-unanswered': { about: 'never answers STLS', departs: at('STLS', silence()) },

  // Login
  'cleartext-refused': {
    about: 'refuses credentials without TLS, as Dovecot does',
    departs: { instead: { USER: refuseInTheClear, PASS: refuseInTheClear, AUTH: refuseInTheClear } },
  },
  'eof-after-pass': { about: 'closes when it has the credentials', departs: at('credentials', hangUp('')) },
  'reset-after-pass': { about: 'resets when it has the credentials', departs: at('credentials', reset()) },
  'echo-password': {
    about: 'refuses the credentials and repeats the line that held them',
    departs: { instead: { credentials: ({ line }) => say(`-ERR [AUTH] Authentication failed: ${line}\r\n`) } },
  },
  'in-use': {
    about: 'accepts the credentials, but another session has the mailbox',
    departs: at('login', say('-ERR [IN-USE] Another session has the maildrop.\r\n')),
  },
  'login-delay': {
    about: 'accepts the credentials, but the last login was too recent (LOGIN-DELAY 300)',
    departs: {
      ...announce('LOGIN-DELAY 300'),
      ...at('login', say('-ERR [LOGIN-DELAY] Logins must be 300 seconds apart.\r\n')),
    },
  },
  'sys-temp': {
    about: 'cannot check credentials for now: [SYS/TEMP]',
    departs: at('credentials', say('-ERR [SYS/TEMP] Temporary authentication failure.\r\n')),
  },
  'sys-perm': {
    about: 'cannot check credentials until somebody repairs it: [SYS/PERM]',
    departs: at('credentials', say('-ERR [SYS/PERM] The mailbox is damaged, ask the administrator.\r\n')),
  },
  'login-slow': {
    about: 'answers a login after eight seconds',
    departs: ({ slowLoginMs }) => ({
      after: { credentials: (answer) => ({ ...answer, delayMs: slowLoginMs }) },
    }),
  },

  // The mailbox
  'stat-words': { about: 'answers STAT in words', departs: loggedIn('STAT', say('+OK seven messages\r\n')) },
  'stat-negative': { about: 'answers STAT with negative numbers', departs: loggedIn('STAT', say('+OK -1 -120\r\n')) },
  'stat-huge': {
    about: 'tells sizes above 2^32 in STAT and LIST',
    departs: {
      after: {
        STAT: (answer) => inflate(answer, /^(\+OK \d+) (\d+)/),
        LIST: (answer) => inflate(answer, /^((?:\+OK )?\d+) (\d+)$/gm),
      },
    },
  },
  'stat-silent': { about: 'never answers STAT', departs: loggedIn('STAT', silence()) },
  'eof-at-stat': { about: 'closes instead of answering STAT', departs: loggedIn('STAT', hangUp('')) },
  'retr-endless': {
    about: 'sends a message that never ends',
    departs: (() => {
      const answer: Answer = { octets: '+OK 120 octets\r\n', endless: `${'x'.repeat(76)}\r\n`.repeat(100) };
      return { instead: { ...loggedIn('RETR', answer).instead, ...loggedIn('TOP', answer).instead } };
    })(),
  },
  'unstuffed-dots': {
    about: 'forgets to double the dot that begins a line',
    departs: { after: { RETR: unstuff, TOP: unstuff } },
  },
  'dele-kept': {
    about: 'says +OK to QUIT but keeps the deleted messages',
    departs: loggedIn('QUIT', hangUp('+OK Logging out, messages deleted.\r\n')),
  },
  'quit-refused': {
    about: 'refuses QUIT and keeps the deleted messages',
    departs: loggedIn('QUIT', hangUp('-ERR [SYS/TEMP] Some deleted messages not removed.\r\n')),
  },
  'quit-silent': { about: 'never answers QUIT', departs: at('QUIT', silence()) },
  'no-close-notify': {
    about: 'ends TLS by closing the connection, without close_notify',
    departs: { manners: { closeNotify: false } },
  },

  // The way of the mail into the mailbox
  'mail-refused': {
    about: 'refuses the recipient for good (SMTP 550)',
    departs: { delivery: { refuse: { code: 550, text: '5.1.1 Mailbox unavailable' } } },
  },
  'mail-deferred': {
    about: 'puts the sender off, as greylisting does (SMTP 451)',
    departs: { delivery: { refuse: { code: 451, text: '4.7.1 Greylisted, try again later' } } },
  },
  'mail-lost': { about: 'accepts mail and loses it', departs: { delivery: { carry: () => {} } } },
  'mail-twice': {
    about: 'delivers mail twice',
    departs: {
      delivery: {
        carry: (message, deliver) => {
          deliver(message);
          deliver(message);
        },
      },
    },
  },
  'mail-late': {
    about: 'delivers mail twenty seconds late',
    departs: ({ lateMs }) => ({
      delivery: {
        carry: (message, deliver) => {
          setTimeout(() => deliver(message), lateMs).unref();
        },
      },
    }),
  },
  'mail-altered': {
    about: 'adds a footer to every mail, as a list or a filter does',
    departs: {
      delivery: { carry: (message, deliver) => deliver(Buffer.concat([message, Buffer.from('-- \r\nScanned.\r\n')])) },
    },
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof TABLE;

export const FAULTS: Readonly<Record<FaultName, Fault>> = TABLE;

export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}

/** What the named faults change, in their order; of two that replace the same moment the first one does. */
export function departures(names: readonly FaultName[], timing: Timing): Departure[] {
  return names.map((name) => {
    const { departs } = FAULTS[name];
    return typeof departs === 'function' ? departs(timing) : departs;
  });
}

function say(octets: string): Answer {
  return { octets };
}

function silence(): Answer {
  return { octets: '' };
}

function hangUp(octets: string): Answer {
  return { octets, next: 'hang-up' };
}

function reset(): Answer {
  return { octets: '', next: 'reset' };
}

function at(moment: Moment, answer: Answer): Departure {
  return { instead: { [moment]: () => answer } };
}

/** Like `at`, in the TRANSACTION state alone. */
function loggedIn(moment: Moment, answer: Answer): Departure {
  return { instead: { [moment]: ({ session }: Exchange) => (session.mailbox === null ? null : answer) } };
}

/** Another protocol altogether. */
function pose(greeting: string, reply: (line: string) => Answer): Departure {
  return { instead: { greeting: () => say(greeting), 'any-command': ({ line }) => reply(line) } };
}

/** More lines in the capability list, before its end. */
function announce(...lines: string[]): Departure {
  const more = lines.map((line) => `${line}\r\n`).join('');
  return { after: { CAPA: (answer) => ({ ...answer, octets: answer.octets.replace(/\.\r\n$/, `${more}.\r\n`) }) } };
}

function injectBehindStls(octets: string): Departure {
  return {
    after: {
      STLS: (answer) => (answer.next === 'secure' ? { ...answer, octets: answer.octets + octets } : answer),
    },
  };
}

function refuseInTheClear({ session }: Exchange): Answer | null {
  return session.connection.secure
    ? null
    : say('-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n');
}

function inflate(answer: Answer, numbers: RegExp): Answer {
  const larger = (_: string, before: string, octets: string) => `${before} ${Number(octets) + 2 ** 32}`;
  return { ...answer, octets: answer.octets.replace(numbers, larger) };
}

function unstuff(answer: Answer): Answer {
  return { ...answer, octets: answer.octets.replace(/\r\n\.\./g, '\r\n.') };
}

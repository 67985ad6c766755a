import { createServer, type Server, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { type Answer, Connection, type Manners, type Recorder } from './connection.ts';
import type { Maildrop, Message, OpenMaildrop } from './maildrop.ts';

export interface Pop3Options {
  readonly maildrop: Maildrop;
  readonly user: string;
  readonly password: string;
  readonly secureContext: SecureContext;
  /** TLS from the first octet (RFC 8314 §3), as on port 995. */
  readonly implicitTls: boolean;
  /** One session at a time, others hear [IN-USE]: RFC 1939 §4. */
  readonly exclusive?: boolean;
  readonly hooks?: readonly Hooks[];
  readonly manners?: Manners;
  readonly record?: Recorder;
}

/** What departs from the correct server, moment by moment. Nothing in it: the server as the RFCs want it. */
export interface Hooks {
  /** Before the moment takes effect: an answer replaces it, `null` lets it happen. */
  readonly instead?: Partial<Readonly<Record<Moment | 'any-command', (exchange: Exchange) => Answer | null>>>;
  /** After it took effect, or was replaced: another answer goes out. */
  readonly after?: Partial<Readonly<Record<Moment, (answer: Answer, exchange: Exchange) => Answer>>>;
}

/**
 * `connect` comes before an implicit TLS handshake, `greeting` after it. PASS and AUTH lead on to `credentials` (before
 * they are compared) and `login` (they are right, the maildrop is not open yet).
 */
export type Moment = 'connect' | 'greeting' | 'credentials' | 'login' | 'unknown-command' | Command;

export interface Exchange {
  /** The client's line as it came; the base64 one for an AUTH continuation; empty before the greeting. */
  readonly line: string;
  readonly session: Session;
}

export interface Session {
  readonly options: Pop3Options;
  readonly connection: Connection;
  /** Named by USER, awaiting PASS. */
  claimed: string | null;
  /** Open in the TRANSACTION state alone. */
  mailbox: OpenMaildrop | null;
}

/**
 * A POP3 server (RFC 1939; CAPA RFC 2449, STLS RFC 2595, AUTH PLAIN RFC 5034, [AUTH] RFC 3206). It does not listen yet;
 * `closeAllConnections` ends every session at once.
 */
export function createPop3Server(options: Pop3Options): { server: Server; closeAllConnections(): void } {
  const connections = new Set<Connection>();
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    const connection = new Connection(socket, options.secureContext, options.manners ?? {}, options.record ?? ignore);
    connections.add(connection);
    socket.once('close', () => connections.delete(connection));
    void serve({ options, connection, claimed: null, mailbox: null });
  });
  return {
    server,
    closeAllConnections: () => {
      for (const connection of connections) connection.destroy();
    },
  };
}

/** The conversation, top to bottom. */
async function serve(session: Session): Promise<void> {
  const { connection } = session;
  try {
    if (!(await connection.perform(await decide('connect', '', session, () => startTls(session.options))))) return;
    if (!connection.secure) connection.listen();
    if (!(await connection.perform(await decide('greeting', '', session, () => ok('POP3 sandbox ready.'))))) return;
    for (let line = await connection.readLine(); line !== null; line = await connection.readLine()) {
      if (!(await connection.perform(await obey(line, session)))) return;
    }
    connection.hangUp(); // the client left without QUIT: nothing is removed, RFC 1939 §6
  } finally {
    session.mailbox?.release();
  }
}

type AnyTime = 'CAPA' | 'NOOP' | 'QUIT';
type BeforeLogin = 'STLS' | 'USER' | 'PASS' | 'AUTH';
type AfterLogin = 'STAT' | 'LIST' | 'UIDL' | 'TOP' | 'RETR' | 'DELE' | 'RSET';
export type Command = AnyTime | BeforeLogin | AfterLogin;

type Run = (session: Session, argument: string, line: string) => Answer | Promise<Answer>;

const ANY_TIME: Readonly<Record<AnyTime, Run>> = {
  CAPA: (session) => listing('Capability list follows', capabilities(session)),
  NOOP: ({ mailbox }) => (mailbox === null ? error('Log in first.') : ok('Done.')),
  QUIT: ({ mailbox }) => {
    mailbox?.commit(); // the UPDATE state, entered here alone: RFC 1939 §6
    mailbox?.release(); // before the answer: who has heard +OK may come back at once
    return { ...ok(mailbox === null ? 'Goodbye.' : 'Logging out, messages deleted.'), next: 'hang-up' };
  },
};

const BEFORE_LOGIN: Readonly<Record<BeforeLogin, Run>> = {
  STLS: (session) => {
    if (session.connection.secure) return error('TLS is already active.');
    session.claimed = null; // nothing said in the clear counts: RFC 2595 §4
    return { ...ok('Begin TLS negotiation now.'), next: 'secure' };
  },
  USER: (session, argument) => {
    if (argument === '') return error('USER needs a name.');
    session.claimed = argument; // +OK for any name: who exists is not told
    return ok('Send the password.');
  },
  PASS: (session, argument, line) => {
    const user = session.claimed;
    session.claimed = null; // RFC 1939 §7: PASS comes right after a successful USER
    return user === null ? error('No user name given.') : logIn(session, { user, password: argument }, line);
  },
  AUTH: async (session, argument, line) => {
    const [mechanism = '', initial, ...rest] = argument.split(' ');
    if (mechanism.toUpperCase() !== 'PLAIN' || rest.length > 0) return error('[AUTH] Unsupported mechanism.');
    const response = initial === undefined ? await challenge(session) : { octets: initial, line };
    if (response === null || response.octets === '*') return error('[AUTH] Authentication cancelled.'); // RFC 5034 §4
    const login = parsePlain(response.octets);
    return login === null ? error('[AUTH] Invalid response.') : logIn(session, login, response.line);
  },
};

const AFTER_LOGIN: Readonly<Record<AfterLogin, (mailbox: OpenMaildrop, argument: string) => Answer>> = {
  STAT: (mailbox) => {
    const remaining = mailbox.remaining();
    return ok(`${remaining.length} ${remaining.reduce((sum, { message }) => sum + wireForm(message).length, 0)}`);
  },
  LIST: (mailbox, argument) => scan(mailbox, argument, (message) => `${wireForm(message).length}`),
  UIDL: (mailbox, argument) => scan(mailbox, argument, (message) => message.uid),
  TOP: (mailbox, argument) => {
    const [number = '', count = ''] = argument.split(' ');
    if (!/^\d{1,9}$/.test(count)) return error('TOP needs a message number and a number of lines.');
    return withMessage(mailbox, number, (message) => multiline('Top of message follows', top(message, Number(count))));
  },
  RETR: (mailbox, argument) =>
    withMessage(mailbox, argument, (message) => multiline(`${wireForm(message).length} octets`, wireForm(message))),
  DELE: (mailbox, argument) =>
    withMessage(mailbox, argument, (message) => {
      mailbox.mark(message);
      return ok('Marked to be deleted.');
    }),
  RSET: (mailbox) => {
    mailbox.unmarkAll();
    return ok('Nothing is marked any more.');
  },
};

async function obey(line: string, session: Session): Promise<Answer> {
  const [, keyword = '', argument = ''] = /^(\S*) ?(.*)$/s.exec(line) ?? [];
  const verb = keyword.toUpperCase();
  const command = isCommand(verb) ? verb : 'unknown-command';
  return decide(command, line, session, () => {
    if (line.length + CRLF.length > COMMAND_MAX) return error('Line too long.');
    return run(command, session, argument, line);
  });
}

function run(command: Command | 'unknown-command', session: Session, argument: string, line: string) {
  if (isKey(ANY_TIME, command)) return ANY_TIME[command](session, argument, line);
  const { mailbox } = session;
  if (isKey(BEFORE_LOGIN, command)) {
    return mailbox === null ? BEFORE_LOGIN[command](session, argument, line) : error('Already logged in.');
  }
  if (isKey(AFTER_LOGIN, command)) {
    return mailbox === null ? error('Log in first.') : AFTER_LOGIN[command](mailbox, argument);
  }
  return error('Unknown command.');
}

async function logIn(session: Session, login: Login, line: string): Promise<Answer> {
  const { options } = session;
  return decide('credentials', line, session, () => {
    if (login.user !== utf8(options.user) || login.password !== utf8(options.password)) {
      return error('[AUTH] Authentication failed.');
    }
    return decide('login', line, session, () => {
      session.mailbox = options.maildrop.open(options.exclusive);
      return session.mailbox === null ? error('[IN-USE] Another session has the maildrop.') : ok('Logged in.');
    });
  });
}

/** What happens at a moment: the first hook that wants to replaces it, then every hook may change the answer. */
async function decide(
  moment: Moment,
  line: string,
  session: Session,
  happen: () => Answer | Promise<Answer>,
): Promise<Answer> {
  const hooks = session.options.hooks ?? [];
  const exchange: Exchange = { line, session };
  const names = moment === 'unknown-command' || isCommand(moment) ? ([moment, 'any-command'] as const) : [moment];
  let answer: Answer | null = null;
  for (const { instead } of hooks) {
    for (const name of names) answer ??= instead?.[name]?.(exchange) ?? null;
  }
  answer ??= await happen();
  for (const { after } of hooks) answer = after?.[moment]?.(answer, exchange) ?? answer;
  return answer;
}

function startTls(options: Pop3Options): Answer {
  return options.implicitTls ? { octets: '', next: 'secure' } : { octets: '' };
}

/** RFC 2449 §5, §6. What holds before login is listed in both states, but STLS only where it would work. */
function capabilities({ connection, mailbox }: Session): string[] {
  return [
    'TOP',
    'UIDL',
    'RESP-CODES',
    'AUTH-RESP-CODE',
    'USER',
    'SASL PLAIN',
    ...(connection.secure || mailbox !== null ? [] : ['STLS']),
    'IMPLEMENTATION pop3_sandbox',
  ];
}

interface Login {
  readonly user: string;
  readonly password: string;
}

/** Asks for the response with an empty challenge: RFC 5034 §4. Null when the client is gone. */
async function challenge({ connection }: Session): Promise<{ octets: string; line: string } | null> {
  if (!(await connection.perform({ octets: '+ \r\n' }))) return null;
  const line = await connection.readLine();
  return line === null ? null : { octets: line, line };
}

/** RFC 4616: authzid NUL authcid NUL passwd, in base64 with the padding RFC 4648 §3.2 demands. */
function parsePlain(base64: string): Login | null {
  const octets = Buffer.from(base64, 'base64');
  if (octets.toString('base64') !== base64) return null; // Buffer skips what is not base64
  const [authorize, user, password, ...rest] = octets.toString('latin1').split('\0');
  if (authorize === undefined || user === undefined || password === undefined || rest.length > 0) return null;
  return authorize === '' || authorize === user ? { user, password } : null;
}

function scan(mailbox: OpenMaildrop, argument: string, describe: (message: Message) => string): Answer {
  if (argument !== '') return withMessage(mailbox, argument, (message) => ok(`${argument} ${describe(message)}`));
  const remaining = mailbox.remaining();
  return listing(
    `${remaining.length} messages`,
    remaining.map(({ number, message }) => `${number} ${describe(message)}`),
  );
}

function withMessage(mailbox: OpenMaildrop, number: string, use: (message: Message) => Answer): Answer {
  const message = /^[1-9]\d{0,8}$/.test(number) ? mailbox.find(Number(number)) : null;
  return message === null ? error('No such message.') : use(message);
}

/** The message as it crosses, before stuffing: its last line ended, nothing else changed. */
function wireForm(message: Message): string {
  const octets = Buffer.from(message.bytes).toString('latin1');
  return octets === '' || octets.endsWith(CRLF) ? octets : octets + CRLF;
}

/** The header, the blank line and so many lines of the body: RFC 1939 §7. */
function top(message: Message, count: number): string {
  const [header = '', ...body] = wireForm(message).split('\r\n\r\n');
  if (body.length === 0) return header;
  const lines = body.join('\r\n\r\n').split(CRLF).slice(0, -1).slice(0, count);
  return `${header}\r\n\r\n${lines.map((line) => line + CRLF).join('')}`;
}

function ok(text: string): Answer {
  return { octets: `+OK ${text}\r\n` };
}

function error(text: string): Answer {
  return { octets: `-ERR ${text}\r\n` };
}

function listing(text: string, lines: readonly string[]): Answer {
  return multiline(text, lines.map((line) => line + CRLF).join(''));
}

/** Byte-stuffed and terminated: RFC 1939 §3. `body` is empty or ends with CRLF. */
function multiline(text: string, body: string): Answer {
  return { octets: `+OK ${text}\r\n${body.replace(/(^|\r\n)\./g, '$1..')}.\r\n` };
}

const CRLF = '\r\n';
const COMMAND_MAX = 255; // RFC 2449 §4, CRLF included; SASL responses have no such limit: RFC 5034 §4

/** A string of octets, to compare with what came over the wire. */
function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function isCommand(verb: string): verb is Command {
  return isKey(ANY_TIME, verb) || isKey(BEFORE_LOGIN, verb) || isKey(AFTER_LOGIN, verb);
}

function isKey<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key);
}

function ignore(): void {}

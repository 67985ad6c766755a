import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import { base64, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { OutgoingMessage, SendCredential, Sent, SmtpPlan, Submit, TlsTerms } from '../probe/world.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { failureOf } from '../runtimes/node/errors.ts';
import { reachBy } from '../runtimes/node/proxy.ts';
import { type Hold, holding } from '../runtimes/node/reach.ts';
import { lateFailure, prepareTls, shownBy, startTls } from '../runtimes/node/tls.ts';
import { blamed } from './blame.ts';
import { meaningOfReply } from './smtp-replies.ts';

/**
 * Submits messages by SMTP (RFC 6409; STARTTLS RFC 3207, AUTH RFC 4954). The protocol is nodemailer's; name, connection
 * and certificate are the business of the same functions as for the POP3 link, so that they are judged alike. What a
 * server says in clear is never trusted with a password: the certificate is judged before AUTH.
 */
export async function prepareSmtp(plan: SmtpPlan): Promise<Submit> {
  const { default: Connection } = await import('nodemailer/lib/smtp-connection');
  return (message) => {
    const { hold, letGo } = holding();
    return { done: blamed(submit(message, plan, Connection, hold)), abandon: letGo };
  };
}

async function submit(
  message: OutgoingMessage,
  plan: SmtpPlan,
  Connection: typeof SMTPConnection,
  hold: Hold,
): Promise<Sent> {
  const { link, connectionType } = plan;
  const context = link.tls === null ? null : prepareTls(link.tls);
  const plain = await reachBy(link, plan.to, plan.port, hold);
  const isSecured = connectionType === 'ssl' && context !== null && link.tls !== null;
  const connection = isSecured ? await secured(plain, link.tls, context, hold) : plain;
  const session = new Connection({
    connection,
    secure: isSecured,
    secured: isSecured,
    host: plan.server,
    ...(connectionType === 'tls'
      ? {
          requireTLS: true,
          // The handshake goes through and is judged afterwards: so a refusal names the certificate's own fault.
          tls: { secureContext: context, servername: link.tls?.sni ?? '', rejectUnauthorized: false } as object,
        }
      : { ignoreTLS: true }),
    // The run has the one deadline; these only keep nodemailer's own from being the shorter ones.
    connectionTimeout: NEVER_MS,
    greetingTimeout: NEVER_MS,
    socketTimeout: NEVER_MS,
    socketCloseTimeout: 1,
    customAuth: { [BY_TOKEN]: authenticateByToken },
    logger: false,
  });
  hold(() => session.close());
  const conversation = new Conversation(session);
  await conversation.connect();
  if (connectionType === 'tls') judge(session._socket as TLSSocket, link.tls as TlsTerms);
  if (plan.credential !== null && session.allowsAuth) await conversation.logIn(plan.credential);
  return await conversation.send(message);
}

/** A name of our own: by its true one nodemailer would take the first mechanism that is offered, with the token. */
const BY_TOKEN = 'XOAUTH2-ONCE';

/** Longer than any run. */
const NEVER_MS = 4_000_000;

/** A connection that has TLS from the first octet. */
async function secured(
  plain: Socket,
  terms: TlsTerms,
  context: ReturnType<typeof prepareTls>,
  hold: Hold,
): Promise<TLSSocket> {
  const { socket, secured: found } = await startTls(plain, terms, context, false, () => undefined);
  hold(() => socket.destroy());
  const [fault] = found.faults;
  if (fault !== undefined) throw fault;
  return socket;
}

function judge(socket: TLSSocket, terms: TlsTerms): void {
  const [fault] = shownBy(socket, terms).faults;
  if (fault !== undefined) throw fault;
}

/** What nodemailer's errors carry. */
interface SmtpError extends Error {
  readonly code?: string;
  readonly originalCode?: string;
  readonly command?: string;
  readonly response?: string;
}

/** The steps of a session. Whatever breaks it off ends the step under way. */
class Conversation {
  private readonly session: SMTPConnection;
  private fail: (error: Error) => void = () => undefined;
  /** Whether the last octet of the message, the final dot, has been handed over. */
  private wasSent = false;

  constructor(session: SMTPConnection) {
    this.session = session;
    session.on('error', (error: Error) => this.fail(error));
    session.on('end', () => this.fail(Object.assign(new Error(CLOSED), { code: 'ECONNECTION' })));
  }

  async connect(): Promise<void> {
    await this.step<void>((done) => this.session.connect((error?: unknown) => done(error ?? null)));
  }

  async logIn(credential: SendCredential): Promise<void> {
    const auth =
      credential.kind === 'bearer'
        ? { method: BY_TOKEN, user: credential.userName, pass: credential.token.reveal() }
        : { user: credential.userName, pass: credential.password.reveal() };
    await this.step<unknown>((done) => this.session.login(auth, (error) => done(error)));
  }

  async send({ from, to, octets }: OutgoingMessage): Promise<Sent> {
    const said = await this.step<string>((done) =>
      this.session.send({ from, to: [to] }, this.stream(octets), (error, info) =>
        done(error, String(info?.response ?? '')),
      ),
    );
    this.fail = () => undefined;
    this.session.quit();
    return { said };
  }

  /** The message as a stream that knows when it was read to its end. */
  private stream(octets: Uint8Array): Readable {
    const readable = builtin.stream().Readable.from([Buffer.from(octets)]);
    readable.once('end', () => {
      this.wasSent = true;
    });
    return readable;
  }

  private async step<T>(action: (done: (error: unknown, result?: T) => void) => void): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        this.fail = reject;
        action((error, result) => (error ? reject(error) : resolve(result as T)));
      });
    } catch (error) {
      throw this.meaningOf(error as SmtpError);
    }
  }

  private meaningOf(error: SmtpError): ProbeFailure {
    const { response, command = '', code = '' } = error;
    if (response !== undefined) return meaningOfReply(response, command);
    if (this.wasSent) {
      return new ProbeFailure(
        'send-unconfirmed',
        'the connection was lost after the message was sent, before an answer',
      );
    }
    // Server name and socket say which connection it was.
    const cause = { code: error.originalCode ?? '', message: error.message };
    if (cause.code.startsWith('ERR_SSL_')) return lateFailure(Object.assign(error, { code: cause.code }));
    if (cause.code !== '') return failureOf(cause);
    if (code === 'EAUTH')
      return new ProbeFailure('send-refused', 'the server offers no way of logging on that we have');
    return new ProbeFailure('hung-up', code === 'ECONNECTION' ? CLOSED : error.message);
  }
}

const CLOSED = 'the SMTP server closed the connection';

/** XOAUTH2, one attempt: nodemailer's own way would ask for another token and try again. */
async function authenticateByToken(context: {
  readonly auth: { readonly credentials: { readonly user?: string; readonly pass?: string } };
  sendCommand(command: string): Promise<{ readonly status: number; readonly response: string }>;
}): Promise<void> {
  const { user = '', pass = '' } = context.auth.credentials;
  const response = base64(utf8(`user=${user}\x01auth=Bearer ${pass}\x01\x01`));
  let reply = await context.sendCommand(`AUTH XOAUTH2 ${response}`);
  // The refusal's details come as a challenge; the empty answer to it brings the refusal itself.
  if (reply.status === 334) reply = await context.sendCommand('');
  if (reply.status !== 235) throw Object.assign(new Error('refused'), { response: reply.response });
}

import type { Server, Socket } from 'node:net';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { Identity } from './authority.ts';
import type { Maildrop } from './maildrop.ts';

export interface SmtpOptions {
  readonly maildrop: Maildrop;
  readonly user: string;
  readonly password: string;
  /** The one recipient there is. */
  readonly address: string;
  readonly identity: Identity;
  readonly deliveries?: readonly Delivery[];
}

/** What departs from plain delivery. */
export interface Delivery {
  /** Every recipient hears this. */
  readonly refuse?: { readonly code: number; readonly text: string };
  /** Carries an accepted message into the maildrop, or not. */
  readonly carry?: (message: Uint8Array, deliver: (message: Uint8Array) => void) => void;
}

export const MESSAGE_OCTETS_MAX = 10 * 1024 * 1024;

/**
 * An SMTP submission server (RFC 5321, RFC 6409) that delivers into the maildrop: STARTTLS, AUTH not demanded and
 * accepted over TLS alone. It does not listen yet; `closeAllConnections` ends every session at once.
 */
export function createSmtpServer(options: SmtpOptions): { server: Server; closeAllConnections(): void } {
  const { maildrop, user, password, address, identity, deliveries = [] } = options;
  const refusal = deliveries.find(({ refuse }) => refuse !== undefined)?.refuse;
  const carry = deliveries.find((delivery) => delivery.carry !== undefined)?.carry ?? carryAtOnce;

  const smtp = new SMTPServer({
    name: 'mail.example.com',
    cert: identity.certificate,
    key: identity.key,
    size: MESSAGE_OCTETS_MAX,
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onAuth(login, _session, done) {
      if (login.username === user && login.password === password) return done(null, { user });
      return done(reply(535, '5.7.8 Authentication failed'));
    },
    onRcptTo(recipient, _session, done) {
      if (refusal !== undefined) return done(reply(refusal.code, refusal.text));
      if (recipient.address.toLowerCase() === address.toLowerCase()) return done();
      return done(reply(550, '5.1.1 No such mailbox here'));
    },
    onData(stream, session, done) {
      collect(stream).then((octets) => {
        if (octets === null) return done(reply(552, '5.3.4 Message too big'));
        carry(Buffer.concat([Buffer.from(trace(session)), octets]), (message) => maildrop.deliver(message));
        return done(null, '2.0.0 Delivered');
      }, done);
    },
  });
  smtp.on('error', () => {}); // a client that breaks off is the client's business

  const sockets = new Set<Socket>();
  smtp.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    server: smtp.server,
    closeAllConnections: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function carryAtOnce(message: Uint8Array, deliver: (message: Uint8Array) => void): void {
  deliver(message);
}

/** The whole message, or null when it is too big; the stream is read to its end in either case. */
async function collect(stream: SMTPServerDataStream): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (stream.sizeExceeded) chunks.length = 0;
    else chunks.push(chunk);
  }
  return stream.sizeExceeded ? null : Buffer.concat(chunks);
}

/** The lines every delivering server adds in front: RFC 5321 §4.4. */
function trace({ envelope, hostNameAppearsAs, remoteAddress, transmissionType }: SMTPServerSession): string {
  const sender = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
  const date = new Date().toUTCString().replace('GMT', '+0000');
  return [
    `Return-Path: <${sender}>`,
    `Received: from ${hostNameAppearsAs} ([${remoteAddress}]) by mail.example.com with ${transmissionType}; ${date}`,
    '',
  ].join('\r\n');
}

function reply(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode });
}

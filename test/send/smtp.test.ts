import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ProbeFailure, Reason } from '../../src/dialogue/failure.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import type { SendCredential, SmtpPlan } from '../../src/probe/world.ts';
import { type Authority, createAuthority, type Identity } from '../../src/sandbox/authority.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { prepareSmtp } from '../../src/send/smtp.ts';
import { meaningOfReply } from '../../src/send/smtp-replies.ts';

const PASSWORD = 'correct-horse-battery-staple';
const TOKEN = 'eyJ0eXAi.fake.token';
const MESSAGE = {
  from: 'probe@example.com',
  to: 'probe@example.com',
  octets: Buffer.from('Subject: test\r\n\r\nfirst\r\n.second\r\n.\r\nlast\r\n'),
};
const BY_PASSWORD: SendCredential = {
  kind: 'password',
  userName: 'probe@example.com',
  password: new Secret(PASSWORD),
};
const BY_TOKEN: SendCredential = { kind: 'bearer', userName: 'probe@example.com', token: new Secret(TOKEN) };

let authority: Authority;
let identity: Identity;
beforeAll(async () => {
  authority = await createAuthority('Example Test CA');
  identity = await authority.issue({ names: ['mail.example.com'] });
});

function plan(port: number, more: Partial<SmtpPlan> = {}): SmtpPlan {
  const connectionType = more.connectionType ?? 'tls';
  const tls = {
    identity: 'mail.example.com',
    sni: 'mail.example.com',
    authorities: authority.certificate,
    pins: [],
    clientCertificate: null,
  };
  return {
    via: 'smtp',
    server: 'mail.example.com',
    to: { address: '127.0.0.1', family: 4 },
    port,
    connectionType,
    link: { family: 0, proxy: null, tls: connectionType === 'plaintext' ? null : tls },
    credential: BY_PASSWORD,
    ...more,
  };
}

const send = async (to: SmtpPlan): Promise<string> => {
  const submit = await prepareSmtp(to);
  const sending = submit(MESSAGE);
  onTestFinished(sending.abandon);
  return (await sending.done).said;
};

async function refused(to: SmtpPlan): Promise<ProbeFailure> {
  const failure = await send(to).then(
    (said) => {
      throw new Error(`it was taken: ${said}`);
    },
    (problem: ProbeFailure) => problem,
  );
  expect(failure.phase).toBe('send');
  for (const secret of [PASSWORD, TOKEN]) {
    const told = `${failure.message} ${failure.said}`;
    expect(told).not.toContain(secret);
    expect(told).not.toContain(Buffer.from(secret).toString('base64').slice(0, -4));
  }
  return failure;
}

/** What a server does with a line; null: it is answered as it should be. */
type Departure = (line: string, session: Session) => string | null;

interface Session {
  socket: Socket | TLSSocket;
  readonly heard: string[];
  isSecure: boolean;
}

/** An SMTP server that departs from the correct one where it is told to. Lines of the message are heard too. */
async function server(
  departs: Departure = () => null,
  { implicit = false, shown = identity, greeting = '220 mail.example.com ESMTP\r\n' } = {},
): Promise<{ readonly port: number; readonly heard: readonly string[] }> {
  const heard: string[] = [];
  const secureContext = createSecureContext({ cert: shown.certificate, key: shown.key });
  const serve = (socket: Socket, isSecure: boolean): void => {
    const session: Session = { socket, heard, isSecure };
    let inData = false;
    let held = '';
    const listen = (on: Socket): void => {
      on.on('error', () => undefined);
      on.on('data', (octets) => {
        held += octets.toString('latin1');
        for (let end = held.indexOf('\r\n'); end >= 0; end = held.indexOf('\r\n')) {
          const line = held.slice(0, end);
          held = held.slice(end + 2);
          heard.push(line);
          if (inData && line !== '.') continue;
          const answer = departs(line, session) ?? usual(line, session);
          if (answer === '') return void session.socket.destroy();
          session.socket.write(answer);
          inData = answer.startsWith('354');
          if (line === 'STARTTLS' && answer.startsWith('220 2')) {
            on.removeAllListeners('data');
            held = '';
            session.socket = new TLSSocket(on, { isServer: true, secureContext });
            session.isSecure = true;
            listen(session.socket);
            return;
          }
        }
      });
    };
    listen(socket);
    socket.write(greeting);
  };
  const listener: Server = implicit
    ? createTlsServer({ cert: shown.certificate, key: shown.key }, (socket) => serve(socket, true))
    : createServer((socket) => serve(socket, false));
  const sockets = new Set<Socket>();
  listener.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return { port: (listener.address() as { port: number }).port, heard };
}

function usual(line: string, { isSecure }: Session): string {
  const [command = ''] = line.toUpperCase().split(/[ :]/, 1);
  const answers: Readonly<Record<string, string>> = {
    EHLO: `250-mail.example.com\r\n${isSecure ? '250-AUTH PLAIN LOGIN XOAUTH2' : '250-STARTTLS'}\r\n250 8BITMIME\r\n`,
    STARTTLS: '220 2.0.0 Ready\r\n',
    AUTH: '235 2.7.0 Authentication successful\r\n',
    MAIL: '250 2.1.0 Ok\r\n',
    RCPT: '250 2.1.5 Ok\r\n',
    DATA: '354 Go ahead\r\n',
    '.': '250 2.0.0 Ok: queued as 4AF\r\n',
    QUIT: '221 2.0.0 Bye\r\n',
  };
  return answers[command] ?? '502 5.5.2 Error\r\n';
}

const at =
  (command: string, answer: string): Departure =>
  (line) =>
    line.toUpperCase().startsWith(command) ? answer : null;

const words = (lines: readonly string[]): readonly string[] => lines.map((line) => line.split(' ', 1)[0] as string);

describe('a message is taken', () => {
  test('by STARTTLS, after a logon, with its dots doubled', async () => {
    const { port, heard } = await server();
    expect(await send(plan(port))).toBe('250 2.0.0 Ok: queued as 4AF');
    expect(words(heard).slice(0, 5)).toEqual(['EHLO', 'STARTTLS', 'EHLO', 'AUTH', 'MAIL']);
    const at = heard.indexOf('DATA');
    expect(heard.slice(at + 1, at + 8)).toEqual(['Subject: test', '', 'first', '..second', '..', 'last', '.']);
  });

  test('by TLS from the first octet', async () => {
    const { port, heard } = await server(undefined, { implicit: true });
    expect(await send(plan(port, { connectionType: 'ssl' }))).toContain('queued');
    expect(words(heard).slice(0, 3)).toEqual(['EHLO', 'AUTH', 'MAIL']);
  });

  test('in the clear, where that was asked for by name', async () => {
    const { port, heard } = await server();
    expect(await send(plan(port, { connectionType: 'plaintext', credential: null }))).toContain('queued');
    expect(words(heard).slice(0, 2)).toEqual(['EHLO', 'MAIL']);
  });

  test('without a logon, where the server offers none', async () => {
    const { port, heard } = await server(at('EHLO', '250-mail.example.com\r\n250 STARTTLS\r\n'));
    expect(await send(plan(port))).toContain('queued');
    expect(words(heard)).not.toContain('AUTH');
  });

  test('by a token, in one answer', async () => {
    const { port, heard } = await server();
    await send(plan(port, { credential: BY_TOKEN }));
    const [, , encoded = ''] = (heard.find((line) => line.startsWith('AUTH')) ?? '').split(' ');
    expect(Buffer.from(encoded, 'base64').toString()).toBe(`user=probe@example.com\x01auth=Bearer ${TOKEN}\x01\x01`);
  });

  test('by the sandbox, as any other server', async () => {
    const sandbox = await startSandbox({ password: PASSWORD, identity });
    onTestFinished(() => sandbox.close());
    expect(await send(plan(sandbox.smtpPort))).toBe('250 2.0.0 Delivered');
    expect(sandbox.maildrop.messages).toHaveLength(1);
  });
});

describe('nothing secret is sent', () => {
  test.each<[string, Departure, Reason]>([
    [
      'where STARTTLS was stripped',
      (line) => (/^EHLO/.test(line) ? '250-x\r\n250 AUTH PLAIN\r\n' : line === 'STARTTLS' ? '502 5.5.1 No\r\n' : null),
      'stls-refused',
    ],
    ['where STARTTLS is refused', at('STARTTLS', '454 4.7.0 TLS not available\r\n'), 'stls-refused'],
    [
      'where the server goes on in clear after STARTTLS',
      (line, { socket }) => {
        if (line !== 'STARTTLS') return null;
        setTimeout(() => socket.write('250 in clear\r\n'), 30);
        return '220 go\r\n';
      },
      'tls-failed',
    ],
  ])('%s', async (_, departs, reason) => {
    const { port, heard } = await server(departs);
    expect((await refused(plan(port))).reason).toBe(reason);
    expect(words(heard)).not.toContain('AUTH');
    expect(words(heard)).not.toContain('MAIL');
  });

  test.each<[string, () => Promise<Identity>, Reason]>([
    [
      'of nobody we know',
      async () => (await createAuthority('Another CA')).issue({ names: ['mail.example.com'] }),
      'certificate-untrusted',
    ],
    ['for another host', () => authority.issue({ names: ['other.example.com'] }), 'certificate-wrong-host'],
    [
      'that has expired',
      () =>
        authority.issue({
          names: ['mail.example.com'],
          notBefore: new Date(Date.now() - 9e8),
          notAfter: new Date(Date.now() - 1e8),
        }),
      'certificate-expired',
    ],
  ])('to a certificate %s, by STARTTLS or TLS', async (_, issue, reason) => {
    const shown = await issue();
    for (const connectionType of ['tls', 'ssl'] as const) {
      const { port, heard } = await server(undefined, { shown, implicit: connectionType === 'ssl' });
      expect((await refused(plan(port, { connectionType }))).reason, connectionType).toBe(reason);
      expect(words(heard)).not.toContain('AUTH');
      expect(words(heard)).not.toContain('MAIL');
    }
  });

  test('NODE_TLS_REJECT_UNAUTHORIZED changes nothing', async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    onTestFinished(() => {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    });
    const shown = await (await createAuthority('Another CA')).issue({ names: ['mail.example.com'] });
    const { port, heard } = await server(undefined, { shown });
    expect((await refused(plan(port))).reason).toBe('certificate-untrusted');
    expect(words(heard)).not.toContain('AUTH');
  });

  test('what an attacker puts behind the answer to STARTTLS is no answer under TLS', async () => {
    const { port, heard } = await server(at('STARTTLS', '220 2.0.0 Ready\r\n250-x\r\n250 AUTH XOAUTH2\r\n'));
    expect(await send(plan(port))).toContain('queued');
    expect(words(heard).filter((word) => word === 'EHLO')).toHaveLength(2);
    expect(heard.find((line) => line.startsWith('AUTH'))).toMatch(/^AUTH PLAIN/);
  });
});

describe('a refusal has its reason, and the server\u2019s words', () => {
  test.each<[string, Departure, Reason, string]>([
    ['a wrong password', at('AUTH', '535 5.7.8 Authentication failed\r\n'), 'send-refused', 'refuses the credentials'],
    ['a logon that is not possible now', at('AUTH', '454 4.7.0 Try later\r\n'), 'send-deferred', 'credentials'],
    ['a sender that may not', at('MAIL', '550 5.7.60 SendAsDenied\r\n'), 'send-refused', 'refuses the sender'],
    ['an unknown recipient', at('RCPT', '550 5.1.1 No such user\r\n'), 'send-refused', 'refuses the recipient'],
    ['greylisting', at('RCPT', '451 4.7.1 Greylisted\r\n'), 'send-deferred', 'refuses the recipient'],
    ['a full mailbox', at('RCPT', '452 4.2.2 Mailbox full\r\n'), 'mailbox-full', 'refuses the recipient'],
    ['a full mailbox, for good', at('RCPT', '552 5.2.2 Over quota\r\n'), 'mailbox-full', 'refuses the recipient'],
    ['content that is not wanted', at('.', '554 5.7.1 Spam\r\n'), 'send-refused', 'refuses the message'],
    ['a full disk', at('.', '452 4.3.1 Insufficient system storage\r\n'), 'send-deferred', 'refuses the message'],
    ['a refusal in several lines', at('RCPT', '550-5.1.1 No\r\n550 5.1.1 such user\r\n'), 'send-refused', 'recipient'],
  ])('%s', async (_, departs, reason, told) => {
    const { port } = await server(departs);
    const failure = await refused(plan(port));
    expect(failure.reason).toBe(reason);
    expect(failure.message).toContain(told);
    expect(failure.said).toMatch(/^[245]\d\d/);
    expect(failure.said).not.toMatch(/[\r\n]/);
  });

  test('a token that is refused is tried once, and the refusal is read to its end', async () => {
    let asked = 0;
    const { port, heard } = await server((line) => {
      if (line.startsWith('AUTH')) {
        asked++;
        return `334 ${Buffer.from('{"status":"401"}').toString('base64')}\r\n`;
      }
      return line === '' ? '535 5.7.3 Authentication unsuccessful\r\n' : null;
    });
    const failure = await refused(plan(port, { credential: BY_TOKEN }));
    expect(failure.reason).toBe('send-refused');
    expect(failure.said).toContain('535 5.7.3');
    expect(asked).toBe(1);
    expect(words(heard)).not.toContain('MAIL');
  });

  test.each<[string, string, Reason]>([
    ['a server that is closing', '421 4.3.2 Not now\r\n', 'send-deferred'],
    ['a server that does not want us', '554 5.7.1 No service\r\n', 'send-refused'],
    ['a POP3 server', '+OK ready\r\n', 'protocol-violation'],
  ])('%s greets', async (_, greeting, reason) => {
    const { port } = await server(undefined, { greeting });
    expect((await refused(plan(port))).reason).toBe(reason);
  });
});

describe('a connection that is lost', () => {
  test.each<[string, Departure, Reason]>([
    ['at MAIL', at('MAIL', ''), 'hung-up'],
    ['at RCPT', at('RCPT', ''), 'hung-up'],
    ['at DATA', at('DATA', ''), 'hung-up'],
    ['after the final dot, when it may have been taken', at('.', ''), 'send-unconfirmed'],
  ])('%s', async (_, departs, reason) => {
    const { port } = await server(departs);
    expect((await refused(plan(port))).reason).toBe(reason);
  });

  test('where nobody listens', async () => {
    expect((await refused(plan(1, { to: { address: '127.0.0.9', family: 4 } }))).reason).toBe('connection-refused');
  });

  test('a server that says nothing is given up, and nothing is left open', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const submit = await prepareSmtp(plan((silent.address() as { port: number }).port));
    const sending = submit(MESSAGE);
    sending.done.catch(() => undefined);
    await expect.poll(() => sockets.size).toBe(1);
    sending.abandon();
    const [socket] = sockets;
    await expect.poll(() => socket?.readableEnded || socket?.destroyed).toBe(true);
  });
});

/** RFC 5321 §4.2.3, RFC 3463 and RFC 4954 §6. */
describe('what a reply stands for', () => {
  test.each<[string, string, Reason]>([
    ['550 5.1.1 unknown', 'RCPT TO', 'send-refused'],
    ['550 unknown', 'RCPT TO', 'send-refused'],
    ['450 4.2.0 greylisted', 'RCPT TO', 'send-deferred'],
    ['421 4.7.0 too many', 'MAIL FROM', 'send-deferred'],
    ['452 4.2.2 full', 'RCPT TO', 'mailbox-full'],
    ['452 4.3.1 disk', 'RCPT TO', 'send-deferred'],
    ['452 too many recipients', 'RCPT TO', 'send-deferred'],
    ['552 exceeded storage allocation', 'RCPT TO', 'mailbox-full'],
    ['552 5.3.4 message too big', 'DATA', 'send-refused'],
    ['552 5.2.2 over quota', 'DATA', 'mailbox-full'],
    ['554 5.2.2 mailbox full', 'DATA', 'mailbox-full'],
    ['554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException', 'DATA', 'send-refused'],
    ['535 5.7.3 unsuccessful', 'AUTH LOGIN', 'send-refused'],
    ['454 4.7.0 not available', 'STARTTLS', 'stls-refused'],
    ['hello', 'CONN', 'protocol-violation'],
    ['', 'CONN', 'protocol-violation'],
  ])('%j to %s: %s', (reply, command, reason) => {
    expect(meaningOfReply(reply, command).reason).toBe(reason);
  });
});

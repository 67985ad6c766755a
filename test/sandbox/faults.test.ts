import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FAULTS, type FaultName } from '../../src/sandbox/faults.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { bytes, dial, dialTls, greeted, loggedIn, plain, type RawClient, sandboxed } from './client.ts';
import { sendMail } from './mail.ts';

const MESSAGE = bytes('Subject: hello', '', '.', '.dot', 'end');
const TIMING = { dripMs: 4, slowLoginMs: 120, lateMs: 120 };
const PATIENCE_MS = 60;

/** Each fault as a client meets it. The compiler demands every row. */
const MET: Readonly<Record<FaultName, (sandbox: Sandbox) => Promise<void>>> = {
  'never-greet': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.within(PATIENCE_MS)).toBe('');
    expect(client.ended).toBe('no');
  },
  'refuse-service': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.toTheEnd()).toBe('-ERR [SYS/TEMP] Service is not available, try again later.\r\n');
  },
  'close-at-once': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect([await client.toTheEnd(), client.ended]).toEqual(['', 'end']);
    await expect(dialTls(sandbox)).rejects.toThrow(/disconnected before secure TLS/);
  },
  'reset-at-once': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect([await client.toTheEnd(), client.ended]).toEqual(['', 'reset']);
  },
  drip: async (sandbox) => {
    const began = performance.now();
    const client = await dial(sandbox.pop3Port);
    const greeting = await client.line();
    expect(greeting).toBe('+OK POP3 sandbox ready.\r\n');
    expect(client.segments.length).toBeGreaterThan(greeting.length / 2);
    expect(performance.now() - began).toBeGreaterThan((greeting.length - 1) * (TIMING.dripMs - 1));
  },
  'endless-line': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.octets(100_000)).toMatch(/^\+OK x+$/);
  },
  'huge-greeting': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.line()).toHaveLength(600);
    await expectToWork(client);
  },
  'ansi-greeting': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.line()).toBe('+OK \x1b[31mPOP3\x1b[0m\x07 ready \x00| time=0.001s;;;0 \xe4\r\n');
    await expectToWork(client);
  },
  unsolicited: async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    await client.line();
    expect(await client.line()).toBe('+OK 0 0\r\n');
    expect(client.segments).toHaveLength(1);
  },
  'lf-only': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.line()).toBe('+OK POP3 sandbox ready.\n');
    client.send('CAPA\r\n');
    expect(await client.until(/\n\.\n/)).not.toContain('\r');
  },

  smtp: async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.line()).toBe('220 mail.example.com ESMTP Sandbox\r\n');
    expect(await client.ask('CAPA')).toMatch(/^502 /);
    expect(await client.ask('EHLO x')).toMatch(/^502 /);
    expect(await client.ask('QUIT')).toMatch(/^221 /);
    expect(await client.toTheEnd()).toBe('');
  },
  imap: async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.line()).toMatch(/^\* OK \[CAPABILITY IMAP4rev1/);
    expect(await client.ask('CAPA')).toMatch(/^CAPA BAD /);
  },
  http: async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.toTheEnd()).toMatch(/^HTTP\/1\.1 408 .*\r\n\r\n$/s);
  },
  ssh: async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.line()).toMatch(/^SSH-2\.0-/);
    expect(await client.ask('CAPA')).toMatch(/^Invalid SSH/);
    await client.toTheEnd();
  },
  'tls-alert': async (sandbox) => {
    const client = await dial(sandbox.pop3Port);
    expect(await client.toTheEnd()).toBe('\x15\x03\x03\x00\x02\x02\x28');
    await expect(dialTls(sandbox)).rejects.toThrow(/handshake failure/);
  },
  'plain-on-tls-port': async (sandbox) => {
    const client = await dial(sandbox.pop3sPort);
    expect(await client.line()).toBe('+OK POP3 sandbox ready.\r\n');
    await expect(dialTls(sandbox)).rejects.toThrow(/wrong version number/);
  },

  'capa-refused': async (sandbox) => {
    const client = await greeted(sandbox);
    expect(await client.ask('CAPA')).toBe('-ERR Unknown command.\r\n');
  },
  'capa-odd': async (sandbox) => {
    const client = await greeted(sandbox);
    const reply = await client.askAll('CAPA');
    expect(reply).toContain('\r\nSTLS\r\n');
    expect(reply).toMatch(/\r\n30\r\nEXPIRE7\r\n\r\nX-K\xf6nig\r\n\.\r\n$/);
  },
  'capa-without-stls': async (sandbox) => {
    const client = await greeted(sandbox);
    const reply = await client.askAll('CAPA');
    expect(reply).toContain('SASL PLAIN');
    expect(reply).not.toContain('STLS');
    expect(await client.ask('STLS')).toBe('-ERR Unknown command.\r\n');
  },
  'capa-silent': async (sandbox) => {
    const client = await greeted(sandbox);
    client.send('CAPA\r\n');
    expect(await client.within(PATIENCE_MS)).toBe('');
    await expectToWork(client);
  },
  'endless-capa': async (sandbox) => {
    const client = await greeted(sandbox);
    client.send('CAPA\r\n');
    expect(await client.octets(100_000)).toMatch(/^\+OK [^\r]*\r\n(X-SANDBOX\r\n)+[^.]*$/);
  },

  'stls-refused': async (sandbox) => {
    const client = await greeted(sandbox);
    expect(await client.askAll('CAPA')).toContain('\r\nSTLS\r\n');
    expect(await client.ask('STLS')).toMatch(/^-ERR /);
    await expectToWork(client);
  },
  'stls-inject': async (sandbox) => {
    const client = await greeted(sandbox);
    client.segments.length = 0;
    expect(await client.ask('STLS')).toBe('+OK Begin TLS negotiation now.\r\n');
    expect(await client.line()).toBe('+OK Injected.\r\n');
    expect(client.segments).toHaveLength(1);
    await expectTls(client, sandbox); // a client that overlooks it is let in
  },
  'stls-inject-partial': async (sandbox) => {
    const client = await greeted(sandbox);
    client.segments.length = 0;
    expect(await client.ask('STLS')).toBe('+OK Begin TLS negotiation now.\r\n');
    expect(client.segments).toEqual(['+OK Begin TLS negotiation now.\r\n+OK Inj']);
    await expectTls(client, sandbox);
  },
  'stls-plaintext': async (sandbox) => {
    const careless = await greeted(sandbox);
    expect(await careless.ask('STLS')).toBe('+OK Begin TLS negotiation now.\r\n');
    await expectToWork(careless);
    const careful = await greeted(sandbox);
    await careful.ask('STLS');
    await expect(careful.secure({ ca: sandbox.caCertificate })).rejects.toThrow(/wrong version number/);
  },
  'stls-silent': async (sandbox) => {
    const client = await greeted(sandbox);
    expect(await client.ask('STLS')).toMatch(/^\+OK /);
    client.send('CAPA\r\n\x16\x03\x01');
    expect(await client.within(PATIENCE_MS)).toBe('');
    expect(client.ended).toBe('no');
    expect(sandbox.received).toContain('CAPA');
  },
  'stls-unanswered': async (sandbox) => {
    const client = await greeted(sandbox);
    client.send('STLS\r\n');
    expect(await client.within(PATIENCE_MS)).toBe('');
  },

  'cleartext-refused': async (sandbox) => {
    const client = await greeted(sandbox);
    for (const command of ['USER x', 'PASS x', `AUTH PLAIN ${plain(sandbox.user, sandbox.password)}`]) {
      expect(await client.ask(command)).toMatch(/^-ERR \[AUTH\] Plaintext authentication disallowed/);
    }
    await client.ask('STLS');
    await client.secure({ ca: sandbox.caCertificate });
    expect(await client.ask(`AUTH PLAIN ${plain(sandbox.user, sandbox.password)}`)).toBe('+OK Logged in.\r\n');
  },
  'eof-after-pass': async (sandbox) => {
    for (const client of await offerCredentials(sandbox)) {
      expect([await client.toTheEnd(), client.ended]).toEqual(['', 'end']);
    }
  },
  'reset-after-pass': async (sandbox) => {
    for (const client of await offerCredentials(sandbox)) {
      expect([await client.toTheEnd(), client.ended]).toEqual(['', 'reset']);
    }
  },
  'echo-password': async (sandbox) => {
    const response = plain(sandbox.user, sandbox.password);
    const answers = await Promise.all((await offerCredentials(sandbox)).map((client) => client.line()));
    expect(answers).toEqual([
      `-ERR [AUTH] Authentication failed: PASS ${sandbox.password}\r\n`,
      `-ERR [AUTH] Authentication failed: AUTH PLAIN ${response}\r\n`,
      `-ERR [AUTH] Authentication failed: ${response}\r\n`,
    ]);
  },
  'in-use': async (sandbox) => {
    expect(await passAnswer(sandbox)).toMatch(/^-ERR \[IN-USE\] /);
    expect(await passAnswer(sandbox, 'wrong')).toMatch(/^-ERR \[AUTH\] /);
  },
  'login-delay': async (sandbox) => {
    expect(await passAnswer(sandbox)).toMatch(/^-ERR \[LOGIN-DELAY\] /);
    expect(await (await greeted(sandbox)).askAll('CAPA')).toContain('\r\nLOGIN-DELAY 300\r\n');
  },
  'sys-temp': async (sandbox) => {
    for (const client of await offerCredentials(sandbox)) expect(await client.line()).toMatch(/^-ERR \[SYS\/TEMP\] /);
  },
  'sys-perm': async (sandbox) => {
    for (const client of await offerCredentials(sandbox)) expect(await client.line()).toMatch(/^-ERR \[SYS\/PERM\] /);
  },
  'login-slow': async (sandbox) => {
    const began = performance.now();
    expect(await passAnswer(sandbox)).toBe('+OK Logged in.\r\n');
    expect(performance.now() - began).toBeGreaterThan(TIMING.slowLoginMs - 5);
  },

  'stat-words': async (sandbox) => {
    expect(await (await loggedIn(sandbox)).ask('STAT')).toBe('+OK seven messages\r\n');
  },
  'stat-negative': async (sandbox) => {
    expect(await (await loggedIn(sandbox)).ask('STAT')).toBe('+OK -1 -120\r\n');
  },
  'stat-huge': async (sandbox) => {
    const size = 4_294_967_296 + MESSAGE.length;
    const client = await loggedIn(sandbox);
    expect(await client.ask('STAT')).toBe(`+OK 1 ${size}\r\n`);
    expect(await client.askAll('LIST')).toBe(`+OK 1 messages\r\n1 ${size}\r\n.\r\n`);
    expect(await client.ask('LIST 1')).toBe(`+OK 1 ${size}\r\n`);
  },
  'stat-silent': async (sandbox) => {
    const client = await loggedIn(sandbox);
    client.send('STAT\r\n');
    expect(await client.within(PATIENCE_MS)).toBe('');
    expect(client.ended).toBe('no');
  },
  'eof-at-stat': async (sandbox) => {
    const client = await loggedIn(sandbox);
    client.send('STAT\r\n');
    expect([await client.toTheEnd(), client.ended]).toEqual(['', 'end']);
  },
  'retr-endless': async (sandbox) => {
    for (const command of ['RETR 1', 'TOP 1 0']) {
      const client = await loggedIn(sandbox);
      client.send(`${command}\r\n`);
      expect(await client.octets(100_000)).toMatch(/^\+OK 120 octets\r\n(x{76}\r\n)+x*\r?$/);
      client.socket.destroy();
    }
  },
  'unstuffed-dots': async (sandbox) => {
    const client = await loggedIn(sandbox);
    client.send('RETR 1\r\n');
    expect(await client.until(/end\r\n\.\r\n/)).toMatch(/\r\n\r\n\.\r\n\.dot\r\nend\r\n\.\r\n$/);
  },
  'dele-kept': async (sandbox) => {
    const client = await loggedIn(sandbox);
    await client.ask('DELE 1');
    expect(await client.ask('QUIT')).toBe('+OK Logging out, messages deleted.\r\n');
    await client.toTheEnd();
    expect(await (await loggedIn(sandbox)).ask('STAT')).toMatch(/^\+OK 1 /);
  },
  'quit-refused': async (sandbox) => {
    const client = await loggedIn(sandbox);
    await client.ask('DELE 1');
    expect(await client.ask('QUIT')).toBe('-ERR [SYS/TEMP] Some deleted messages not removed.\r\n');
    await client.toTheEnd();
    expect(sandbox.maildrop.messages).toHaveLength(1);
  },
  'quit-silent': async (sandbox) => {
    const client = await loggedIn(sandbox);
    await client.ask('DELE 1');
    client.send('QUIT\r\n');
    expect(await client.within(PATIENCE_MS)).toBe('');
    expect(client.ended).toBe('no');
    expect(sandbox.maildrop.messages).toHaveLength(1);
  },
  'no-close-notify': async (sandbox) => {
    expect(await lastRecordType(sandbox)).toBe(APPLICATION_DATA);
    expect(await lastRecordType(await sandboxed())).toBe(ALERT); // the correct server says goodbye
  },

  'mail-refused': async (sandbox) => {
    await expect(sendMail(sandbox, 'Subject: x\r\n\r\nx\r\n')).rejects.toThrow(/^RCPT: 550 /);
  },
  'mail-deferred': async (sandbox) => {
    await expect(sendMail(sandbox, 'Subject: x\r\n\r\nx\r\n')).rejects.toThrow(/^RCPT: 451 /);
  },
  'mail-lost': async (sandbox) => {
    await sendMail(sandbox, 'Subject: x\r\n\r\nx\r\n');
    expect(sandbox.maildrop.messages).toHaveLength(1); // the one that was there
  },
  'mail-twice': async (sandbox) => {
    await sendMail(sandbox, 'Subject: x\r\n\r\nx\r\n');
    expect(sandbox.maildrop.messages).toHaveLength(3);
  },
  'mail-late': async (sandbox) => {
    await sendMail(sandbox, 'Subject: x\r\n\r\nx\r\n');
    expect(sandbox.maildrop.messages).toHaveLength(1);
    await expect.poll(() => sandbox.maildrop.messages.length, { timeout: 2000, interval: 10 }).toBe(2);
  },
  'mail-altered': async (sandbox) => {
    await sendMail(sandbox, 'Subject: x\r\n\r\nx\r\n');
    const altered = Buffer.from(sandbox.maildrop.messages[1]?.bytes ?? []).toString();
    expect(altered).toMatch(/Subject: x\r\n\r\nx\r\n-- \r\nScanned\.\r\n$/);
  },
};

describe('the sandbox', () => {
  for (const name of Object.keys(MET) as FaultName[]) {
    test(`${name}: ${FAULTS[name].about}`, async () => {
      await MET[name](await sandboxed({ faults: [name], timing: TIMING, messages: [MESSAGE] }));
    });
  }
});

test('faults add up', async () => {
  const sandbox = await sandboxed({ faults: ['lf-only', 'huge-greeting', 'login-slow', 'in-use'], timing: TIMING });
  const client = await dial(sandbox.pop3Port);
  expect(await client.line()).toMatch(/^\+OK x{594}\n$/);
  const began = performance.now();
  await client.ask(`USER ${sandbox.user}`);
  expect(await client.ask(`PASS ${sandbox.password}`)).toMatch(/^-ERR \[IN-USE\] [^\r]*\n$/);
  expect(performance.now() - began).toBeGreaterThan(TIMING.slowLoginMs - 5);
});

async function expectToWork(client: RawClient): Promise<void> {
  expect(await client.ask('NOOP')).toBe('-ERR Log in first.\r\n');
}

async function expectTls(client: RawClient, sandbox: Sandbox): Promise<void> {
  await client.secure({ ca: sandbox.caCertificate });
  client.unread = '';
  expect(await client.askAll('CAPA')).toContain('SASL PLAIN');
}

async function passAnswer(sandbox: Sandbox, password = sandbox.password): Promise<string> {
  const client = await greeted(sandbox);
  await client.ask(`USER ${sandbox.user}`);
  return client.ask(`PASS ${password}`);
}

/** Three clients that have just sent their credentials: by PASS, by AUTH in one line, by AUTH in two. */
async function offerCredentials(sandbox: Sandbox): Promise<RawClient[]> {
  const { user, password } = sandbox;
  const clients = [await greeted(sandbox), await greeted(sandbox), await greeted(sandbox)] as const;
  await clients[0].ask(`USER ${user}`);
  clients[0].send(`PASS ${password}\r\n`);
  clients[1].send(`AUTH PLAIN ${plain(user, password)}\r\n`);
  await clients[2].ask('AUTH PLAIN');
  clients[2].send(`${plain(user, password)}\r\n`);
  return [...clients];
}

const ALERT = 21;
const APPLICATION_DATA = 23;

/** What the server's side of a TLS session ends with (RFC 5246 §6.2.1; TLS 1.3 would hide it), seen from between. */
async function lastRecordType(sandbox: Sandbox): Promise<number | undefined> {
  const heard: Buffer[] = [];
  const tap = createServer((near) => {
    const far = connect(sandbox.pop3sPort, '127.0.0.1');
    far.on('data', (bytes) => heard.push(bytes));
    near.pipe(far).pipe(near);
  });
  tap.listen(0, '127.0.0.1');
  await once(tap, 'listening');
  onTestFinished(() => {
    tap.close();
  });
  const { port } = tap.address() as AddressInfo;
  const client = await dialTls({ ...sandbox, pop3sPort: port }, { maxVersion: 'TLSv1.2' });
  await client.line();
  client.send('QUIT\r\n');
  expect(await client.toTheEnd()).toBe('+OK Goodbye.\r\n');
  let last: number | undefined;
  for (let rest = Buffer.concat(heard); rest.length >= 5; rest = rest.subarray(5 + rest.readUInt16BE(3)))
    last = rest[0];
  return last;
}

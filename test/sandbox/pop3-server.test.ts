import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { bytes, dial, dialTls, greeted, loggedIn, plain, sandboxed } from './client.ts';

const HELLO = bytes('Subject: hello', 'X-Odd: .dot', '', '.', '..two', 'plain', '.end');
const SECOND = bytes('Subject: second', '', 'one', 'two', 'three');

/** One whole session, as the client sends it and as the server answers. */
function transcript({ user, password, maildrop }: Sandbox): { sent: string; answered: string } {
  const [first, second] = maildrop.messages;
  const lines: [string, ...string[]][] = [
    ['', '+OK POP3 sandbox ready.'],
    [
      'CAPA',
      '+OK Capability list follows',
      ...['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'USER', 'SASL PLAIN', 'STLS', 'IMPLEMENTATION pop3_sandbox'],
      '.',
    ],
    ['STAT', '-ERR Log in first.'],
    ['PASS early', '-ERR No user name given.'],
    [`USER ${user}`, '+OK Send the password.'],
    ['NOOP', '-ERR Log in first.'],
    [`pass ${password}`, '+OK Logged in.'], // keywords in any case: RFC 1939 §3
    [`USER ${user}`, '-ERR Already logged in.'],
    ['STLS', '-ERR Already logged in.'],
    ['FETCH 1', '-ERR Unknown command.'],
    ['', '-ERR Unknown command.'],
    ['STAT', `+OK 2 ${HELLO.length + SECOND.length}`],
    ['LIST', '+OK 2 messages', `1 ${HELLO.length}`, `2 ${SECOND.length}`, '.'],
    ['LIST 2', `+OK 2 ${SECOND.length}`],
    ['LIST 3', '-ERR No such message.'],
    ['LIST 0', '-ERR No such message.'],
    ['LIST -1', '-ERR No such message.'],
    ['UIDL', '+OK 2 messages', `1 ${first?.uid}`, `2 ${second?.uid}`, '.'],
    ['UIDL 1', `+OK 1 ${first?.uid}`],
    [
      'RETR 1',
      `+OK ${HELLO.length} octets`,
      ...['Subject: hello', 'X-Odd: .dot', '', '..', '...two', 'plain', '..end'],
      '.',
    ],
    ['TOP 2 0', '+OK Top of message follows', 'Subject: second', '', '.'],
    ['TOP 2 2', '+OK Top of message follows', 'Subject: second', '', 'one', 'two', '.'],
    ['TOP 2 99', '+OK Top of message follows', 'Subject: second', '', 'one', 'two', 'three', '.'],
    ['TOP 2', '-ERR TOP needs a message number and a number of lines.'],
    ['DELE 1', '+OK Marked to be deleted.'],
    ['DELE 1', '-ERR No such message.'],
    ['STAT', `+OK 1 ${SECOND.length}`],
    ['LIST', '+OK 1 messages', `2 ${SECOND.length}`, '.'],
    ['RSET', '+OK Nothing is marked any more.'],
    ['NOOP', '+OK Done.'],
    ['DELE 2', '+OK Marked to be deleted.'],
    ['QUIT', '+OK Logging out, messages deleted.'],
  ];
  return {
    sent: lines
      .slice(1)
      .map(([command]) => `${command}\r\n`)
      .join(''),
    answered: lines.flatMap(([, ...answers]) => answers.map((answer) => `${answer}\r\n`)).join(''),
  };
}

test.each([
  ['command by command', /(?<=\n)/],
  ['in one segment', /$/],
  ['in sevens', /(?<=^(?:.{7})+)/s],
  ['octet by octet', /(?:)/],
])('a whole session is answered the same when it is sent %s', async (_, between) => {
  const sandbox = await sandboxed({ messages: [HELLO, SECOND] });
  const { sent, answered } = transcript(sandbox);
  const client = await dial(sandbox.pop3Port);
  for (const part of sent.split(between)) {
    client.send(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await client.toTheEnd()).toBe(answered);
  expect(sandbox.maildrop.messages.map((message) => Buffer.from(message.bytes))).toEqual([Buffer.from(HELLO)]);
  expect(sandbox.received.map((line) => `${line}\r\n`).join('')).toBe(sent);
  expect(sandbox.receivedInTheClear).toEqual(sandbox.received);
});

test('an empty mailbox is listed as nothing, not as an error', async () => {
  const client = await loggedIn(await sandboxed());
  expect(await client.ask('STAT')).toBe('+OK 0 0\r\n');
  expect(await client.askAll('LIST')).toBe('+OK 0 messages\r\n.\r\n');
  expect(await client.askAll('UIDL')).toBe('+OK 0 messages\r\n.\r\n');
});

test('a message that does not end with a line end gets one, and its size says so', async () => {
  const client = await loggedIn(await sandboxed({ messages: [Buffer.from('Subject: x\r\n\r\nbody')] }));
  expect(await client.ask('STAT')).toBe('+OK 1 20\r\n');
  expect(await client.askAll('RETR 1')).toBe('+OK 20 octets\r\nSubject: x\r\n\r\nbody\r\n.\r\n');
});

test('any message comes back octet for octet once the dots are un-stuffed', async () => {
  const sandbox = await sandboxed();
  const line = fc.array(fc.constantFrom('.', 'a', '\xff', '\0', '\n'), { maxLength: 6 }).map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 6 }), async (lines) => {
      const body = lines.map((one) => `${one}\r\n`).join('');
      sandbox.maildrop.remove(new Set(sandbox.maildrop.messages.map(({ uid }) => uid)));
      sandbox.maildrop.deliver(Buffer.from(body, 'latin1'));
      const client = await loggedIn(sandbox);
      const reply = (await client.askAll('RETR 1')).replace(/^[^\n]*\n/, '').replace(/\.\r\n$/, '');
      expect(reply.replace(/(^|\r\n)\./g, '$1')).toBe(body);
      client.socket.destroy();
    }),
    { numRuns: 40 },
  );
});

test('deleted mail stays when the session ends without QUIT', async () => {
  const sandbox = await sandboxed({ messages: [HELLO] });
  const client = await loggedIn(sandbox);
  await client.ask('DELE 1');
  client.socket.end();
  await client.toTheEnd();
  expect(sandbox.maildrop.messages).toHaveLength(1);
});

test('a wrong user or password is refused, letter by letter, and the next attempt may succeed', async () => {
  const sandbox = await sandboxed({ user: 'pröbe', password: ' pässword ' });
  const client = await greeted(sandbox);
  const latin1 = (text: string) => Buffer.from(text).toString('latin1');
  for (const [user, password] of [
    ['pröbe', ' pässword'],
    ['pröbe', 'pässword '],
    ['pröbe', ' PÄSSWORD '],
    ['Pröbe', ' pässword '],
    ['pröbe', ''],
  ] as const) {
    expect(await client.ask(`USER ${latin1(user)}`)).toBe('+OK Send the password.\r\n');
    expect(await client.ask(`PASS ${latin1(password)}`)).toBe('-ERR [AUTH] Authentication failed.\r\n');
  }
  await client.ask(`USER ${latin1('pröbe')}`);
  expect(await client.ask(`PASS ${latin1(' pässword ')}`)).toBe('+OK Logged in.\r\n');
});

test('AUTH PLAIN works with and without an initial response, and can be cancelled', async () => {
  const sandbox = await sandboxed();
  const { user, password } = sandbox;
  const right = plain(user, password);
  const client = await greeted(sandbox);
  for (const [command, response, answer] of [
    ['AUTH PLAIN', '*', '-ERR [AUTH] Authentication cancelled.'],
    ['AUTH PLAIN', plain(user, 'wrong'), '-ERR [AUTH] Authentication failed.'],
    ['AUTH PLAIN', plain(user, password, 'somebody.else'), '-ERR [AUTH] Invalid response.'],
    ['AUTH PLAIN', 'not base64', '-ERR [AUTH] Invalid response.'],
    ['AUTH PLAIN', right.slice(0, -1), '-ERR [AUTH] Invalid response.'],
    ['AUTH PLAIN', '', '-ERR [AUTH] Invalid response.'],
    ['AUTH PLAIN =', null, '-ERR [AUTH] Invalid response.'],
    ['AUTH', null, '-ERR [AUTH] Unsupported mechanism.'],
    ['AUTH CRAM-MD5', null, '-ERR [AUTH] Unsupported mechanism.'],
    [`auth plain ${plain(user, password, user)}`, null, '+OK Logged in.'],
  ] as const) {
    const first = await client.ask(command);
    if (response === null) expect(first).toBe(`${answer}\r\n`);
    else expect([first, await client.ask(response)]).toEqual(['+ \r\n', `${answer}\r\n`]);
  }
  expect(await client.ask('STAT')).toBe('+OK 0 0\r\n');

  const other = await greeted(sandbox);
  expect([await other.ask('AUTH PLAIN'), await other.ask(right)]).toEqual(['+ \r\n', '+OK Logged in.\r\n']);
});

test('a command line may have 255 octets, a SASL response any number', async () => {
  const sandbox = await sandboxed({ password: 'p'.repeat(300) });
  const client = await greeted(sandbox);
  expect(await client.ask(`USER ${'u'.repeat(255 - 'USER \r\n'.length)}`)).toBe('+OK Send the password.\r\n');
  expect(await client.ask(`USER ${'u'.repeat(256 - 'USER \r\n'.length)}`)).toBe('-ERR Line too long.\r\n');
  expect(await client.ask(`AUTH PLAIN ${plain(sandbox.user, sandbox.password)}`)).toBe('-ERR Line too long.\r\n');
  await client.ask('AUTH PLAIN');
  expect(await client.ask(plain(sandbox.user, sandbox.password))).toBe('+OK Logged in.\r\n');
});

test('a client that never ends its line is dropped', async () => {
  const client = await greeted(await sandboxed());
  client.send('x'.repeat(70_000));
  expect(await client.toTheEnd()).toBe('');
});

test('STLS gives a session that verifies against the CA and knows nothing of what was said before', async () => {
  const sandbox = await sandboxed({ messages: [HELLO] });
  const client = await greeted(sandbox);
  await client.ask(`USER ${sandbox.user}`);
  expect(await client.ask('STLS')).toBe('+OK Begin TLS negotiation now.\r\n');
  const secured = await client.secure({ ca: sandbox.caCertificate });
  expect([secured.authorized, secured.getProtocol()]).toEqual([true, 'TLSv1.3']);
  expect(await client.ask('PASS x')).toBe('-ERR No user name given.\r\n'); // and no second greeting: RFC 2595 §4
  expect(await client.askAll('CAPA')).not.toContain('STLS');
  expect(await client.ask('STLS')).toBe('-ERR TLS is already active.\r\n');
  expect(await client.ask(`AUTH PLAIN ${plain(sandbox.user, sandbox.password)}`)).toBe('+OK Logged in.\r\n');
  expect(await client.ask('STAT')).toBe(`+OK 1 ${HELLO.length}\r\n`);
  expect(await client.ask('QUIT')).toMatch(/^\+OK/);
  await client.toTheEnd();
  expect(client.ended).toBe('end');
  expect(sandbox.receivedInTheClear).toEqual([`USER ${sandbox.user}`, 'STLS']);
});

test('commands sent along with STLS are void', async () => {
  const sandbox = await sandboxed();
  const client = await greeted(sandbox);
  client.send(`STLS\r\nUSER ${sandbox.user}\r\n`);
  await client.line();
  await client.secure({ ca: sandbox.caCertificate });
  expect(await client.ask('NOOP')).toBe('-ERR Log in first.\r\n'); // the first answer there is
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('the TLS port speaks %s before the greeting', async (version) => {
  const sandbox = await sandboxed();
  const client = await dialTls(sandbox, { minVersion: version, maxVersion: version });
  expect(await client.line()).toBe('+OK POP3 sandbox ready.\r\n');
  expect(await client.askAll('CAPA')).not.toContain('STLS');
  expect(sandbox.receivedInTheClear).toEqual([]);
  expect(sandbox.received).toEqual(['CAPA']);
});

test('a client that does not trust the CA, or looks for another name, ends in a TLS error', async () => {
  const sandbox = await sandboxed();
  await expect(dialTls(sandbox, { ca: [] })).rejects.toThrow(/unable to verify|self-signed/);
  await expect(dialTls(sandbox, { servername: 'other.example.com' })).rejects.toThrow(/altnames/);
  const client = await dialTls(sandbox); // and the server goes on
  expect(await client.line()).toMatch(/^\+OK/);
});

test('a client that starts TLS on the plain port is told in plaintext, at once', async () => {
  const client = await greeted(await sandboxed());
  await expect(client.secure({})).rejects.toThrow(/wrong version number/);
});

test('with an exclusive mailbox the second session hears IN-USE until the first one quits', async () => {
  const sandbox = await sandboxed({ exclusive: true });
  const first = await loggedIn(sandbox);
  const second = await greeted(sandbox);
  await second.ask(`USER ${sandbox.user}`);
  expect(await second.ask(`PASS ${sandbox.password}`)).toBe('-ERR [IN-USE] Another session has the maildrop.\r\n');
  await first.ask('QUIT');
  await second.ask(`USER ${sandbox.user}`);
  expect(await second.ask(`PASS ${sandbox.password}`)).toBe('+OK Logged in.\r\n');
  second.socket.destroy(); // a lost session lets go as well
  await expect.poll(() => sandbox.maildrop.open(true)?.release() === undefined).toBe(true);
  await loggedIn(sandbox);
});

test('closing the sandbox ends every connection promptly, idle, endless or in a handshake', async () => {
  const sandbox = await sandboxed({ faults: ['endless-capa'] });
  const idle = await loggedIn(sandbox);
  const flooded = await greeted(sandbox);
  flooded.send('CAPA\r\n');
  await flooded.octets(100_000);
  const handshaking = await dial(sandbox.pop3sPort);
  const mailing = await dial(sandbox.smtpPort);
  await mailing.line();
  const began = performance.now();
  await sandbox.close();
  expect(performance.now() - began).toBeLessThan(500);
  for (const client of [idle, flooded, handshaking, mailing]) {
    await client.toTheEnd();
    expect(client.ended).not.toBe('no');
  }
});

test('a port that is taken is an error, and nothing is left listening', async () => {
  const taken = await sandboxed();
  const { pop3Port, close } = await sandboxed();
  await close();
  await expect(sandboxed({ ports: { pop3: pop3Port, smtp: taken.smtpPort } })).rejects.toThrow(/EADDRINUSE/);
  expect((await sandboxed({ ports: { pop3: pop3Port } })).pop3Port).toBe(pop3Port);
});

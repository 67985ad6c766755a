import { expect, test } from 'vitest';
import { MESSAGE_OCTETS_MAX } from '../../src/sandbox/smtp.ts';
import { dial, loggedIn, plain, sandboxed } from './client.ts';
import { sendMail } from './mail.ts';

const MAIL = 'Subject: round trip\r\n\r\n.dot\r\n\xe4 end\r\n';

test('mail sent over SMTP shows up over POP3, with the lines a delivering server adds in front', async () => {
  const sandbox = await sandboxed();
  await sendMail(sandbox, MAIL);
  const client = await loggedIn(sandbox);
  const reply = await client.askAll('RETR 1');
  expect(reply).toMatch(
    /^\+OK \d+ octets\r\nReturn-Path: <monitor@example\.com>\r\nReceived: from client\.example\.com /,
  );
  expect(reply.slice(reply.indexOf('Subject:'))).toBe('Subject: round trip\r\n\r\n..dot\r\n\xe4 end\r\n.\r\n');
});

test('mail that arrives during a POP3 session is there in the next one', async () => {
  const sandbox = await sandboxed();
  const early = await loggedIn(sandbox);
  await sendMail(sandbox, MAIL);
  expect(await early.ask('STAT')).toBe('+OK 0 0\r\n');
  expect(await (await loggedIn(sandbox)).ask('STAT')).toMatch(/^\+OK 1 /);
});

test('the sender may log in, but only with the right password', async () => {
  const sandbox = await sandboxed();
  const { user, password } = sandbox;
  await sendMail(sandbox, MAIL, { login: { user, password } });
  expect(sandbox.maildrop.messages).toHaveLength(1);
  await expect(sendMail(sandbox, MAIL, { login: { user, password: 'wrong' } })).rejects.toThrow(/^AUTH: 535 /);
});

test('credentials are refused before STARTTLS', async () => {
  const sandbox = await sandboxed();
  const client = await dial(sandbox.smtpPort);
  await client.line();
  client.send('EHLO client.example.com\r\n');
  expect(await client.until(/^250 .*\r\n/m)).toContain('STARTTLS');
  expect(await client.ask(`AUTH PLAIN ${plain(sandbox.user, sandbox.password)}`)).toMatch(/^538 /);
});

test.each([
  ['probe@example.com', 'PROBE@Example.com', 250],
  ['probe@example.com', 'other@example.com', 550],
  ['probe', 'probe@example.com', 250],
  ['probe', 'probe@other.example.com', 550],
])('the mailbox of %s answers mail for %s with %i', async (user, recipient, code) => {
  const sandbox = await sandboxed({ user });
  const sent = sendMail(sandbox, MAIL, { recipient });
  if (code === 250) await sent;
  else await expect(sent).rejects.toThrow(`RCPT: ${code} `);
  expect(sandbox.maildrop.messages).toHaveLength(code === 250 ? 1 : 0);
});

test('a message that is too big is refused, and not kept', async () => {
  const sandbox = await sandboxed();
  const line = `${'x'.repeat(998)}\r\n`;
  const message = `Subject: big\r\n\r\n${line.repeat(Math.ceil(MESSAGE_OCTETS_MAX / line.length))}`;
  await expect(sendMail(sandbox, message)).rejects.toThrow(/: 552 5\.3\.4 Message too big/);
  expect(sandbox.maildrop.messages).toHaveLength(0);
});

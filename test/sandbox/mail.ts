import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { dial, plain, type RawClient } from './client.ts';

export interface Mail {
  readonly recipient?: string;
  readonly login?: { readonly user: string; readonly password: string };
}

/** Sends one message over SMTP with STARTTLS; throws `COMMAND: reply` at the first refusal. */
export async function sendMail(sandbox: Sandbox, message: string, mail: Mail = {}): Promise<void> {
  const client = await dial(sandbox.smtpPort);
  expectCode('CONNECT', await replyOf(client), '220');
  await command(client, 'EHLO client.example.com', '250');
  await command(client, 'STARTTLS', '220');
  await client.secure({ ca: sandbox.caCertificate });
  await command(client, 'EHLO client.example.com', '250');
  if (mail.login !== undefined)
    await command(client, `AUTH PLAIN ${plain(mail.login.user, mail.login.password)}`, '235');
  await command(client, 'MAIL FROM:<monitor@example.com>', '250');
  await command(client, `RCPT TO:<${mail.recipient ?? sandbox.address}>`, '250');
  await command(client, 'DATA', '354');
  await command(client, `${message.replace(/^\./gm, '..')}.`, '250');
  await command(client, 'QUIT', '221');
  client.socket.destroy();
}

async function command(client: RawClient, line: string, code: string): Promise<void> {
  client.send(`${line}\r\n`);
  expectCode(line.split(/[ \r]/)[0] ?? '', await replyOf(client), code);
}

function replyOf(client: RawClient): Promise<string> {
  return client.until(/^\d{3} .*\r\n/m);
}

function expectCode(name: string, reply: string, code: string): void {
  const last = reply.trimEnd().split('\r\n').at(-1) ?? '';
  if (!last.startsWith(code)) throw new Error(`${name}: ${last}`);
}

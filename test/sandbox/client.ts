import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { onTestFinished } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts';

/** A sandbox for one test, closed when the test is over. */
export async function sandboxed(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox({ password: 'correct horse', ...options });
  onTestFinished(() => sandbox.close());
  return sandbox;
}

/** A client without manners: it sends any octets and tells what came back. One character is one octet. */
export class RawClient {
  unread = '';
  ended: 'no' | 'end' | 'reset' = 'no';
  /** The octets of each segment as it arrived. */
  readonly segments: string[] = [];
  socket: Socket | TLSSocket;
  private wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    this.attend(socket);
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  send(octets: string): void {
    this.socket.write(octets, 'latin1');
  }

  /** Octets up to and including the pattern's first match; throws when the server ends first. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.unread);
      if (match !== null) return this.take(match.index + match[0].length);
      if (this.ended !== 'no') throw new Error(`the server ended (${this.ended}) after ${JSON.stringify(this.unread)}`);
      await this.news();
    }
  }

  line(): Promise<string> {
    return this.until(/\n/);
  }

  async ask(command: string): Promise<string> {
    this.send(`${command}\r\n`);
    return this.line();
  }

  /** The whole multi-line reply, or the one line of an -ERR. */
  async askAll(command: string): Promise<string> {
    const first = await this.ask(command);
    return first.startsWith('+OK') ? first + (await this.until(/(^|\r\n)\.\r\n/)) : first;
  }

  async octets(count: number): Promise<string> {
    while (this.unread.length < count) await this.news();
    return this.take(count);
  }

  async toTheEnd(): Promise<string> {
    while (this.ended === 'no') await this.news();
    return this.take(this.unread.length);
  }

  /** What comes within a while; to show that nothing does. */
  async within(ms: number): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return this.take(this.unread.length);
  }

  async secure(options: ConnectionOptions): Promise<TLSSocket> {
    const { socket } = this;
    socket.removeAllListeners('data');
    socket.pause();
    const secured = tlsConnect({ socket, servername: 'mail.example.com', ...options });
    await once(secured, 'secureConnect'); // rejects with the TLS error
    this.socket = secured;
    this.attend(secured);
    return secured;
  }

  private attend(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => {
      const octets = bytes.toString('latin1');
      this.segments.push(octets);
      this.unread += octets;
      this.wake();
    });
    socket.on('end', () => this.finish('end'));
    socket.on('close', () => this.finish('end'));
    socket.on('error', () => this.finish('reset'));
  }

  private finish(how: 'end' | 'reset'): void {
    if (this.ended === 'no') this.ended = how;
    this.wake();
  }

  private take(count: number): string {
    const octets = this.unread.slice(0, count);
    this.unread = this.unread.slice(count);
    return octets;
  }

  private news(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

export async function dial(port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1' });
  const client = new RawClient(socket); // listens before the first octet can arrive
  await once(socket, 'connect');
  return client;
}

/** Implicit TLS, verified against the sandbox's own CA. */
export async function dialTls(sandbox: Sandbox, options: ConnectionOptions = {}): Promise<RawClient> {
  const secured = tlsConnect({
    port: sandbox.pop3sPort,
    host: '127.0.0.1',
    servername: 'mail.example.com',
    ca: sandbox.caCertificate,
    ...options,
  });
  await once(secured, 'secureConnect');
  return new RawClient(secured);
}

export async function greeted(sandbox: Sandbox): Promise<RawClient> {
  const client = await dial(sandbox.pop3Port);
  await client.line();
  return client;
}

export async function loggedIn(sandbox: Sandbox): Promise<RawClient> {
  const client = await greeted(sandbox);
  await client.ask(`USER ${sandbox.user}`);
  const answer = await client.ask(`PASS ${sandbox.password}`);
  if (!answer.startsWith('+OK')) throw new Error(`not logged in: ${answer}`);
  return client;
}

export function plain(user: string, password: string, authorize = ''): string {
  return Buffer.from(`${authorize}\0${user}\0${password}`).toString('base64');
}

export function bytes(...lines: string[]): Uint8Array {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}

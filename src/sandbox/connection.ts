import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SecureContext, TLSSocket } from 'node:tls';

/** What the server does at one moment of the conversation, as a value: faults change it before it happens. */
export interface Answer {
  /** One character is one octet (latin1), line ends included. Empty: the client waits in vain. */
  readonly octets: string;
  /** Repeated after the octets until the client goes away. */
  readonly endless?: string;
  readonly delayMs?: number;
  /** `secure`: a TLS handshake is awaited; `ignore`: the connection stays open and nothing is answered any more. */
  readonly next?: 'secure' | 'hang-up' | 'reset' | 'ignore';
}

/** How octets leave, whatever they say. */
export interface Manners {
  /** Last change to what is written. */
  readonly wire?: (octets: string) => string;
  /** One octet at a time, this far apart. */
  readonly dripMs?: number;
  /** False: a TLS session ends by FIN alone (a truncation, as Cyrus does after QUIT). */
  readonly closeNotify?: boolean;
}

/** Hears every line a client sends, without its line end; `secure` says whether TLS protected it. */
export type Recorder = (line: string, secure: boolean) => void;

/** One client: its unread octets, its TLS upgrade, its end. */
export class Connection {
  private readonly raw: Socket;
  private readonly secureContext: SecureContext;
  private readonly manners: Manners;
  private readonly record: Recorder;
  private readonly gone = new AbortController();
  private socket: Socket;
  private unread = '';
  private unrecorded = '';
  private ended = false;
  private wake: () => void = () => {};

  constructor(raw: Socket, secureContext: SecureContext, manners: Manners, record: Recorder) {
    this.raw = raw;
    this.socket = raw;
    this.secureContext = secureContext;
    this.manners = manners;
    this.record = record;
    raw.setNoDelay(true); // faults are about segments; Nagle would glue them together
    raw.on('error', () => {}); // a client that resets is the client's business
    raw.once('close', () => this.leave());
  }

  get secure(): boolean {
    return this.socket !== this.raw;
  }

  /** Starts reading; not before, so that the octets of an implicit TLS handshake stay where TLS finds them. */
  listen(): void {
    this.socket.on('data', this.take);
    this.socket.once('end', this.end);
    this.socket.resume();
  }

  /** The next line without its line end, or null once the client has ended. A bare LF ends a line too, as in Dovecot. */
  async readLine(): Promise<string | null> {
    for (;;) {
      const line = this.cutLine();
      if (line !== null || this.ended) return line;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** Carries an answer out; false when the conversation is over. */
  async perform(answer: Answer): Promise<boolean> {
    if (answer.delayMs !== undefined) await this.pause(answer.delayMs);
    if (answer.next === 'secure') this.stopReading(); // before +OK is out, so that TLS gets every octet of the handshake
    await this.write(answer.octets);
    // `writable`, not the close event: writes that fail at once would keep the event loop from ever getting there
    while (answer.endless !== undefined && this.socket.writable) await this.write(answer.endless);
    switch (answer.next) {
      case 'secure':
        return this.upgrade();
      case 'hang-up':
        this.hangUp();
        return false;
      case 'reset':
        this.raw.resetAndDestroy();
        return false;
      case 'ignore':
        while ((await this.readLine()) !== null); // heard and recorded, never answered
        return false;
      default:
        return !this.gone.signal.aborted;
    }
  }

  /** Ends our side and leaves the client a moment to end its own: destroying at once would cost it our last octets. */
  hangUp(): void {
    const abrupt = this.secure && this.manners.closeNotify === false;
    (abrupt ? this.raw : this.socket).end();
    this.socket.resume();
    void this.pause(LINGER_MS).then(() => this.destroy());
  }

  destroy(): void {
    this.socket.destroy(); // always the topmost one: tearing TLS down from below upsets Node
  }

  private readonly take = (bytes: Buffer): void => {
    const octets = bytes.toString('latin1');
    this.unread += octets;
    this.unrecorded += octets;
    for (let end = this.unrecorded.indexOf('\n'); end >= 0; end = this.unrecorded.indexOf('\n')) {
      this.record(chomp(this.unrecorded.slice(0, end)), this.secure);
      this.unrecorded = this.unrecorded.slice(end + 1);
    }
    if (this.unread.length > UNREAD_MAX) this.destroy();
    this.wake();
  };

  private readonly end = (): void => {
    this.ended = true;
    this.wake();
  };

  private leave(): void {
    if (this.unrecorded !== '') this.record(this.unrecorded, this.secure);
    this.unrecorded = '';
    this.gone.abort();
    this.end();
  }

  private cutLine(): string | null {
    // A TLS record where a command belongs holds a line end or not, by chance: it is answered at once.
    if (this.unread.startsWith('\x16\x03')) return this.cut(this.unread.length, 0);
    const end = this.unread.indexOf('\n');
    return end < 0 ? null : chomp(this.cut(end, 1));
  }

  private cut(length: number, separator: number): string {
    const octets = this.unread.slice(0, length);
    this.unread = this.unread.slice(length + separator);
    return octets;
  }

  private stopReading(): void {
    this.socket.off('data', this.take);
    this.socket.off('end', this.end);
    this.socket.pause();
    this.unread = ''; // commands sent along with STLS are void: RFC 2595 §4, the "command injection" of nostarttls
  }

  private async upgrade(): Promise<boolean> {
    if (this.raw.destroyed) return false;
    const secured = new TLSSocket(this.raw, { isServer: true, secureContext: this.secureContext });
    this.socket = secured;
    secured.on('error', () => secured.destroy());
    secured.once('close', () => this.leave());
    const agreed = await new Promise<boolean>((resolve) => {
      secured.once('secure', () => resolve(true));
      secured.once('close', () => resolve(false));
    });
    if (agreed) this.listen();
    return agreed;
  }

  private async write(octets: string): Promise<void> {
    const bytes = Buffer.from(this.manners.wire?.(octets) ?? octets, 'latin1');
    const { dripMs } = this.manners;
    if (dripMs === undefined) return this.push(bytes);
    for (const byte of bytes) {
      await this.push(Uint8Array.of(byte));
      await this.pause(dripMs);
    }
  }

  /** Resolves when the octets are out, or never will be. */
  private push(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.socket.write(bytes, () => resolve());
    });
  }

  /** Ends early, not in an error, when the client goes away. */
  private async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.gone.signal }).catch(() => {});
  }
}

const LINGER_MS = 2000;
const UNREAD_MAX = 64 * 1024;

function chomp(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

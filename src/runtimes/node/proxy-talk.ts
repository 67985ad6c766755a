import type { Socket } from 'node:net';
import { join } from '../../dialogue/bytes.ts';
import { ProbeFailure, type Reason } from '../../dialogue/failure.ts';
import { failureOf } from './errors.ts';

/** A failure of the proxy's own. @param said its words */
export const proxyFailed = (message: string, said?: string): ProbeFailure =>
  new ProbeFailure('proxy-failed', message, { phase: 'proxy', ...(said === undefined ? {} : { said }) });

/** What a proxy tells of the server. @param said its words */
export const serverFailed = (reason: Reason, message: string, said?: string): ProbeFailure =>
  new ProbeFailure(reason, message, { phase: 'connect', ...(said === undefined ? {} : { said }) });

/** What is said to a proxy, and what of its answers is still unread, until somebody else has the connection. */
export class ProxyTalk {
  private readonly socket: Socket;
  private unread: Uint8Array = new Uint8Array(0);
  private failed: ProbeFailure | null = null;
  private ended = false;
  /** Wakes whoever waits for more. */
  private wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('close', this.onEnd);
    socket.on('error', (error) => {
      this.failed = this.failed ?? failureOf(error);
      this.wake();
    });
    socket.pause();
  }

  say(octets: Uint8Array): void {
    // An error of it is told to the socket too, and so to whoever waits for the answer.
    this.socket.write(octets);
  }

  /** The next so many octets. */
  async take(count: number): Promise<Uint8Array> {
    return await this.takeUntil((unread) => (unread.length < count ? null : count));
  }

  /**
   * The octets up to an end that is looked for anew whenever more have come.
   *
   * @param find how many octets it is, or null where more are needed
   * @throws ProbeFailure what `find` throws; `hung-up` …
   */
  async takeUntil(find: (unread: Uint8Array) => number | null): Promise<Uint8Array> {
    for (;;) {
      const count = find(this.unread);
      if (count !== null) {
        const taken = this.unread.subarray(0, count);
        this.unread = this.unread.subarray(count);
        return taken;
      }
      if (this.failed !== null) throw this.failed;
      if (this.ended) throw new ProbeFailure('hung-up', 'it closed the connection');
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        this.socket.resume();
      });
    }
  }

  /** Gives the connection away, with all that came behind the proxy's last answer: that is the server's. */
  end(): Socket {
    const { socket } = this;
    socket.off('data', this.onData);
    socket.off('end', this.onEnd);
    socket.off('close', this.onEnd);
    if (this.unread.length > 0) socket.unshift(this.unread);
    return socket;
  }

  private readonly onData = (octets: Uint8Array): void => {
    this.unread = join(this.unread, octets);
    this.socket.pause();
    this.wake();
  };

  private readonly onEnd = (): void => {
    this.ended = true;
    this.wake();
  };
}

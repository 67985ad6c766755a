import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { Address, Connected, Destination, Entered, Secured } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { Link, LinkTerms, ProxyPlan, TlsTerms } from '../../probe/world.ts';
import { type Connecting, connectToFirst } from './connect.ts';
import { type Lookup, lookUp } from './dns.ts';
import { failureOf } from './errors.ts';
import { type Entry, enterProxy } from './proxy.ts';
import { holding } from './reach.ts';
import { lateFailure, prepareTls, startTls } from './tls.ts';

/** A link over Node's sockets. What arrives is handed out on demand: nothing is read behind the conversation's back. */
export class NodeLink implements Link {
  private readonly terms: LinkTerms;
  private context: SecureContext | null = null;
  /** Why this link will not do; told when it is first asked for something. */
  private unfit: ProbeFailure | null = null;
  private lookup: Lookup | null = null;
  private connecting: Connecting | null = null;
  private readonly proxy = holding();
  private entry: Entry | null = null;
  private socket: Socket | null = null;
  private closed = false;
  private readonly arrived: Uint8Array[] = [];
  private hasSpoken = false;
  private ended = false;
  private failed: ProbeFailure | null = null;
  /** Wakes the read under way. */
  private wake: (() => void) | null = null;

  constructor(terms: LinkTerms) {
    this.terms = terms;
    try {
      this.context = terms.tls === null ? null : prepareTls(terms.tls);
    } catch (problem) {
      if (!(problem instanceof ProbeFailure)) throw problem;
      this.unfit = problem;
    }
  }

  async resolve(name: string): Promise<readonly Address[]> {
    if (this.unfit !== null) throw this.unfit;
    this.lookup = lookUp(name, this.terms.family);
    return await this.lookup.done;
  }

  async reachProxy(): Promise<Entered> {
    if (this.unfit !== null) throw this.unfit;
    const { proxy, family } = this.terms;
    this.entry = await enterProxy(proxy as ProxyPlan, family, this.proxy.hold);
    return this.entry.entered;
  }

  async connect(to: Destination, port: number): Promise<Connected> {
    if (this.unfit !== null) throw this.unfit;
    if (this.terms.proxy !== null || typeof to === 'string') return await this.connectThrough(this.entry, to, port);
    this.connecting = connectToFirst(to, port);
    const { socket, connected } = await this.connecting.done;
    if (this.closed) socket.destroy();
    else this.adopt(socket);
    return connected;
  }

  async secure(): Promise<Secured> {
    const plain = this.socket as Socket;
    if (this.arrived.length > 0) {
      const octets = this.arrived.reduce((sum, { length }) => sum + length, 0);
      throw new ProbeFailure('plaintext-after-stls', `the server sent ${octets} more octets in clear before TLS`, {
        phase: 'stls',
      });
    }
    const { tls } = this.terms;
    const { socket, secured } = await startTls(
      plain,
      tls as TlsTerms,
      this.context as SecureContext,
      this.hasSpoken,
      () => this.release(plain),
    );
    this.adopt(socket);
    return secured;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const octets = this.arrived.shift();
      if (octets !== undefined) return octets;
      if (this.failed !== null) throw this.failed;
      if (this.ended) return null;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        this.socket?.resume();
      });
    }
  }

  async write(octets: Uint8Array): Promise<void> {
    if (this.arrived.length > 0) throw new ProbeFailure('protocol-violation', 'the server spoke before it was asked');
    await new Promise<void>((resolve, reject) => {
      (this.socket as Socket).write(octets, (error) => {
        if (error) reject(this.failed ?? failureOf(error));
        else resolve();
      });
    });
  }

  close(): void {
    this.closed = true;
    this.lookup?.abandon();
    this.connecting?.abandon();
    // TLS before the socket under it, which is the proxy's.
    this.socket?.destroy();
    this.proxy.letGo();
  }

  /** Never past a proxy that was asked for: where nobody has been to it, that is a bug. */
  private async connectThrough(entry: Entry | null, to: Destination, port: number): Promise<Connected> {
    if (entry === null) throw new TypeError('connect() before reachProxy()');
    const server = typeof to === 'string' ? to : (to[0] as Address);
    const socket = await entry.connect(server, port);
    if (this.closed) socket.destroy();
    else this.adopt(socket);
    return { address: typeof server === 'string' ? null : server.address, dead: [] };
  }

  private adopt(socket: Socket | TLSSocket): void {
    this.socket = socket;
    const wake = (): void => {
      this.wake?.();
      this.wake = null;
    };
    socket.on('data', (octets: Uint8Array) => {
      this.arrived.push(octets);
      this.hasSpoken = true;
      socket.pause();
      wake();
    });
    socket.on('end', () => {
      this.ended = true;
      wake();
    });
    socket.on('error', (error: Error & { code?: string }) => {
      this.failed = this.failed ?? lateFailure(error);
      wake();
    });
    socket.on('close', () => {
      this.ended = true;
      wake();
    });
    socket.pause();
  }

  /** Takes our ears off a socket that TLS takes over. */
  private release(socket: Socket): void {
    socket.removeAllListeners('data');
    socket.removeAllListeners('end');
    socket.removeAllListeners('close');
  }
}

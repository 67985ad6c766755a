import type { Address, Connected, Destination, Entered, Secured } from '../../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import type { Link } from '../../src/probe/world.ts';

/** One step of a scripted server. */
export type Step =
  | { readonly does: 'says'; readonly octets: Uint8Array }
  | { readonly does: 'hears'; readonly line: string }
  | { readonly does: 'resolves' | 'enters' | 'connects' | 'secures' | 'closes' | 'resets' | 'keeps silent' }
  | { readonly does: 'fails'; readonly failure: ProbeFailure };

/** How what the server says is cut into reads: into pieces of that many octets, or 0 for all that is there at once. */
export type Cut = number;

/**
 * A server that follows a script to the letter. Every want has to be in it: one that is not, or is out of turn, is
 * a fault of the test or of the conversation and is thrown as such, never as a ProbeFailure.
 */
export class ScriptedLink implements Link {
  readonly sent: string[] = [];
  closed = false;
  /** Called before each want is answered, with its number from 1. */
  onWant: (want: number) => void = () => undefined;
  wants = 0;
  private readonly steps: Step[];
  private readonly cut: Cut;
  private readonly secured: Secured;

  constructor(steps: readonly Step[], cut: Cut, secured: Secured) {
    this.steps = [...steps];
    this.cut = cut;
    this.secured = secured;
  }

  /** What of the script was not played. */
  left(): readonly Step[] {
    return this.steps;
  }

  async resolve(_name: string): Promise<readonly Address[]> {
    this.onWant(++this.wants);
    this.take('resolves');
    return [{ address: '192.0.2.1', family: 4 }];
  }

  async reachProxy(): Promise<Entered> {
    this.onWant(++this.wants);
    this.take('enters');
    return { address: '192.0.2.9', port: 1080 };
  }

  async connect(to: Destination, _port: number): Promise<Connected> {
    this.onWant(++this.wants);
    this.take('connects');
    return { address: typeof to === 'string' ? null : (to[0] as Address).address, dead: [] };
  }

  async secure(): Promise<Secured> {
    this.onWant(++this.wants);
    if (this.steps[0]?.does === 'says')
      throw new ProbeFailure('plaintext-after-stls', 'more octets in clear before TLS', { phase: 'stls' });
    this.take('secures');
    return this.secured;
  }

  async read(): Promise<Uint8Array | null> {
    this.onWant(++this.wants);
    const next = this.steps[0];
    switch (next?.does) {
      case 'says':
        return this.piece(next.octets);
      case 'closes':
        return null; // stays closed: a second read meets the same
      case 'resets':
        throw new ProbeFailure('hung-up', 'the connection was reset');
      case 'fails':
        throw next.failure;
      case 'keeps silent':
        return await new Promise(() => undefined);
      default:
        throw new Error(`the client reads, but the script has ${JSON.stringify(next ?? 'ended')}`);
    }
  }

  async write(octets: Uint8Array): Promise<void> {
    this.onWant(++this.wants);
    if (this.steps[0]?.does === 'says')
      throw new ProbeFailure('protocol-violation', 'the server spoke before it was asked');
    const line = Buffer.from(octets).toString('utf8');
    this.sent.push(line);
    const next = this.steps.shift();
    if (next?.does === 'closes' || next?.does === 'resets') {
      this.steps.unshift(next);
      return;
    }
    if (next?.does !== 'hears' || line !== `${next.line}\r\n`) {
      throw new Error(`the client says ${JSON.stringify(line)}, but the script has ${JSON.stringify(next ?? 'ended')}`);
    }
  }

  close(): void {
    this.closed = true;
  }

  private take(does: Step['does']): void {
    const next = this.steps.shift();
    if (next?.does === 'fails') throw next.failure;
    if (next?.does !== does)
      throw new Error(`out of turn: ${does}, but the script has ${JSON.stringify(next ?? 'ended')}`);
  }

  private piece(octets: Uint8Array): Uint8Array {
    const length = this.cut === 0 ? octets.length : Math.min(this.cut, octets.length);
    this.steps.shift();
    if (length < octets.length) this.steps.unshift({ does: 'says', octets: octets.subarray(length) });
    return octets.slice(0, length);
  }
}

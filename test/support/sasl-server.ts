import type { Dialogue } from '../../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { hash } from '../../src/runtimes/node/hashing.ts';
import type { Credential, Exchange, Mechanism } from '../../src/sasl/mechanism.ts';

/** What the server says next: a challenge, `+OK` or `-ERR`; or that, made of all it has heard. */
export type Says = Uint8Array | typeof OK | typeof REFUSED;
export type Turn = Says | ((heard: readonly string[]) => Says | Promise<Says>);

export const OK = '+OK' as const;
export const REFUSED = '-ERR' as const;

export const challenge = (text: string, encoding: BufferEncoding = 'utf8'): Uint8Array => Buffer.from(text, encoding);

export interface Circumstances {
  readonly bindings?: ReadonlyMap<string, Uint8Array>;
  readonly offers?: readonly string[] | null;
  readonly host?: string;
  readonly port?: number;
  /** What is unguessable elsewhere. */
  readonly random?: Uint8Array;
  readonly filetime?: Uint8Array;
  /** Whether a client may be content before all of the script was said. */
  readonly mayLeave?: true;
}

export interface Exchanged {
  /** `success`, or the reason. */
  readonly result: string;
  readonly failure: ProbeFailure | null;
  /** What the client responded, octet by octet as a character. */
  readonly heard: readonly string[];
  /** Whether it broke the exchange off, instead of leaving the server waiting. */
  readonly cancelled: boolean;
  /** The iterations of every key derivation. */
  readonly iterations: readonly number[];
}

/** Runs a mechanism against a server that says its lines in turn, computing with Node's own hashes. */
export async function exchanged<C extends Credential>(
  { name, authenticate }: Mechanism<C>,
  credential: C,
  server: readonly Turn[],
  circumstances: Circumstances = {},
): Promise<Exchanged> {
  const { bindings = new Map(), offers = [name], host = 'mail.example.com', port = 995 } = circumstances;
  const script = [...server];
  const heard: string[] = [];
  const iterations: number[] = [];
  let cancelled = false;
  const say = async (): Promise<Uint8Array | null> => {
    const turn = script.shift();
    if (turn === undefined) throw new Error(`${name} goes on where the script ended: ${JSON.stringify(heard)}`);
    const says = typeof turn === 'function' ? await turn(heard) : turn;
    if (says === REFUSED) throw new ProbeFailure('login-refused', '', { said: '-ERR [AUTH] no' });
    return says === OK ? null : says;
  };
  const exchange: Exchange = {
    host,
    port,
    bindings,
    offers,
    *start() {
      return (yield* waited(say)) as Uint8Array;
    },
    *respond(response) {
      heard.push(Buffer.from(response).toString('latin1'));
      return yield* waited(say);
    },
    *compute(recipe) {
      if (recipe.compute === 'pbkdf2') iterations.push(recipe.iterations);
      if (recipe.compute === 'random' && circumstances.random !== undefined) return circumstances.random;
      if (recipe.compute === 'filetime' && circumstances.filetime !== undefined) return circumstances.filetime;
      return (yield* waited(() => hash(recipe))) as Uint8Array;
    },
    // biome-ignore lint/correctness/useYield: nobody answers
    *cancel(failure) {
      cancelled = true;
      throw failure;
    },
  };
  const ended = (failure: ProbeFailure | null): Exchanged => ({
    result: failure?.reason ?? 'success',
    failure,
    heard,
    cancelled,
    iterations,
  });
  try {
    await carried(authenticate(credential, exchange));
    if (script.length > 0 && circumstances.mayLeave !== true)
      throw new Error(`${name} is content before the server is`);
    return ended(null);
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    return ended(problem);
  }
}

/** Promises in the place of wants: yielded, and resumed with what came of them. */
function* waited<T>(promise: () => Promise<T>): Dialogue<T> {
  return (yield promise as never) as unknown as T;
}

async function carried(dialogue: Dialogue<void>): Promise<void> {
  const steps = dialogue as unknown as Generator<() => Promise<unknown>, void, unknown>;
  for (let step = steps.next(); !step.done; ) {
    try {
      step = steps.next(await step.value());
    } catch (problem) {
      step = steps.throw(problem);
    }
  }
}

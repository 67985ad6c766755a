import { createHash, createHmac, pbkdf2Sync, webcrypto } from 'node:crypto';
import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import type * as Module from '../../plugins/k6/pop3.d.ts';

/** One sample of a metric. */
export interface Sample {
  readonly metric: string;
  readonly type: 'Rate' | 'Trend' | 'Counter' | 'Gauge';
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** A k6 in Node, as far as the bundles can tell: its modules, its globals and nothing else. */
export interface FakeK6 {
  readonly samples: Sample[];
  /** The names of all metrics that were made. */
  readonly metrics: string[];
  readonly env: Record<string, string>;
  /** Null: k6 was started without a source of secrets. */
  secrets: Readonly<Record<string, string>> | null;
  isInInit: boolean;
  /** What getRandomValues gives, however much was asked for; null for chance. */
  random: Uint8Array | null;
  /** The Web Crypto there is. */
  subtle: unknown;
  /** What Date.now() gives; null for the time. */
  date: number | null;
  /** Timers that were neither cleared nor rang: each would hold up the end of an iteration. */
  readonly pendingTimers: () => number;
  /** `k6/x/pop3` or `k6/x/tcp`, made by the test. */
  transport: unknown;
}

/** The built file, run in an engine that has what k6 has. */
export async function loadBundle(
  name: 'pop3.k6' | 'pop3.xk6',
): Promise<{ readonly module: typeof Module; readonly k6: FakeK6 }> {
  const timers = new Set<NodeJS.Timeout>();
  const k6: FakeK6 = {
    samples: [],
    metrics: [],
    env: {},
    secrets: null,
    isInInit: false,
    random: null,
    subtle: webcrypto.subtle,
    date: null,
    pendingTimers: () => timers.size,
    transport: null,
  };
  const context = createContext({
    __ENV: k6.env,
    k6Modules: modulesOf(k6),
    console,
    crypto: {
      getRandomValues: (into: Uint8Array) => (k6.random === null ? webcrypto.getRandomValues(into) : k6.random),
      get subtle() {
        return k6.subtle;
      },
    },
    setTimeout(ring: () => void, delayMs: number) {
      const timer = setTimeout(() => {
        timers.delete(timer);
        ring();
      }, delayMs);
      timers.add(timer);
      return timer;
    },
    clearTimeout(timer: NodeJS.Timeout) {
      timers.delete(timer);
      clearTimeout(timer);
    },
  });
  runInContext(LACKING.map((name) => `delete globalThis.${name};`).join(''), context);
  runInContext(await scriptOf(name), context);
  const now = Date.now;
  (runInContext('Date', context) as DateConstructor).now = () => k6.date ?? now();
  return { module: runInContext('bundle', context) as typeof Module, k6 };
}

/** What Node's engine has as a part of the language, and k6's has not. */
const LACKING = ['Intl', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'WeakRef', 'FinalizationRegistry'];

const scripts = new Map<string, Promise<string>>();

/** The built file with k6's modules taken from where the fake has them; its syntax stays as it is. */
function scriptOf(name: string): Promise<string> {
  const made =
    scripts.get(name) ??
    build({
      entryPoints: [`dist/${name}.js`],
      bundle: true,
      format: 'iife',
      globalName: 'bundle',
      target: 'esnext',
      write: false,
      plugins: [
        {
          name: 'k6',
          setup(host) {
            host.onResolve({ filter: /^k6\// }, ({ path }) => ({ path, namespace: 'k6' }));
            host.onLoad({ filter: /.*/, namespace: 'k6' }, ({ path }) => ({
              contents: `const it = k6Modules[${JSON.stringify(path)}];
                ${(EXPORTS[path] ?? []).map((name) => `export const ${name} = it.${name};`).join('')}
                export default it.default;`,
            }));
          },
        },
      ],
    }).then(({ outputFiles }) => (outputFiles[0] as { text: string }).text);
  scripts.set(name, made);
  return made;
}

/** What is exported by name. */
const EXPORTS: Readonly<Record<string, readonly string[]>> = {
  'k6/metrics': ['Rate', 'Trend', 'Counter', 'Gauge'],
  'k6/x/pop3': ['connect', 'resolve', 'now', 'pbkdf2'],
  'k6/x/tcp': ['Socket'],
};

function modulesOf(k6: FakeK6): Readonly<Record<string, unknown>> {
  const metric = (type: Sample['type']) =>
    class {
      private readonly name: string;
      constructor(name: string) {
        if (!/^[a-z0-9_]{1,128}$/.test(name)) throw new Error(`invalid metric name ${name}`);
        this.name = name;
        k6.metrics.push(name);
      }
      add(value: number | boolean, tags: Readonly<Record<string, string>> = {}): void {
        if (!Number.isFinite(Number(value))) throw new Error(`${this.name} was given ${value}`);
        k6.samples.push({ metric: this.name, type, value: Number(value), tags: { ...tags } });
      }
    };
  const hashed = (algorithm: string) => (input: ArrayBuffer, encoding: string) =>
    binary(createHash(algorithm).update(whole(input)).digest(), encoding);
  return {
    'k6/metrics': { Rate: metric('Rate'), Trend: metric('Trend'), Counter: metric('Counter'), Gauge: metric('Gauge') },
    'k6/crypto': {
      default: {
        md5: hashed('md5'),
        sha1: hashed('sha1'),
        sha256: hashed('sha256'),
        hmac: (algorithm: string, key: ArrayBuffer, input: ArrayBuffer, encoding: string) =>
          binary(createHmac(algorithm, whole(key)).update(whole(input)).digest(), encoding),
      },
    },
    'k6/secrets': {
      default: {
        async get(name: string) {
          if (k6.secrets === null) throw new Error('no secret sources are configured');
          const secret = k6.secrets[name];
          if (secret === undefined) throw new Error('no value');
          return secret;
        },
      },
    },
    'k6/execution': {
      default: {
        vu: {
          get idInTest() {
            if (k6.isInInit) throw new Error('getting VU information in the init context is not supported');
            return 1;
          },
        },
      },
    },
    'k6/x/pop3': passing(k6, 'k6/x/pop3'),
    'k6/x/tcp': passing(k6, 'k6/x/tcp'),
  };
}

/** A module whose members are those the transport has at the moment of the call. */
function passing(k6: FakeK6, extension: string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    (EXPORTS[extension] ?? []).map((name) => [
      name,
      function (this: unknown, ...given: unknown[]) {
        const member = (k6.transport as Record<string, (...given: unknown[]) => unknown>)[name] as (
          ...given: unknown[]
        ) => unknown;
        return new.target === undefined ? member(...given) : Reflect.construct(member, given);
      },
    ]),
  );
}

/** An array buffer alone is taken, as k6/crypto has it with all it holds. */
function whole(input: unknown): Uint8Array {
  if (Object.prototype.toString.call(input) !== '[object ArrayBuffer]') throw new TypeError('not an ArrayBuffer');
  return new Uint8Array(input as ArrayBuffer);
}

function binary(octets: Uint8Array, encoding: string): ArrayBuffer {
  if (encoding !== 'binary') throw new Error(`encoding ${encoding}`);
  return Uint8Array.from(octets).buffer;
}

/** The key derivation of k6/x/pop3. */
export const pbkdf2 = async (
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
  algorithm: string,
): Promise<Uint8Array> => new Uint8Array(pbkdf2Sync(password, salt, iterations, length, algorithm));

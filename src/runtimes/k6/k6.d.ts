/**
 * What k6 has beyond the language, as far as it is used here: k6's own types would be one more dependency for a dozen
 * lines. Source: https://grafana.com/docs/k6/latest/javascript-api/. `k6/x/pop3` describes itself, in
 * plugins/k6/xk6-pop3/index.d.ts.
 */

declare const __ENV: Readonly<Record<string, string | undefined>>;
declare const __VU: number;
declare const __ITER: number;

/** The text of a file; in the init context alone. */
declare function open(path: string): string;

declare module 'k6' {
  export function check<T>(value: T, checks: Readonly<Record<string, (value: T) => boolean>>): boolean;
  export function sleep(seconds: number): void;
}

declare module 'k6/metrics' {
  type Tags = Readonly<Record<string, string>>;
  export class Rate {
    constructor(name: string);
    add(value: boolean | number, tags?: Tags): void;
  }
  export class Trend {
    constructor(name: string, isTime?: boolean);
    add(value: number, tags?: Tags): void;
  }
  export class Counter {
    constructor(name: string);
    add(value: number, tags?: Tags): void;
  }
  export class Gauge {
    constructor(name: string);
    add(value: number, tags?: Tags): void;
  }
}

declare module 'k6/data' {
  export class SharedArray<T> {
    constructor(name: string, make: () => T[]);
    readonly length: number;
    readonly [at: number]: T;
  }
}

declare module 'k6/crypto' {
  type Hash = 'md5' | 'sha1' | 'sha256';
  interface Crypto {
    md5(input: ArrayBuffer, encoding: 'binary'): ArrayBuffer;
    sha1(input: ArrayBuffer, encoding: 'binary'): ArrayBuffer;
    sha256(input: ArrayBuffer, encoding: 'binary'): ArrayBuffer;
    hmac(algorithm: Hash, key: ArrayBuffer, input: ArrayBuffer, encoding: 'binary'): ArrayBuffer;
  }
  const crypto: Crypto;
  export default crypto;
}

declare module 'k6/secrets' {
  const secrets: {
    /** Rejects where there is no such secret, or no source of them (`--secret-source`). */
    get(name: string): Promise<string>;
  };
  export default secrets;
}

declare module 'k6/execution' {
  const execution: {
    /** Throws in the init context. */
    readonly vu: { readonly idInTest: number; readonly iterationInScenario: number };
    readonly scenario: { readonly iterationInTest: number };
    readonly test: { fail(why: string): void; abort(why: string): void };
  };
  export default execution;
}

declare module 'k6/x/tcp' {
  type Tags = Readonly<Record<string, string>>;
  /** Octets of which the memory is used again once the handler has returned: no Uint8Array, but one can be made of it. */
  type Octets = ArrayLike<number>;
  export class Socket {
    constructor(options?: { tags?: Tags });
    /** Undefined before there is a connection. */
    readonly remote_ip?: string;
    readonly connected: boolean;
    connect(to: { port: number; host: string; tls?: boolean }): Promise<void>;
    write(octets: ArrayBuffer): Promise<void>;
    /** One handler for each event: a second one takes the place of the first. */
    on(event: 'data', handler: (octets: Octets) => void): void;
    on(event: 'error', handler: (error: unknown) => void): void;
    on(event: 'close', handler: () => void): void;
    /** A socket that is not destroyed keeps the iteration from ending, even one that never connected. */
    destroy(): void;
  }
}

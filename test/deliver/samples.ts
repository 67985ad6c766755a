import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Destination, PassiveResult } from '../../src/deliver/destination.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { holding } from '../../src/runtimes/node/reach.ts';
import type { Identity } from '../../src/sandbox/authority.ts';

/** A logon that failed, as it goes to a platform. */
export const RESULT: PassiveResult = {
  host: 'mail.example.com',
  service: 'POP3',
  state: 2,
  output: 'POP3 CRITICAL - mail.example.com: login-refused',
  perfdata: ['time=0.112s;5;10;0', 'certificate=74;21:;7:'],
  json: '{"status":2,"text":"login-refused"}',
  began: 1_767_323_045_250,
  ended: 1_767_323_045_362,
};

/** Results of so many services of one host: POP3 1, POP3 2 … */
export const numbered = (count: number): readonly PassiveResult[] =>
  Array.from({ length: count }, (_, at) => ({ ...RESULT, service: `POP3 ${at + 1}` }));

export const servicesOf = (results: readonly PassiveResult[]): readonly string[] =>
  results.map(({ service }) => service);

/** A delivery under way; what it has settled so far, by the names of the services. */
export interface Delivering {
  readonly delivered: readonly string[];
  /** By the name of the service, why it is not taken. */
  readonly refused: ReadonlyMap<string, string>;
  /** What kept the platform from taking the rest, or null; no bug. */
  readonly done: Promise<ProbeFailure | null>;
  /** The time is over. */
  readonly letGo: () => void;
}

export function delivering(destination: Destination, results: readonly PassiveResult[]): Delivering {
  const delivered: string[] = [];
  const refused = new Map<string, string>();
  const { hold, letGo } = holding();
  const settled = ({ service }: PassiveResult, why: string | null): void => {
    if (delivered.includes(service) || refused.has(service)) throw new Error(`${service} was settled twice`);
    if (why === null) delivered.push(service);
    else refused.set(service, why);
  };
  const done = destination.deliver(results, settled, hold).then(
    () => null,
    (problem: unknown) => {
      if (problem instanceof ProbeFailure) return problem;
      throw problem;
    },
  );
  return { delivered, refused, done, letGo };
}

/** What has become of results once everything was tried. */
export interface Outcome {
  readonly delivered: readonly string[];
  readonly refused: Readonly<Record<string, string>>;
  readonly failure: ProbeFailure | null;
}

export async function deliver(destination: Destination, results: readonly PassiveResult[]): Promise<Outcome> {
  const { delivered, refused, done } = delivering(destination, results);
  const failure = await done;
  return { delivered, refused: Object.fromEntries(refused), failure };
}

/** The failure a delivery ends in. */
export async function failureOf(destination: Destination, results: readonly PassiveResult[]): Promise<ProbeFailure> {
  const { failure } = await deliver(destination, results);
  if (failure === null) throw new Error('it ended well');
  return failure;
}

/** A server on a free port of 127.0.0.1, ended with the test, and its open connections. */
export async function listening<T extends Server>(server: T): Promise<{ port: number; open: ReadonlySet<Socket> }> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, open };
}

export interface Heard {
  readonly request: IncomingMessage;
  readonly body: string;
}

export interface Https {
  readonly port: number;
  readonly open: ReadonlySet<Socket>;
  /** The requests, as they arrived. */
  readonly heard: readonly Heard[];
  /** How many TLS handshakes came to their end. */
  readonly handshakes: () => number;
}

/** An HTTPS server that notes what it hears and answers it. */
export async function serving(
  { certificate: cert, key }: Identity,
  answer: (response: ServerResponse, heard: Heard) => void,
  options: ServerOptions = {},
): Promise<Https> {
  const heard: Heard[] = [];
  let handshakes = 0;
  const server = createServer({ cert, key, ...options }, async (request, response) => {
    const parts: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const all = { request, body: Buffer.concat(parts).toString('utf8') };
      heard.push(all);
      answer(response, all);
    });
  });
  server.on('secureConnection', () => {
    handshakes++;
  });
  server.on('tlsClientError', () => undefined);
  server.keepAliveTimeout = 60_000; // whoever keeps a connection has to close it
  const { port, open } = await listening(server);
  return { port, open, heard, handshakes: () => handshakes };
}

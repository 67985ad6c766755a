import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Agent, RequestOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { join, text } from '../../dialogue/bytes.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { HttpTerms, TlsTerms } from '../../probe/world.ts';
import { parseAddress } from './address.ts';
import { builtin } from './builtin.ts';
import { reachBy } from './proxy.ts';
import { type Hold, holding } from './reach.ts';
import { lateFailure, prepareTls, startTls } from './tls.ts';

export interface HttpRequest {
  /** An `https:` URL; for any other nothing is sent. */
  readonly url: string;
  /** Those beside Host, Content-Length and Connection. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly terms: HttpTerms;
  /**
   * Connections to take up again; without them a request has one of its own. A server may have closed one just as it is taken
   * up: then the request is made once more on another, so it has to be one that may be made twice (RFC 9110 §9.2.2).
   */
  readonly connections?: Connections;
}

/** What a server answered, whatever it was: a redirect is not followed, it is an answer. */
export interface HttpAnswer {
  readonly status: number;
  /** By their names in lower case. */
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Posting {
  readonly done: Promise<HttpAnswer>;
  /** Whether the whole request has left this process: a failure then does not tell what the server made of it. */
  readonly wasSent: () => boolean;
  /** Lets go at once; `done` does not settle any more. */
  readonly abandon: () => void;
}

/** Connections to one server that are kept for the next request. */
export interface Connections {
  readonly agent: Agent;
  /** Those that have had a request. Node's `reusedSocket` does not tell where a request waited for one to be free. */
  readonly used: WeakSet<Socket>;
  readonly close: () => void;
}

/**
 * Keeps connections for several requests.
 *
 * @param most how many at a time
 */
export function keepConnections(most: number): Connections {
  const { hold, letGo } = holding();
  const agent = new (builtin.https().Agent)({ keepAlive: true, maxSockets: most });
  // How a connection is made is the request's to say, in the options Node hands on.
  agent.createConnection = ((options: { connectBy: (hold: Hold) => Promise<TLSSocket> }, ready: Ready) => {
    options.connectBy(hold).then(
      (socket) => ready(null, socket),
      (error: Error) => ready(error, undefined as never),
    );
  }) as never;
  return {
    agent,
    used: new WeakSet(),
    close() {
      agent.destroy();
      letGo();
    },
  };
}

type Ready = (error: Error | null, socket: TLSSocket) => void;

/** More than any answer that is meant for us; what is longer is not read on. */
const LONGEST_ANSWER = 1 << 20;

/**
 * One POST (RFC 9110 §9.3.3) on a connection of its own. It has no deadline: whoever asks gives up.
 *
 * Name, connection, TLS and certificate are the business of the same functions as for the POP3 link, so that a name
 * resolves, a dead address costs and a certificate is judged as there; there is no way to have it not judged.
 *
 * @returns `done` rejects with a ProbeFailure: `configuration` before anything was sent, `dns-not-found`,
 *   `connection-refused`, `certificate-expired`, `tls-failed`, `hung-up` …, `proxy-failed` of the phase `proxy`, and
 *   `protocol-violation` for what is not HTTP or too long
 */
export function post({ url, headers, body, terms, connections }: HttpRequest): Posting {
  let isAbandoned = false;
  let wasSent = false;
  const { hold, letGo } = holding();
  const attempt = (resolve: (answer: HttpAnswer) => void, reject: (failure: ProbeFailure) => void): void => {
    let isAnswered = false;
    let hasFailed = false;
    let isUsed = false;
    const target = targetOf(url);
    for (const [name, value] of Object.entries(headers)) refuseUnsendable(name, value);
    const fail = (error: Error): void => {
      if (isAbandoned || hasFailed) return;
      hasFailed = true;
      if (isUsed && !isAnswered) attempt(resolve, reject);
      else reject(failureFrom(error));
    };
    const call = builtin.https().request({
      method: 'POST',
      hostname: target.host,
      port: target.port,
      path: target.path,
      // Without an agent Node does not know it, and puts it into Host.
      defaultPort: 443,
      headers: { ...headers, 'Content-Length': body.length },
      ...(connections === undefined ? alone(target, terms, hold) : kept(connections, target, terms)),
    });
    hold(() => call.destroy());
    call.on('socket', (socket) => {
      isUsed = connections?.used.has(socket) === true;
      connections?.used.add(socket);
    });
    call.on('finish', () => {
      wasSent = true;
    });
    call.on('error', fail);
    call.on('response', (response) => {
      isAnswered = true;
      read(response).then((answer) => {
        if (!isAbandoned) resolve(answer);
      }, fail);
    });
    // Such as an answer that wants to go on in another protocol: no error, and no response either.
    call.on('close', () => {
      if (!isAnswered) fail(new ProbeFailure('hung-up', 'the connection ended without an answer'));
    });
    call.end(body);
  };
  const done = new Promise<HttpAnswer>(attempt);
  const abandon = (): void => {
    isAbandoned = true;
    letGo();
  };
  return { done, wasSent: () => wasSent, abandon };
}

/** Without an agent there is no connection to take up again, and the server is told that there will be none. */
const alone = (target: Target, terms: HttpTerms, hold: Hold): RequestOptions => ({
  createConnection: (_, ready) => {
    open(target, terms, hold).then(
      (socket) => ready(null, socket),
      (error: Error) => ready(error, undefined as never),
    );
    return undefined;
  },
});

const kept = ({ agent }: Connections, target: Target, terms: HttpTerms): RequestOptions => {
  const connectBy = (hold: Hold): Promise<TLSSocket> => open(target, terms, hold);
  return { agent, connectBy } as RequestOptions;
};

interface Target {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** The parts of a URL. They are not repeated in a failure: who writes a password into a URL should not read it there. */
function targetOf(url: string): Target {
  const { URL } = builtin.url();
  if (!URL.canParse(url)) throw new ProbeFailure('configuration', 'the URL cannot be read');
  const { protocol, hostname, port, username, password, pathname, search } = new URL(url);
  if (protocol !== 'https:') throw new ProbeFailure('configuration', `the URL must begin with https:, not ${protocol}`);
  if (username !== '' || password !== '') {
    throw new ProbeFailure('configuration', 'the URL must not hold a user name or password');
  }
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 443 : Number(port),
    path: pathname + search,
  };
}

/** RFC 9110 §5.5. Node would throw a TypeError, and what stands in a token file is no bug of ours. */
function refuseUnsendable(name: string, value: string): void {
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new ProbeFailure('configuration', `${name}: there is a character in it that no HTTP header can hold`);
  }
}

/** A connection to a server that has proved who it is. */
async function open({ host, port }: Target, way: HttpTerms, hold: Hold): Promise<TLSSocket> {
  const address = parseAddress(host);
  // RFC 6066 §3: without the dot that ends an absolute name.
  const { identity = host.replace(/\.$/, ''), pins = [], clientCertificate = null } = way;
  const sni = parseAddress(identity) === null ? identity : null;
  const terms: TlsTerms = { identity, sni, authorities: way.authorities, pins, clientCertificate };
  const context = prepareTls(terms);
  const plain = await reachBy(way, address ?? host, port, hold);
  const { socket, secured } = await startTls(plain, terms, context, false, () => undefined);
  hold(() => socket.destroy());
  const [fault] = secured.faults;
  if (fault === undefined) return socket;
  socket.destroy();
  throw fault;
}

/** The whole of an answer. */
function read(response: IncomingMessage): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const arrived: Uint8Array[] = [];
    let length = 0;
    response.on('data', (octets: Uint8Array) => {
      length += octets.length;
      if (length <= LONGEST_ANSWER) {
        arrived.push(octets);
        return;
      }
      reject(new ProbeFailure('protocol-violation', `the answer is longer than ${LONGEST_ANSWER} octets`));
      response.destroy();
    });
    response.on('end', () => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text(join(...arrived)) });
    });
    response.on('error', reject);
  });
}

function failureFrom(error: Error & { code?: string }): ProbeFailure {
  return error.code?.startsWith('HPE_') === true
    ? new ProbeFailure('protocol-violation', `the answer is not HTTP (${error.code})`)
    : lateFailure(error);
}

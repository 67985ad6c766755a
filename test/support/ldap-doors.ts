import { connect, createServer, type TLSSocket } from 'node:tls';
import type { Identity } from '../../src/sandbox/authority.ts';

/** A way to a domain controller, or a domain controller of which nothing is there but its answer. */
export interface LdapDoor {
  readonly address: string;
  readonly port: number;
  /** How many connections got as far as TLS. */
  readonly visits: () => number;
  readonly close: () => Promise<void>;
}

interface Place {
  /** Whom its certificate names. */
  readonly identity: Identity;
  /** Default: 127.0.0.1. */
  readonly address?: string;
  /** Default: any that is free. */
  readonly port?: number;
}

/** LDAPS to a domain controller as a client somewhere else would come to it. */
export async function openLdapDoor(
  place: Place & {
    /** The domain controller. */
    readonly to: string;
    /** The address the domain controller sees. */
    readonly from?: string;
    /** What is asked, on its way; of the same length. */
    readonly change?: (asked: Buffer) => Buffer;
  },
): Promise<LdapDoor> {
  const { to, from, change = (asked) => asked } = place;
  return await open(place, (client) => {
    const inside = connect({
      ...{ host: to, port: 636, rejectUnauthorized: false },
      ...(from === undefined ? {} : { localAddress: from }),
    });
    client.on('data', (asked) => inside.write(change(asked))).on('close', () => inside.destroy());
    inside.on('data', (answer) => client.write(answer)).on('close', () => client.destroy());
    inside.on('error', () => client.destroy());
  });
}

/** A result of LDAP (RFC 4511 §4.1.9). */
export interface LdapResult {
  readonly code: number;
  /** The diagnostic message. */
  readonly says?: string;
}

/** LDAPS that gives one answer to a logon and one to everything else; null: none. */
export async function answerLdap(
  place: Place,
  { bind, search }: { readonly bind: LdapResult | null; readonly search: LdapResult | null },
): Promise<LdapDoor> {
  return await open(place, (client) => {
    let waiting: Buffer = Buffer.alloc(0);
    client.on('data', (octets) => {
      waiting = Buffer.concat([waiting, octets]);
      for (let length = lengthOf(waiting); length <= waiting.length; length = lengthOf(waiting)) {
        const { id, operation } = read(waiting.subarray(0, length));
        waiting = waiting.subarray(length);
        if (operation === UNBIND) return void client.end();
        const [tag, result] = operation === BIND ? ([BIND + 1, bind] as const) : ([SEARCH_DONE, search] as const);
        if (result !== null) client.write(write(id, tag, result));
      }
    });
  });
}

async function open(
  { identity, address = '127.0.0.1', port = 0 }: Place,
  serve: (client: TLSSocket) => void,
): Promise<LdapDoor> {
  const { certificate: cert, key } = identity;
  const clients = new Set<TLSSocket>();
  let visits = 0;
  const server = createServer({ cert, key }, (client) => {
    visits += 1;
    clients.add(client);
    client.on('error', () => undefined).on('close', () => clients.delete(client));
    serve(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, address, resolve);
  });
  return {
    address,
    port: (server.address() as { port: number }).port,
    visits: () => visits,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

// --- BER (X.690), as much as a message of LDAP needs. ---

const SEQUENCE = 0x30;
const BIND = 0x60;
const UNBIND = 0x42;
const SEARCH_DONE = 0x65;

/** Of the whole message, tag and length with it; more than there can be where that is not known yet. */
function lengthOf(octets: Buffer): number {
  const [, first] = octets;
  if (first === undefined) return Number.POSITIVE_INFINITY;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  return octets.length < 2 + count ? Number.POSITIVE_INFINITY : 2 + count + octets.readUIntBE(2, count);
}

function read(message: Buffer): { readonly id: Buffer; readonly operation: number } {
  const head = (message[1] ?? 0) < 0x80 ? 2 : 2 + ((message[1] ?? 0) & 0x7f);
  const end = head + 2 + (message[head + 1] ?? 0);
  return { id: message.subarray(head + 2, end), operation: message[end] ?? 0 };
}

function write(id: Buffer, operation: number, { code, says = '' }: LdapResult): Buffer {
  const result = [value(0x0a, Buffer.from([code])), value(0x04, Buffer.alloc(0)), value(0x04, Buffer.from(says))];
  return value(SEQUENCE, Buffer.concat([value(0x02, id), value(operation, Buffer.concat(result))]));
}

function value(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

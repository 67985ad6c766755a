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

/** What is asked of a directory (RFC 4511 §4.1.1). */
export type LdapOperation = keyof typeof OPERATIONS;

/** A moment in what is asked, over all connections since it was looked for. */
export interface LdapMoment {
  /** The so-manieth message, from 1: of that operation, else of any. */
  readonly nth: number;
  readonly of?: LdapOperation;
  /** It has not got there; or it has been answered, and the answer is on its way back. */
  readonly when: 'asked' | 'answered';
}

/** A way to a domain controller on which everything can be stopped. */
export interface HaltingDoor extends LdapDoor {
  /** What was asked since the last `restart` or `halt`, but for goodbyes. */
  readonly asked: () => readonly LdapOperation[];
  /** Counts anew. */
  readonly restart: () => void;
  /** Resolves at that moment, from which on nothing passes. Throws when what was to come to it is over before. */
  readonly halt: (moment: LdapMoment, running: Promise<{ readonly stdout: string }>) => Promise<void>;
  /** Goes on. */
  readonly resume: () => void;
  /** Ends all that go through it; what was withheld never gets there. */
  readonly cut: () => void;
}

/** LDAPS to a domain controller, message by message. */
export async function openHaltingDoor(place: Place & { readonly to: string }): Promise<HaltingDoor> {
  let asked: LdapOperation[] = [];
  let moment: LdapMoment | null = null;
  let arrive: () => void = () => undefined;
  let isHalted = false;
  const waiting: (() => void)[] = [];
  const halt = (): void => {
    isHalted = true;
    moment = null;
    arrive();
  };
  /** Does it now, or when the traffic goes on. */
  const pass = (action: () => void): void => {
    if (isHalted) waiting.push(action);
    else action();
  };
  const isNow = (operation: LdapOperation): boolean => {
    if (moment === null) return false;
    const { of = operation, nth } = moment;
    return of === operation && asked.filter((each) => moment?.of === undefined || each === of).length === nth;
  };
  const guests = new Set<TLSSocket>();
  const door = await open(place, (client) => {
    const inside = connect({ host: place.to, port: 636, rejectUnauthorized: false });
    guests.add(client).add(inside);
    let isAwaited = false;
    const take = messages((message) => {
      const operation = NAMES.get(read(message).operation);
      if (operation === undefined) throw new Error('a message of LDAP that is not known here');
      if (operation !== 'unbind') asked.push(operation);
      const isIt = operation !== 'unbind' && isNow(operation);
      if (isIt && moment?.when === 'asked') halt();
      isAwaited ||= isIt && moment?.when === 'answered';
      pass(() => inside.write(message));
    });
    client.on('data', take).on('close', () => inside.destroy());
    inside.on('close', () => guests.delete(inside) && guests.delete(client));
    inside.on('data', (answer) => {
      if (isAwaited) halt();
      isAwaited = false;
      pass(() => client.write(answer));
    });
    inside.on('error', () => client.destroy()).on('close', () => pass(() => client.destroy()));
  });
  return {
    ...door,
    asked: () => asked,
    restart() {
      asked = [];
    },
    async halt(wanted, running) {
      asked = [];
      moment = wanted;
      const halted = new Promise<void>((resolve) => {
        arrive = resolve;
      });
      const over = await Promise.race([halted, running]);
      if (over !== undefined) throw new Error(`it ended before the moment came: ${over.stdout}`);
    },
    resume() {
      isHalted = false;
      for (const action of waiting.splice(0)) action();
    },
    cut() {
      waiting.splice(0);
      for (const guest of guests) guest.destroy();
      isHalted = false;
    },
  };
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
    const take = messages((message) => {
      const { id, operation } = read(message);
      if (operation === OPERATIONS.unbind) return void client.end();
      const [tag, result] =
        operation === OPERATIONS.bind ? ([OPERATIONS.bind + 1, bind] as const) : ([SEARCH_DONE, search] as const);
      if (result !== null) client.write(write(id, tag, result));
    });
    client.on('data', take);
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
const SEARCH_DONE = 0x65;

/** The tags of what is asked. */
const OPERATIONS = { bind: 0x60, unbind: 0x42, search: 0x63, modify: 0x66, add: 0x68 } as const;
const NAMES = new Map(Object.entries(OPERATIONS).map(([name, tag]) => [tag as number, name as LdapOperation]));

/** Cuts what comes into whole messages. */
function messages(take: (message: Buffer) => void): (octets: Buffer) => void {
  let waiting: Buffer = Buffer.alloc(0);
  return (octets) => {
    waiting = Buffer.concat([waiting, octets]);
    for (let length = lengthOf(waiting); length <= waiting.length; length = lengthOf(waiting)) {
      const message = waiting.subarray(0, length);
      waiting = waiting.subarray(length);
      take(message);
    }
  };
}

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

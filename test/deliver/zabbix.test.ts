import { createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { PassiveResult } from '../../src/deliver/destination.ts';
import { keyOf, zabbix } from '../../src/deliver/zabbix.ts';
import type { DestinationPlan } from '../../src/request/delivery.ts';
import { until } from '../support/until.ts';
import { deliver, delivering, failureOf, listening, numbered, RESULT, servicesOf } from './samples.ts';

type Plan = Extract<DestinationPlan, { kind: 'zabbix' }>;

const planFor = (port: number): Plan => ({
  kind: 'zabbix',
  name: `zabbix 127.0.0.1:${port}`,
  host: { shown: '127.0.0.1', ascii: '127.0.0.1', address: { address: '127.0.0.1', family: 4 } },
  port,
});

/** A frame: `ZBXD`, the flags, and two lengths of four octets, the lowest first; the second one is for compression alone. */
interface Frame {
  readonly flags: number;
  readonly length: number;
  readonly reserved: number;
  readonly content: Buffer;
}

/** Null while it is not whole. */
function frameIn(octets: Buffer): Frame | null {
  if (octets.length < 13) return null;
  expect(octets.subarray(0, 4)).toEqual(Buffer.from('ZBXD', 'latin1'));
  const length = octets.readUInt32LE(5);
  if (octets.length < 13 + length) return null;
  return { flags: octets[4] as number, length, reserved: octets.readUInt32LE(9), content: octets.subarray(13) };
}

function framed(content: string, { flags = 1, length = Buffer.byteLength(content) } = {}): Buffer {
  const header = Buffer.alloc(13);
  header.write('ZBXD', 'latin1');
  header[4] = flags;
  header.writeUInt32LE(length, 5);
  return Buffer.concat([header, Buffer.from(content, 'utf8')]);
}

interface Item {
  readonly host: string;
  readonly key: string;
  readonly value: string;
  readonly clock: number;
  readonly ns: number;
}

interface Asked extends Frame {
  readonly request: { readonly request: string; readonly data: readonly Item[]; readonly clock: number; ns: number };
}

/** A Zabbix server that notes each request, one on a connection, and answers it. */
async function trapper(answer: (socket: Socket, items: readonly Item[], at: number) => void) {
  const asked: Asked[] = [];
  const server = createServer((socket) => {
    let arrived = Buffer.alloc(0);
    socket.on('data', (octets) => {
      arrived = Buffer.concat([arrived, octets]);
      const frame = frameIn(arrived);
      if (frame === null) return;
      const request = JSON.parse(frame.content.toString('utf8'));
      asked.push({ ...frame, request });
      answer(socket, request.data, asked.length - 1);
    });
  });
  return { asked, ...(await listening(server)) };
}

const counted = (processed: number, failed: number, total = processed + failed): Buffer =>
  framed(
    JSON.stringify({
      response: 'success',
      info: `processed: ${processed}; failed: ${failed}; total: ${total}; seconds spent: 0.000113`,
    }),
  );

/** Zabbix with items of these keys and no others. */
const knowing =
  (isKnown: (key: string) => boolean) =>
  (socket: Socket, items: readonly Item[]): void => {
    const processed = items.filter(({ key }) => isKnown(key)).length;
    socket.end(counted(processed, items.length - processed));
  };
const knowingAll = knowing(() => true);

const NO_ITEM = 'Zabbix has no trapper item of that host and key, or takes none from this machine';

describe('a request', () => {
  test('is framed as the protocol has it', async () => {
    const { port, asked } = await trapper(knowingAll);
    expect(await deliver(zabbix(planFor(port)), [RESULT])).toEqual({ delivered: ['POP3'], refused: {}, failure: null });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ flags: 1, reserved: 0 });
    expect(asked[0]?.content).toHaveLength(asked[0]?.length as number);
  });

  test('is of sender data: host, key, value, and when the test ended', async () => {
    const { port, asked } = await trapper(knowingAll);
    const before = Math.floor(Date.now() / 1000);
    await deliver(zabbix(planFor(port)), [
      RESULT,
      { ...RESULT, host: 'mail2', service: 'POP3S', ended: 1_767_323_046_000 },
    ]);
    const [{ request: said }] = asked as [Asked];
    const { request, data, clock, ns, ...rest } = said;
    expect(request).toBe('sender data');
    expect(data).toEqual([
      { host: 'mail.example.com', key: 'pop3.trap[POP3]', value: RESULT.json, clock: 1_767_323_045, ns: 362_000_000 },
      { host: 'mail2', key: 'pop3.trap[POP3S]', value: RESULT.json, clock: 1_767_323_046, ns: 0 },
    ]);
    expect(clock).toBeGreaterThanOrEqual(before);
    expect(clock).toBeLessThanOrEqual(Date.now() / 1000);
    expect(ns).toBeGreaterThanOrEqual(0);
    expect(ns).toBeLessThan(1e9);
    expect(rest).toEqual({});
  });

  test('counts its length in octets, in any script', async () => {
    const { port, asked } = await trapper(knowingAll);
    const json = '{"text":"Postfach „Müller“ – 密码 🐟"}';
    await deliver(zabbix(planFor(port)), [{ ...RESULT, host: 'Büro 1', service: 'Postfächer', json }]);
    expect(asked[0]?.content).toHaveLength(asked[0]?.length as number);
    expect(asked[0]?.request.data).toMatchObject([{ host: 'Büro 1', key: 'pop3.trap[Postfächer]', value: json }]);
  });

  test('finds the server by its name as well', async () => {
    const { port } = await trapper(knowingAll);
    const plan: Plan = { ...planFor(port), host: { shown: 'localhost', ascii: 'localhost', address: null } };
    expect(await deliver(zabbix(plan), [RESULT])).toMatchObject({ delivered: ['POP3'], failure: null });
  });
});

test('nothing to deliver asks nobody', async () => {
  const { port, asked } = await trapper(knowingAll);
  expect(await deliver(zabbix(planFor(port)), [])).toEqual({ delivered: [], refused: {}, failure: null });
  expect(asked).toEqual([]);
});

// As Zabbix itself writes the parameter of a key where discovery puts a name into it: the two have to be the same text.
test.each([
  ['POP3', 'pop3.trap[POP3]'],
  ['POP3 logon', 'pop3.trap[POP3 logon]'],
  ['Postfächer – täglich', 'pop3.trap[Postfächer – täglich]'],
  ['inbox, Berlin', 'pop3.trap["inbox, Berlin"]'],
  ['inbox [Berlin]', 'pop3.trap["inbox [Berlin]"]'],
  ['[inbox]', 'pop3.trap["[inbox]"]'],
  ['inbox [Berlin', 'pop3.trap[inbox [Berlin]'],
  [' inbox', 'pop3.trap[" inbox"]'],
  ['inbox ', 'pop3.trap[inbox ]'],
  ['"inbox"', 'pop3.trap["\\"inbox\\""]'],
  ['the "good" inbox', 'pop3.trap[the "good" inbox]'],
  ['the "good" inbox, Berlin', 'pop3.trap["the \\"good\\" inbox, Berlin"]'],
  ['C:\\inbox', 'pop3.trap[C:\\inbox]'],
  ['C:\\inbox, D:\\inbox', 'pop3.trap["C:\\inbox, D:\\inbox"]'],
])('the item of the service %j is %s', (service, key) => {
  expect(keyOf(service)).toBe(key);
});

describe('an answer', () => {
  test.each<[string, (socket: Socket, octets: Buffer) => void]>([
    ['in one piece', (socket, octets) => socket.end(octets)],
    ['in one piece, without hanging up', (socket, octets) => socket.write(octets)],
    [
      'octet by octet',
      (socket, octets) => {
        socket.setNoDelay(true);
        const next = (at: number): void => {
          if (at === octets.length) return;
          socket.write(octets.subarray(at, at + 1), () => setImmediate(next, at + 1));
        };
        next(0);
      },
    ],
    [
      'cut in its header',
      (socket, octets) => {
        socket.write(octets.subarray(0, 7));
        setTimeout(() => socket.write(octets.subarray(7)), 20);
      },
    ],
    ['with more behind it', (socket, octets) => socket.write(Buffer.concat([octets, Buffer.from('more')]))],
  ])('%s is read', async (_, write) => {
    const { port, open } = await trapper((socket, items) => write(socket, counted(items.length, 0)));
    expect(await deliver(zabbix(planFor(port)), numbered(2))).toEqual({
      delivered: ['POP3 1', 'POP3 2'],
      refused: {},
      failure: null,
    });
    await until('the connection is closed', () => open.size === 0);
  });

  test('without time spent, of another version, is read too', async () => {
    const info = 'processed: 1; failed: 0; total: 1';
    const { port } = await trapper((socket) => socket.end(framed(JSON.stringify({ info, response: 'success' }))));
    expect(await deliver(zabbix(planFor(port)), [RESULT])).toMatchObject({ delivered: ['POP3'], failure: null });
  });
});

describe('an item that Zabbix does not have', () => {
  test('is found out by asking for each by itself: Zabbix only counts', async () => {
    const { port, asked } = await trapper(knowing((key) => key !== 'pop3.trap[POP3 2]'));
    expect(await deliver(zabbix(planFor(port)), numbered(4))).toEqual({
      delivered: ['POP3 1', 'POP3 3', 'POP3 4'],
      refused: { 'POP3 2': NO_ITEM },
      failure: null,
    });
    expect(asked.map(({ request }) => request.data.map(({ key }) => key))).toEqual([
      ['pop3.trap[POP3 1]', 'pop3.trap[POP3 2]', 'pop3.trap[POP3 3]', 'pop3.trap[POP3 4]'],
      ['pop3.trap[POP3 1]'],
      ['pop3.trap[POP3 2]'],
      ['pop3.trap[POP3 3]'],
      ['pop3.trap[POP3 4]'],
    ]);
    // What was taken already is the same value of the same moment, and no second one.
    const [first, second] = asked.map(({ request }) => request.data[0]);
    expect(second).toEqual(first);
  });

  test('is one of none: then nobody is asked again', async () => {
    const { port, asked } = await trapper(knowing(() => false));
    expect(await deliver(zabbix(planFor(port)), numbered(3))).toEqual({
      delivered: [],
      refused: { 'POP3 1': NO_ITEM, 'POP3 2': NO_ITEM, 'POP3 3': NO_ITEM },
      failure: null,
    });
    expect(asked).toHaveLength(1);
  });

  test('does not keep what comes after it', async () => {
    const { port, asked } = await trapper(knowing((key) => key !== 'pop3.trap[POP3 3]'));
    const { delivered, refused, failure } = await deliver(zabbix(planFor(port)), numbered(252));
    expect(failure).toBe(null);
    expect(refused).toEqual({ 'POP3 3': NO_ITEM });
    expect(delivered).toHaveLength(251);
    expect(asked).toHaveLength(1 + 250 + 1);
  });

  test.each([
    ['none', 0],
    ['fewer than there were', 1],
  ])('an answer that counts %s settles none that was not counted', async (_, processed) => {
    const { port } = await trapper((socket, items) => socket.end(counted(items.length === 1 ? 1 : processed, 0)));
    // Asked for each by itself it is clear, and here it takes them.
    expect(await deliver(zabbix(planFor(port)), numbered(2))).toEqual({
      delivered: ['POP3 1', 'POP3 2'],
      refused: {},
      failure: null,
    });
  });

  test('a result that is not counted when it is alone was not taken', async () => {
    const { port } = await trapper((socket) => socket.end(counted(0, 0)));
    expect(await deliver(zabbix(planFor(port)), [RESULT])).toMatchObject({ delivered: [], refused: { POP3: NO_ITEM } });
  });

  test('where the connection is lost in between, what was found out stands and the rest waits', async () => {
    const { port } = await trapper((socket, items, at) => {
      if (at === 3) socket.destroy();
      else knowing((key) => key !== 'pop3.trap[POP3 2]')(socket, items);
    });
    const { delivered, refused, failure } = await deliver(zabbix(planFor(port)), numbered(5));
    expect([delivered, refused]).toEqual([['POP3 1'], { 'POP3 2': NO_ITEM }]);
    expect(failure).toMatchObject({ reason: 'hung-up' });
  });
});

test('many results go 250 at a time, each once and in their order', async () => {
  const { port, asked } = await trapper(knowingAll);
  const results = numbered(501);
  const { delivered, failure } = await deliver(zabbix(planFor(port)), results);
  expect(failure).toBe(null);
  expect(delivered).toEqual(servicesOf(results));
  expect(asked.map(({ request }) => request.data.length)).toEqual([250, 250, 1]);
});

test('a request larger than what a connection holds goes out whole', async () => {
  const { port, asked } = await trapper(knowingAll);
  const json = JSON.stringify({ text: 'x'.repeat(60_000) });
  const results: readonly PassiveResult[] = numbered(250).map((result) => ({ ...result, json }));
  expect(await deliver(zabbix(planFor(port)), results)).toMatchObject({ failure: null });
  expect(asked[0]?.length).toBeGreaterThan(250 * 60_000);
  expect(asked[0]?.request.data).toHaveLength(250);
});

describe('an answer that settles nothing', () => {
  const notZabbix = 'the answer is not one of Zabbix: look at host and port';
  const brokeOff = 'Zabbix broke off in its answer';
  const refusing = (info: unknown): Buffer => framed(JSON.stringify({ response: 'failed', info }));
  test.each<[string, (socket: Socket) => void, string, string]>([
    [
      'a refusal',
      (socket) => socket.end(refusing('the "request" cannot be read')),
      'configuration',
      'Zabbix refused the request, "the "request" cannot be read"',
    ],
    [
      'a refusal without a word',
      (socket) => socket.end(refusing(undefined)),
      'configuration',
      'Zabbix refused the request',
    ],
    [
      'no counts',
      (socket) => socket.end(framed('{"response":"success"}')),
      'configuration',
      'Zabbix refused the request',
    ],
    ['nothing', (socket) => socket.end(), 'hung-up', 'Zabbix closed the connection without an answer'],
    ['a cut connection', (socket) => socket.resetAndDestroy(), 'hung-up', 'the connection was reset (ECONNRESET)'],
    ['no JSON', (socket) => socket.end(framed('OK')), 'protocol-violation', 'the answer of Zabbix is no JSON'],
    [
      'JSON that is no object',
      (socket) => socket.end(framed('null')),
      'protocol-violation',
      'the answer of Zabbix is no JSON',
    ],
    [
      'compressed',
      (socket) => socket.end(framed('x\x9c', { flags: 3 })),
      'protocol-violation',
      'the answer of Zabbix is no JSON',
    ],
    ['an end in the header', (socket) => socket.end(counted(1, 0).subarray(0, 12)), 'hung-up', brokeOff],
    ['an end in the first four octets', (socket) => socket.end('ZB'), 'hung-up', brokeOff],
    ['an end in the middle', (socket) => socket.end(counted(1, 0).subarray(0, 40)), 'hung-up', brokeOff],
    // Nobody hangs up in these: whoever waited for the end would wait until the time is over.
    ['a greeting of POP3', (socket) => socket.write('+OK POP3 ready\r\n'), 'configuration', notZabbix],
    ['HTTP', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), 'configuration', notZabbix],
    ['a single wrong octet', (socket) => socket.write('S'), 'configuration', notZabbix],
    ['a giant length', (socket) => socket.write(framed('{', { length: 0xffff_ffff })), 'configuration', notZabbix],
    [
      'an answer without an end',
      (socket) => {
        const more = (): void => {
          if (!socket.destroyed) socket.write(Buffer.alloc(16_384, 'x'), () => setImmediate(more));
        };
        socket.write(framed('', { length: 0x1_0001 }));
        more();
      },
      'configuration',
      notZabbix,
    ],
  ])('%s', async (_, answer, reason, message) => {
    const { port, open } = await trapper(answer);
    const { delivered, refused, failure } = await deliver(zabbix(planFor(port)), numbered(2));
    expect([delivered, refused]).toEqual([[], {}]);
    expect(failure).toMatchObject({ reason, message });
    await until('the connection is closed', () => open.size === 0);
  });

  test('nobody is there', async () => {
    expect(await failureOf(zabbix(planFor(1)), [RESULT])).toMatchObject({
      reason: 'connection-refused',
      message: '127.0.0.1 port 1: the connection was refused (ECONNREFUSED)',
    });
  });

  test('silence, until the time is over: then the connection is closed', async () => {
    const { port, asked, open } = await trapper((socket, items, at) => {
      if (at === 0) socket.end(counted(items.length, 0));
    });
    const under = delivering(zabbix(planFor(port)), numbered(300));
    await until('the second request is there', () => asked.length === 2);
    under.letGo();
    await until('the connection is closed', () => open.size === 0);
    expect(under.delivered).toEqual(servicesOf(numbered(250)));
    expect(under.refused.size).toBe(0);
  });
});

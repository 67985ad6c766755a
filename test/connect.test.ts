import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { parseAddress } from '../src/runtimes/node/address.ts';
import { connectToFirst } from '../src/runtimes/node/connect.ts';

let live: Server;
let port: number;

beforeAll(async () => {
  live = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(live, 'listening');
  port = (live.address() as AddressInfo).port;
});
afterAll(() => live.close());

const addresses = (...texts: readonly string[]) =>
  texts.map((text) => parseAddress(text) ?? { address: text, family: 4 as const });

describe('of several addresses', () => {
  test('the first that answers is taken', async () => {
    const { socket, connected } = await connectToFirst(addresses('127.0.0.1', '127.0.0.2'), port).done;
    socket.destroy();
    expect(connected).toEqual({ address: '127.0.0.1', dead: [] });
  });

  test('those that refuse are passed over at once, and told of', async () => {
    const refusing = ['127.0.0.2', '127.0.0.4', '127.0.0.5', '127.0.0.6', '::1'];
    const began = performance.now();
    const { socket, connected } = await connectToFirst(addresses(...refusing, '127.0.0.1'), port).done;
    socket.destroy();
    // Waiting a quarter of a second for each would take longer than this.
    expect(performance.now() - began).toBeLessThan(1000);
    expect(connected.address).toBe('127.0.0.1');
    expect(connected.dead.map(({ address }) => address)).toEqual(refusing);
  });

  test('when all refuse, it is told of how many', async () => {
    const closed = 1; // a port that was free a moment ago may be somebody's by now
    const failure = await connectToFirst(addresses('127.0.0.1', '127.0.0.2'), closed).done.catch(
      (problem: unknown) => problem,
    );
    expect(failure).toBeInstanceOf(ProbeFailure);
    expect(failure).toMatchObject({
      reason: 'connection-refused',
      message: `127.0.0.1 port ${closed}: the connection was refused (ECONNREFUSED); none of 2 addresses answers`,
    });
  });
});

describe('an address that keeps quiet', () => {
  let silent: ChildProcess;
  const fillers: Socket[] = [];

  // A server that is stopped, its queue full: the kernel drops what knocks.
  beforeAll(async () => {
    const script = `require('net').createServer().listen({ host: '127.0.0.3', port: ${port}, backlog: 1 }, () => console.log('up'))`;
    silent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(silent.stdout as NodeJS.ReadableStream, 'data');
    silent.kill('SIGSTOP');
    for (let filler = 0; filler < 8; filler++) fillers.push(connect(port, '127.0.0.3').on('error', () => undefined));
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
  afterAll(() => {
    for (const filler of fillers) filler.destroy();
    silent.kill('SIGKILL');
  });

  test('does not cost the run: the next is tried beside it after a quarter of a second', async () => {
    const began = performance.now();
    const { socket, connected } = await connectToFirst(addresses('127.0.0.3', '127.0.0.1'), port).done;
    socket.destroy();
    expect(connected).toEqual({ address: '127.0.0.1', dead: [] });
    expect(performance.now() - began).toBeGreaterThan(240);
    expect(performance.now() - began).toBeLessThan(1500);
  });

  test('alone is waited for until it is given up', async () => {
    const { done, abandon } = connectToFirst(addresses('127.0.0.3'), port);
    const first = await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 600, 'still quiet'))]);
    abandon();
    expect(first).toBe('still quiet');
  });
});

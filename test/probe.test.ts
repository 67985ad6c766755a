import { expect, test } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { Secret } from '../src/dialogue/secret.ts';
import { probe } from '../src/probe/probe.ts';
import type { World } from '../src/probe/world.ts';
import { scriptedWorld } from './support/scripted-world.ts';

test('addresses that did not answer before the one that did are in the result', async () => {
  const failure = new ProbeFailure('connection-refused', '192.0.2.9 port 110: the connection was refused');
  const { now, timer, hash } = scriptedWorld();
  const world: World = {
    now,
    timer,
    hash,
    date: () => new Date('2026-01-16T12:00:00Z'),
    random: (length) => new Uint8Array(length),
    send: null,
    memory: null,
    token: null,
    dial: () => ({
      resolve: async () => [],
      reachProxy: async () => ({ address: '192.0.2.9', port: 1080 }),
      connect: async () => ({ address: '192.0.2.1', dead: [{ address: '192.0.2.9', failure }] }),
      secure: () => Promise.reject(new Error('no TLS in this test')),
      read: async () => null,
      write: async () => undefined,
      close: () => undefined,
    }),
  };
  const login = { kind: 'password', method: 'auto', userName: 'alice', password: new Secret('correct horse') } as const;
  const plan = {
    server: 'mail.example.com',
    mailboxServer: null,
    known: [],
    localSite: null,
    visit: {
      to: 'mail.example.com',
      port: 110,
      connectionType: 'plaintext',
      viaProxy: false,
      trustAnyCertificate: false,
      login,
    },
    link: { family: 0, proxy: null, tls: null },
    tokens: null,
    fullTest: null,
    timeoutMs: 10_000,
    perConnectionTimeoutMs: 10_000,
    trace: false,
  } as const;
  const { result } = await probe(plan, world, null, now() + 10_000);
  expect(result.address).toBe('192.0.2.1');
  expect(result.deadAddresses).toEqual([{ address: '192.0.2.9', problem: failure.message }]);
  expect(result.error).toMatchObject({ phase: 'greeting', reason: 'hung-up' });
});

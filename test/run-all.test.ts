import { expect, test } from 'vitest';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { parseRequest } from '../src/request/request.ts';
import { runAll } from '../src/run/run-all.ts';
import { nodeWorld } from '../src/runtimes/node/world.ts';
import { testsIn } from '../src/verdict/judge.ts';

test('a bug in one test, or what is wrong with its settings, is that one’s own result', async () => {
  const settings = { 'client-access-server': '127.0.0.1', 'mailbox-credential': 'probe', 'light-mode': true } as const;
  const sources = { ...nodeSources, askOnTerminal: async () => 'hunter2' };
  const request = await parseRequest(settings, { timeoutS: 5, test: 'light' }, sources);
  const broken = {
    ...request,
    plan: { ...request.plan, server: 'broken.example.com', visit: { ...request.plan.visit } },
  };
  const refused = new ProbeFailure('configuration', 'there is something wrong with it');
  let dialled = 0;
  const world = {
    ...nodeWorld,
    dial: () => {
      dialled++;
      throw new RangeError('hunter2');
    },
  };
  const aims = [
    {
      label: 'a',
      server: 'a.example.com',
      request: broken,
      addressee: null,
      isSkipped: false,
      mailboxServer: null,
      localSite: null,
      site: null,
    },
    {
      label: 'b',
      server: 'b.example.com',
      request: refused,
      addressee: null,
      isSkipped: false,
      mailboxServer: null,
      localSite: null,
      site: null,
    },
    {
      label: 'c',
      server: 'c.example.com',
      request: broken,
      addressee: null,
      isSkipped: false,
      mailboxServer: null,
      localSite: null,
      site: null,
    },
  ];
  const told: string[] = [];
  const watcher = { began: () => {}, ended: (label: string) => told.push(label) };
  const bounds = { concurrency: 20, deadline: world.now() + 5000 };
  const verdict = await runAll(aims, bounds, world, () => () => {}, watcher);
  const [a, b, c] = testsIn(verdict).map(({ text, state, result }) => [
    text,
    state,
    result.casServer,
    result.error?.reason,
  ]);
  expect(dialled).toBe(2);
  expect(a).toEqual(['a', 'unknown', 'a.example.com', 'internal-error']);
  expect(b).toEqual(['b', 'unknown', 'b.example.com', 'configuration']);
  expect(c).toEqual(['c', 'unknown', 'c.example.com', 'internal-error']);
  expect(told.sort()).toEqual(['a', 'b', 'c']);
  expect(JSON.stringify(verdict)).not.toContain('hunter2');
});

import { describe, expect, test } from 'vitest';
import { nodeSources } from '../../src/credentials/sources.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { parseRequest, type Request } from '../../src/request/request.ts';
import { type Aim, runAll } from '../../src/run/run-all.ts';
import { nodeWorld } from '../../src/runtimes/node/world.ts';
import { testsIn } from '../../src/verdict/judge.ts';

const NO_ROLE = new ProbeFailure('configuration', 'it has no Client Access role', { phase: 'directory' });
const aim = (label: string, request: Aim['request'], isSkipped = false): Aim => ({
  ...{
    label,
    server: label,
    request,
    addressee: null,
    isSkipped,
    mailboxServer: null,
    localSite: 'Site-A',
    site: 'Site-A',
  },
});
const skipped = (label: string): Aim => aim(label, NO_ROLE, true);
const wrong = (label: string): Aim => aim(label, new ProbeFailure('usage', 'its settings are wrong'));

/** A server that cannot even be dialled: a bug, which is UNKNOWN and its own alone. */
async function tested(label: string): Promise<Aim> {
  const settings = { 'client-access-server': label, 'mailbox-credential': 'probe', 'light-mode': true } as const;
  const sources = { ...nodeSources, askOnTerminal: async () => 'hunter2' };
  const request: Request = await parseRequest(settings, { timeoutS: 5, test: 'light' }, sources);
  return aim(label, { ...request, plan: { ...request.plan, localSite: 'Site-A' } });
}

async function states(...aims: readonly Aim[]) {
  const world = {
    ...nodeWorld,
    dial: () => {
      throw new RangeError('there is no world');
    },
  };
  const bounds = { concurrency: 20, deadline: world.now() + 5000 };
  const verdict = await runAll(aims, bounds, world, () => () => {}, { began: () => {}, ended: () => {} });
  const rows = testsIn(verdict).map(
    ({ text, state, result }) => `${text} ${state} ${result.result} ${result.localSite}`,
  );
  return { worst: verdict.state, rows };
}

describe('a server that has nothing to be tested', () => {
  test('does not count beside one that was tested', async () => {
    const { worst, rows } = await states(skipped('edge'), await tested('192.0.2.1'));
    expect(rows).toEqual(['192.0.2.1 unknown Failure Site-A', 'edge ok Skipped Site-A']);
    // By the one that was tested.
    expect(worst).toBe('unknown');
  });

  test('does not count beside one whose settings are wrong, which does', async () => {
    expect(await states(skipped('edge'), wrong('mail'))).toEqual({
      worst: 'unknown',
      rows: ['edge ok Skipped Site-A', 'mail unknown Failure Site-A'],
    });
  });

  test('is UNKNOWN where there are only such: nobody knows whether anything works', async () => {
    expect(await states(skipped('edge'), skipped('um'))).toEqual({
      worst: 'unknown',
      rows: ['edge unknown Skipped Site-A', 'um unknown Skipped Site-A'],
    });
  });
});

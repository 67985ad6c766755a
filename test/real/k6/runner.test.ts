import { describe, expect, test } from 'vitest';
import { missing, pathOf } from '../../support/installed.ts';
import { GO_RACE } from '../../support/k6-runner.ts';
import { type Ended, launch } from '../../support/run.ts';

const MODULE = new URL('../../k6/', import.meta.url).pathname;
/** The first time modules are fetched and everything is compiled, twice: with and without the race detector. */
const LONGEST_MS = 600_000;

describe.skipIf(missing(GO_RACE))('what runs the tests of the modules for k6, in Go', () => {
  const go = (...argv: readonly string[]): Promise<Ended> => launch(pathOf('go'), argv, { cwd: MODULE });

  test('is laid out as gofmt has it', async () => {
    expect(await launch(pathOf('gofmt'), ['-l', 'runner'], { cwd: MODULE })).toMatchObject({ stdout: '', code: 0 });
  });

  test('has nothing go vet finds fault with', { timeout: LONGEST_MS }, async () => {
    const { stderr, code } = await go('vet', './...');
    expect(stderr.replace(/^go: downloading .*\n/gm, '')).toBe('');
    expect(code).toBe(0);
  });

  test('passes its own tests, without a race and with nothing left running', { timeout: LONGEST_MS }, async () => {
    const { stdout, stderr, code } = await go('test', '-race', '-count=1', './...');
    expect({ stdout, stderr, code }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^ok\s+\S+\/runner\s/m);
  });
});

import { describe, expect, test } from 'vitest';
import { missing, pathOf } from '../../support/installed.ts';
import { GO_RACE } from '../../support/k6-runner.ts';
import { type Ended, launch } from '../../support/run.ts';

/** The first time modules are fetched and everything is compiled, twice: with and without the race detector. */
const LONGEST_MS = 600_000;

describe.skipIf(missing(GO_RACE)).each([
  ['the transport of k6/x/pop3', '../../../plugins/k6/xk6-pop3/', ['link', 'script']],
  ['what runs the tests of the modules for k6', '../../k6/', ['runner']],
])('%s, in Go', (_, folder, packages) => {
  const cwd = new URL(folder, import.meta.url).pathname;
  const go = (...argv: readonly string[]): Promise<Ended> => launch(pathOf('go'), argv, { cwd });

  test('is laid out as gofmt has it', async () => {
    expect(await launch(pathOf('gofmt'), ['-l', '.'], { cwd })).toMatchObject({ stdout: '', code: 0 });
  });

  test('has nothing go vet finds fault with', { timeout: LONGEST_MS }, async () => {
    const { stderr, code } = await go('vet', './...');
    expect(stderr.replace(/^go: downloading .*\n/gm, '')).toBe('');
    expect(code).toBe(0);
  });

  test('passes its own tests, without a race and with nothing left running', { timeout: LONGEST_MS }, async () => {
    const { stdout, stderr, code } = await go('test', '-race', '-count=1', './...');
    expect({ stdout, stderr, code }).toMatchObject({ code: 0 });
    for (const one of packages) expect(stdout).toMatch(new RegExp(`^ok\\s+\\S+/${one}\\s`, 'm'));
  });
});

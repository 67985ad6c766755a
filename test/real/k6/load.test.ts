import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { builtRunner, GO, GO_RACE, runScript } from '../../support/k6-runner.ts';
import { ROOMY } from '../../support/roomy-dovecot.ts';
import { privateFolder } from '../../support/run.ts';

/** Many virtual users at once: every session goes well, each is measured, and nothing is left of any. */

const SCRIPT = (bundle: string): string => `
  import { probe } from ${JSON.stringify(new URL(`../../../dist/${bundle}.js`, import.meta.url).pathname)};
  const given = { ...JSON.parse(__ENV.OPTIONS), ca: __ENV.CA === undefined ? undefined : open(__ENV.CA) };
  export default async () => {
    const { error } = await probe({ ...given, userName: 'user' + (__VU - 1) });
    if (error !== null) throw new Error(error.reason + ': ' + error.message);
  };
`;

const PASSWORD = 'correct horse';
const MOST = 200;

describe.skipIf(missing(GO, DOVECOT))('many virtual users', () => {
  const folder = privateFolder();
  const scripts = { xk6: folder.file('xk6.js', SCRIPT('pop3.xk6')), tcp: folder.file('tcp.js', SCRIPT('pop3.k6')) };
  const caFile = join(folder.path, 'ca.pem');
  let dovecot: Dovecot;

  beforeAll(async () => {
    await builtRunner();
    const authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    const identity = await authority.issue({ names: ['localhost'] });
    // Each has a mailbox of its own: a mailbox takes one at a time.
    const users = Object.fromEntries(Array.from({ length: MOST }, (_, at) => [`user${at}`, PASSWORD]));
    dovecot = await startDovecot({ users, identity, config: ROOMY });
  });
  afterAll(() => dovecot?.stop());

  test.each([
    ['xk6', 'plaintext', 1],
    ['xk6', 'plaintext', 50],
    ['xk6', 'plaintext', MOST],
    ['xk6', 'tls', 10],
    ['xk6', 'tls', 50],
    ['xk6', 'ssl', 10],
    ['tcp', 'plaintext', 10],
    ['tcp', 'plaintext', MOST],
    ['tcp', 'ssl', 50],
  ] as const)('%s, %s, %d at once', async (by, connectionType, vus) => {
    const iterations = Math.max(50, 2 * vus);
    const port = connectionType === 'ssl' ? dovecot.tlsPort : dovecot.port;
    const given = { server: 'localhost', port, connectionType, password: PASSWORD, timeout: 60 };
    const { report, points } = await runScript(
      ['--vus', String(vus), '--iterations', String(iterations), '-e', `OPTIONS=${JSON.stringify(given)}`, scripts[by]],
      { env: { SSL_CERT_FILE: caFile } },
    );
    expect(report).toMatchObject({ iterations, failed: 0, interrupted: 0, errors: [] });
    expect([report.goroutinesLeft, report.socketsLeft]).toEqual([0, 0]);
    const measured = (metric: string) => points.filter((point) => point.metric === metric).map(({ value }) => value);
    expect(measured('pop3_session_success')).toEqual(Array.from({ length: iterations }, () => 1));
    expect(measured(by === 'xk6' ? 'pop3_sockets' : 'tcp_sockets')).toHaveLength(iterations);
    expect(measured('pop3_session_duration')).toHaveLength(iterations);
    // They were at it at the same time, not one after the other.
    if (vus > 1) {
      const together = measured('pop3_session_duration').reduce((sum, ms) => sum + ms / 1000, 0);
      expect(together).toBeGreaterThan(report.seconds * 1.5);
    }
  });

  describe.skipIf(missing(GO_RACE))('under the race detector', () => {
    test.each([
      ['xk6', 'tls'],
      ['tcp', 'ssl'],
      ['tcp', 'plaintext'],
    ] as const)('%s, %s: no two of them touch the same thing', { timeout: 300_000 }, async (by, connectionType) => {
      const port = connectionType === 'ssl' ? dovecot.tlsPort : dovecot.port;
      const given = { server: 'localhost', port, connectionType, password: PASSWORD, timeout: 60 };
      // A race ends it with 66, and with words on standard error.
      const { report, stderr } = await runScript(
        ['--vus', '20', '--iterations', '100', '-e', `OPTIONS=${JSON.stringify(given)}`, scripts[by]],
        { env: { SSL_CERT_FILE: caFile } },
        ['-race'],
      );
      expect(stderr).toBe('');
      expect(report).toMatchObject({ iterations: 100, failed: 0, goroutinesLeft: 0, socketsLeft: 0 });
    });
  });
});

import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { CURL, fetchFirst, submit } from '../../support/curl.ts';
import { EXIM, type Exim, type EximOptions, startExim } from '../../support/exim.ts';
import { missing } from '../../support/installed.ts';
import { VIEW_OF_FILES } from '../../support/own-view.ts';
import { processesIn } from '../../support/processes.ts';
import { privateFolder } from '../../support/run.ts';

const USER = 'probe@example.com';
const PASSWORD = 'opén: sesame"\\{$}';
const MESSAGE = 'Subject: hello\r\n\r\nfirst line\r\nsecond line\r\n';

describe.skipIf(missing(EXIM, VIEW_OF_FILES, CURL))('the Exim of the tests', () => {
  const authorityFile = join(privateFolder().path, 'ca.pem');
  let identity: EximOptions['identity'];
  let exim: Exim;

  const logon = () => ({ authorityFile, from: USER, password: PASSWORD });
  const send = ({ port }: Exim, changes: Partial<Parameters<typeof submit>[0]> = {}) =>
    submit({ ...logon(), port, to: USER, message: MESSAGE, ...changes });
  const start = (options: Partial<EximOptions> = {}) =>
    startExim({ identity, users: { [USER]: PASSWORD }, ...options });
  const arrived = ({ courier }: Exim) => expect.poll(() => courier.messages(), { timeout: 10_000 });

  beforeAll(async () => {
    const authority = await createAuthority('Harness Test CA');
    await writeFile(authorityFile, authority.certificate);
    identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
    exim = await start();
  });
  afterAll(() => exim?.stop());

  it.each([false, true])("carries a message into Courier's mailbox (implicit TLS: %s)", async (implicitTls) => {
    const before = await exim.courier.messages();
    expect(await send(exim, { port: implicitTls ? exim.tlsPort : exim.port, implicitTls })).toMatch(/^250 OK id=/);
    await arrived(exim).toBe(before + 1);
    expect(await fetchFirst({ ...logon(), port: exim.courier.tlsPort })).toContain('first line\r\nsecond line\r\n');
  });

  it.each([
    ['a wrong password', { password: 'wrong' }, '535 Incorrect authentication data'],
    ['a recipient who is not there', { to: 'other@example.com' }, '550 Unrouteable address'],
    ['a recipient elsewhere', { to: 'probe@example.org' }, '550 Relay not permitted'],
  ])('refuses %s', async (_, changes, answer) => {
    expect(await send(exim, changes)).toBe(answer);
  });

  it('doubles messages; several run side by side, and a stopped one leaves nothing behind', async () => {
    const other = await start({ duplicates: true });
    expect(await send(other)).toMatch(/^250 OK id=/);
    await arrived(other).toBe(2);
    expect(await processesIn(other.folder)).not.toEqual([]);
    await other.stop();
    for (const { folder } of [other, other.courier]) {
      expect(existsSync(folder)).toBe(false);
      expect(await processesIn(folder)).toEqual([]);
    }
    expect(await send(other)).toMatch(/Failed to connect|refused/);
    expect(await send(exim)).toMatch(/^250 OK id=/);
  });
});

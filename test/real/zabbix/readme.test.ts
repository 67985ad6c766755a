import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { installed, missing } from '../../support/installed.ts';
import { NAGIOS4 } from '../../support/nagios4.ts';
import { OWN_MACHINE, type OwnMachine, ROOT, startOwnMachine } from '../../support/own-machine.ts';
import type { Ended } from '../../support/run.ts';
import { ZABBIX } from '../../support/zabbix.ts';

const PROJECT = new URL('../../..', import.meta.url).pathname;

const MAIL_HOSTS = {
  'mail.example.com': '127.0.0.11',
  'mail1.example.com': '127.0.0.12',
  'mail2.example.com': '127.0.0.13',
  'mail3.example.com': '127.0.0.14',
};

/** What of /var/lib the machine has for itself. */
const ELSEWHERE = ['/var/lib/zabbix', '/var/lib/nagios/zabbix'] as const;

/**
 * What the README tells to type, in its order; a block in a list is indented. What hands results over wants a Zabbix:
 * external.test.ts has that.
 */
const BLOCKS = [
  ...readFileSync(join(PROJECT, 'plugins/zabbix/README.md'), 'utf8').matchAll(/^( *)```sh\n([\s\S]*?)^\1```$/gm),
]
  .map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
  .filter((block) => !block.includes('--deliver'))
  .map((block) => block.replaceAll(...ELSEWHERE));

// The machine of a test belongs to Nagios' user.
describe.skipIf(missing(ZABBIX, DOVECOT, NAGIOS4, OWN_MACHINE, ROOT))('the README, from nothing to a value', () => {
  let machine: OwnMachine;
  let dovecot: Dovecot;

  beforeAll(async () => {
    const authority = await createAuthority('Example Test CA');
    const identity = await authority.issue({ names: Object.keys(MAIL_HOSTS) });
    dovecot = await startDovecot({ identity, users: { 'probe@example.com': 'the password' } });
    machine = await startOwnMachine({ hosts: MAIL_HOSTS, trusts: authority.certificate });
    for (const address of Object.values(MAIL_HOSTS)) await machine.listen(address, 110, () => dovecot.port);
    await machine.listen(MAIL_HOSTS['mail3.example.com'], 995, () => dovecot.tlsPort);
  });
  afterAll(async () => {
    await machine?.remove();
    await dovecot?.stop();
  });

  const type = (block: string): Promise<Ended> =>
    machine.run(['sh', '-e', '-c', block], {
      as: 'root',
      cwd: PROJECT,
      env: { PATH: `/usr/sbin:/usr/bin:/sbin:/bin:${join(installed('node') ?? '', '..')}` },
    });

  test('there is something to type', () => {
    expect(BLOCKS.length).toBeGreaterThanOrEqual(5);
  });

  test.each(BLOCKS.map((block) => [block.split('\n', 1)[0], block] as const))('%s …', async (_, block) => {
    const { code, stdout, stderr } = await type(block);
    expect([code, stderr], stdout).toEqual([0, '']);
    if (block.includes('runuser'))
      expect(JSON.parse(stdout)).toMatchObject({ state: 'OK', server: 'mail.example.com' });
  });

  const asZabbix = (options: string): Promise<Ended> =>
    type(`runuser -u zabbix -- /etc/zabbix/externalscripts/zabbix_pop3 ${options}`);
  const MAILBOX = '--mailbox-credential=probe@example.com --password-file=/etc/zabbix/pop3.password';

  test('the farm is tested, with the file as it is', async () => {
    const { stdout } = await asZabbix(`--targets=/etc/zabbix/pop3-farm.yaml ${MAILBOX}`);
    const { state, servers } = JSON.parse(stdout);
    expect(state).toBe('OK');
    expect(servers.map(({ server }: { server: string }) => server)).toEqual(Object.keys(MAIL_HOSTS).slice(1));
  });

  test("what runs of a round trip leave for each other has its place, which is nobody else's", async () => {
    const { stdout } = await type(`stat -c '%U %a' ${ELSEWHERE[1]}/pop-connectivity`);
    expect(stdout).toBe('zabbix 700\n');
    const { line } = await asZabbix(
      `-H mail.example.com ${MAILBOX} --split --state-dir=${ELSEWHERE[1]}/pop-connectivity`,
    );
    expect(JSON.parse(line)).toMatchObject({ phase: 'send' }); // nobody listens on port 587 here
    expect(JSON.parse(line).text).not.toContain('--state-dir');
    expect((await type(`ls -A ${ELSEWHERE[1]}/pop-connectivity`)).stdout).not.toBe('');
  });

  test('the password is for Zabbix alone: another user gets none', async () => {
    const { stdout } = await type("stat -c '%U %G %a' /etc/zabbix/pop3.password");
    expect(stdout).toBe('root zabbix 640\n');
    const other = await type(
      `runuser -u nobody -- /etc/zabbix/externalscripts/zabbix_pop3 -H mail.example.com ${MAILBOX} || true`,
    );
    expect(other.line).toMatch(/^POP3 UNKNOWN - configuration, /);
  });
});

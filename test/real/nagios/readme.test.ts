import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { installed, missing } from '../../support/installed.ts';
import { MAIL_HOSTS, USERS } from '../../support/monitored.ts';
import { COMMAND_FILE, NAGIOS4, type ServiceStatus, SHIPPED, serviceStatus } from '../../support/nagios4.ts';
import { NRPE } from '../../support/nrpe.ts';
import { OWN_MACHINE, type OwnMachine, ROOT, startOwnMachine } from '../../support/own-machine.ts';
import { POSTFIX, type Postfix, startPostfix } from '../../support/postfix.ts';
import { until } from '../../support/until.ts';

const PROJECT = new URL('../../..', import.meta.url).pathname;

/** What the README tells to type, in its order. A block in a list is indented. */
const BLOCKS = [...readFileSync(join(SHIPPED, 'README.md'), 'utf8').matchAll(/^( *)```sh\n([\s\S]*?)^\1```$/gm)].map(
  ([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
);

const EXEC_START =
  /^ExecStart=((?:.*\\\n)*.*)$/m.exec(readFileSync(join(SHIPPED, 'pop3-sweep.service'), 'utf8'))?.[1] ?? '';

/**
 * The machine has no systemd. What stands here for `systemctl` starts Debian's services by their scripts, and ours by
 * its ExecStart, with the folder and the credential that it asks for.
 */
const SYSTEMCTL = `#!/bin/sh
set -e
case "$*" in
'restart nagios4') exec /etc/init.d/nagios4 restart ;;
'reload nagios4') exec /etc/init.d/nagios4 reload ;;
'restart nagios-nrpe-server') exec /etc/init.d/nagios-nrpe-server restart ;;
'daemon-reload') exec systemd-analyze verify /etc/systemd/system/pop3-sweep.service /etc/systemd/system/pop3-sweep.timer ;;
'enable --now pop3-sweep.timer') exec test -e /etc/systemd/system/pop3-sweep.timer ;;
'start pop3-sweep.service') ;;
*) exit 1 ;;
esac
install -d -m 700 -o nagios /run/credentials /run/state
install -m 400 -o nagios /etc/nagios4/pop3.ini /run/credentials/pop3.ini
export CREDENTIALS_DIRECTORY=/run/credentials STATE_DIRECTORY=/run/state
exec runuser -u nagios -- sh -c '${EXEC_START}'
`;

describe.skipIf(missing(NAGIOS4, NRPE, POSTFIX, OWN_MACHINE, ROOT))(
  'the README, from nothing to green services',
  () => {
    let machine: OwnMachine;
    let postfix: Postfix;

    beforeAll(async () => {
      const authority = await createAuthority('Example Test CA');
      const identity = await authority.issue({ names: Object.keys(MAIL_HOSTS) });
      postfix = await startPostfix({ identity, users: USERS });
      machine = await startOwnMachine({ hosts: MAIL_HOSTS, trusts: authority.certificate });
      for (const address of Object.values(MAIL_HOSTS)) await machine.listen(address, 110, () => postfix.dovecot.port);
      await machine.listen(MAIL_HOSTS['mail.example.com'], 587, () => postfix.port);
      await machine.write('/run/stand-in/systemctl', SYSTEMCTL, { mode: 0o755 });
    });
    afterAll(async () => {
      await machine?.remove();
      await postfix?.stop();
    });

    async function isGreen(host: string, description: string): Promise<ServiceStatus> {
      let status: ServiceStatus = {};
      const isSo = async (): Promise<boolean> => {
        status = await serviceStatus(machine, host, description).catch(() => ({}));
        return status.has_been_checked === '1' && status.current_state === '0';
      };
      // Debian's Nagios reads results every 10 s, and tells of them every 10 s.
      await until(`${description} of ${host} is green`, isSo).catch(() =>
        until(`${description} of ${host} is green`, isSo),
      );
      return status;
    }

    test.each(BLOCKS.map((block) => [block.split('\n', 1)[0], block]))('%s …', async (_, block) => {
      const PATH = `/run/stand-in:/usr/sbin:/usr/bin:/sbin:/bin:${join(installed('node') ?? '', '..')}`;
      if (block?.includes('check_nrpe')) {
        const answers = ['/usr/lib/nagios/plugins/check_nrpe', '-H', 'localhost'];
        await until('NRPE answers', async () => (await machine.run(answers)).code === 0);
      }
      const { code, stdout, stderr } = await machine.run(['sh', '-e', '-c', block as string], {
        as: 'root',
        cwd: PROJECT,
        env: { PATH },
      });
      expect(code, stdout + stderr).toBe(0);
      if (block?.includes('SCHEDULE_FORCED_SVC_CHECK')) await isGreen('mail', 'POP3 logon');
      if (block?.includes('runuser') || block?.includes('check_nrpe')) {
        expect(stdout).toMatch(/^POP3 OK - mail\.example\.com: logon .* certificate=\d+;21:;7:$/m);
      }
      if (block?.includes('start pop3-sweep.service')) {
        expect(stdout).toMatch(/^POP3 OK - 2 servers, 2 ok .*\n(?:\[OK\] .*\n){2}DELIVERY OK - nagios .*: 2 results/m);
      }
    });

    test('the round trip is green, and so are the services of the sweep', async () => {
      const now = Math.floor(Date.now() / 1000);
      const command = `[${now}] SCHEDULE_FORCED_SVC_CHECK;mail;POP3 round trip;${now}`;
      await machine.run(['sh', '-c', `echo '${command}' >${COMMAND_FILE}`]);
      const { plugin_output } = await isGreen('mail', 'POP3 round trip');
      expect(plugin_output).toMatch(/^POP3 OK - mail\.example\.com: round trip /);
      // As the timer does; the first sweep may have come before Nagios had read farm.cfg.
      await machine.run(['/run/stand-in/systemctl', 'start', 'pop3-sweep.service'], { as: 'root' });
      await isGreen('mail1', 'POP3');
      await isGreen('mail2', 'POP3');
      expect(await postfix.dovecot.messages('probe@example.com')).toBe(0);
    });

    test('the password can be read by root and the monitoring user alone', async () => {
      const { stdout } = await machine.run(['stat', '-c', '%A %U %G', '/etc/nagios4/pop3.ini', '/etc/nagios/pop3.ini']);
      expect(stdout).toBe('-rw-r----- root nagios\n-rw-r----- root nagios\n');
    });
  },
);

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { ICINGA2 } from '../../support/icinga2.ts';
import { configure, NAGIOS4, type Nagios4, type ServiceStatus, SHIPPED } from '../../support/nagios4.ts';
import { OWN_MACHINE, type OwnMachine, ROOT, startOwnMachine } from '../../support/own-machine.ts';
import { CHECK_POP3 } from '../../support/run.ts';
import { until } from '../../support/until.ts';
import { type Example, exampleOf, obey, PROJECT } from './document.ts';

/** What every example needs, for `missing()`. */
export const WORKPLACE = [NAGIOS4, ICINGA2, OWN_MACHINE, ROOT];

/** An administrator's monitoring machine, on which check_pop3 and our files for Nagios are installed. */
export interface Workplace {
  readonly machine: OwnMachine;
  /** Whom the machine trusts. */
  readonly authority: Authority;
  readonly example: Example;
}

/**
 * @param heading how the heading of the example begins in docs/examples.md
 * @param hosts addresses by name: all of them are of the machine's loopback
 * @param authority whom it trusts; one of its own by default
 */
export async function startWorkplace(
  heading: string,
  hosts: Readonly<Record<string, readonly string[]>>,
  authority?: Authority,
): Promise<Workplace> {
  const trusted = authority ?? (await createAuthority('Example Test CA'));
  const machine = await startOwnMachine({ hosts: {}, trusts: trusted.certificate });
  try {
    await install(machine);
    const lines = Object.entries(hosts).flatMap(([name, addresses]) => addresses.map((each) => `${each} ${name}\n`));
    await machine.write('/etc/hosts', `127.0.0.1 localhost\n${lines.join('')}`);
    for (const address of new Set(Object.values(hosts).flat())) {
      if (!address.startsWith('127.')) await obey(machine, `ip address add ${address}/32 dev lo`);
    }
    await obey(machine, exampleOf().commands.join(''));
    return { machine, authority: trusted, example: exampleOf(heading) };
  } catch (error) {
    await machine.remove();
    throw error;
  }
}

/** There is no systemd on it: the test starts what was to be reloaded. */
const SYSTEMCTL = `#!/bin/sh
case "$*" in
'reload nagios4' | 'reload icinga2' | 'restart icinga2') exit 0 ;;
esac
exit 64
`;

/** As plugins/nagios/README.md has it. */
async function install(machine: OwnMachine): Promise<void> {
  await machine.write('/run/stand-in/systemctl', SYSTEMCTL, { mode: 0o755 });
  await machine.run(['mkdir', '-p', PROJECT], { as: 'root' });
  await obey(machine, 'mount -t tmpfs none /usr/local/sbin; cp /run/stand-in/systemctl /usr/local/sbin/');
  const shipped = (name: string): Promise<string> => readFile(join(SHIPPED, name), 'utf8');
  await machine.write('/usr/lib/nagios/plugins/check_pop3', await readFile(CHECK_POP3, 'utf8'), { mode: 0o755 });
  await machine.write('/etc/nagios-plugins/config/check_pop3.cfg', await shipped('check_pop3.cfg'));
  await machine.write('/etc/nagios4/conf.d/pop3.cfg', await shipped('services.cfg'));
  await machine.write('/etc/nagios4/pop3.ini', await shipped('pop3.ini'), { mode: 0o640, group: 'nagios' });
  await configure(machine);
}

/** A service's status in Nagios, once it has that state for good. */
export async function settled(
  nagios: Nagios4,
  host: string,
  description: string,
  state: number,
): Promise<ServiceStatus> {
  let status: ServiceStatus = {};
  await until(`${host}!${description} is in state ${state}`, async () => {
    status = await nagios.service(host, description);
    return status.has_been_checked === '1' && status.state_type === '1' && status.current_state === String(state);
  });
  return status;
}

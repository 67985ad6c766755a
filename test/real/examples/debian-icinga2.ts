import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attributes, SHIPPED } from '../../support/icinga2.ts';
import type { OwnMachine } from '../../support/own-machine.ts';
import { until } from '../../support/until.ts';
import { obey, PROJECT } from './document.ts';

/** Debian's Icinga 2 on a machine, with everything where its package and an administrator have it. */
export interface DebianIcinga2 {
  /** Starts it, or starts it anew; resolves when its API answers. */
  restart(): Promise<void>;
  /** Ends it. */
  stop(): Promise<void>;
  /** A host's attributes. */
  host(name: string): Promise<Attributes>;
  /** A service's attributes; its name is host and service with `!` between. */
  service(name: string): Promise<Attributes>;
  /** Has the service checked at once, and waits for what comes of it. */
  check(name: string): Promise<Attributes>;
}

/** It is in the document. */
const NODE_NAME = 'monitor.example.com';

/** What nobody but the test is to be, and to do. */
const TESTER = `
object ApiUser "test" {
  password = "of the tests"
  permissions = [ "*" ]
}
`;

const README = readFileSync(join(SHIPPED, 'README.md'), 'utf8');

/**
 * Sets it up as its package does, and by our README: with our files, its API, and a user of that who may deliver. Its
 * sample services go, and nobody is told by mail.
 */
export async function furnishIcinga2(machine: OwnMachine): Promise<DebianIcinga2> {
  for (const place of ['/var/lib/icinga2', '/var/log/icinga2', '/var/cache/icinga2', '/var/spool/icinga2']) {
    await obey(
      machine,
      `mkdir -p /run/own${place}; cp -a ${place}/. /run/own${place}; mount --bind /run/own${place} ${place}`,
    );
    await obey(machine, `chown -R nagios:nagios ${place}`);
  }
  await obey(machine, '/usr/lib/icinga2/prepare-dirs /usr/lib/icinga2/icinga2');
  await obey(machine, 'cd /etc/icinga2; rm conf.d/services.conf conf.d/apt.conf features-enabled/notification.conf');
  await machine.write('/etc/icinga2/conf.d/test.conf', TESTER);
  for (const name of ['check_pop3.conf', 'services.conf', 'api-users.conf']) {
    await machine.write(`${PROJECT}/plugins/icinga2/${name}`, readFileSync(join(SHIPPED, name), 'utf8'));
  }
  const blocks = [...README.matchAll(/^( *)```sh\n(.*?)^\1```$/gms)].map(([, , text = '']) => text);
  for (const words of ['conf.d/pop3\n', 'icinga2 api setup']) {
    const [block = 'false'] = blocks.filter((text) => text.includes(words));
    // The name would be that of the machine that runs the tests.
    await obey(machine, block.replace('icinga2 api setup\n', `icinga2 api setup --cn ${NODE_NAME}\n`));
  }
  return operate(machine);
}

const START_LIMIT_MS = 60_000;
const OUTPUT = '/tmp/icinga2.log';

function operate(machine: OwnMachine): DebianIcinga2 {
  let running: ReturnType<OwnMachine['start']> | null = null;

  async function api(path: string, body?: unknown): Promise<{ readonly status: number; readonly text: string }> {
    const config = [
      ...['silent', 'max-time = 20', 'header = "Accept: application/json"', 'user = "test:of the tests"'],
      ...['cacert = "/var/lib/icinga2/certs/ca.crt"', `connect-to = "::127.0.0.1:5665"`],
      ...[`url = "https://${NODE_NAME}:5665${path}"`, 'write-out = "\\n%{http_code}"'],
      ...(body === undefined ? [] : [`data = ${JSON.stringify(JSON.stringify(body))}`]),
    ];
    const { stdout } = await machine.run(['curl', '--config', '-'], { stdin: config.join('\n') });
    const end = stdout.lastIndexOf('\n');
    return { status: Number(stdout.slice(end + 1)), text: stdout.slice(0, end) };
  }

  async function object(type: 'hosts' | 'services', name: string): Promise<Attributes> {
    const { status, text } = await api(`/v1/objects/${type}/${encodeURIComponent(name)}`);
    if (status !== 200) throw new Error(`${name}: ${status} ${text}`);
    return JSON.parse(text).results[0].attrs;
  }

  const icinga: DebianIcinga2 = {
    async stop() {
      if (running?.pid === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const ended = once(running, 'exit');
      process.kill(-running.pid, 'SIGKILL');
      await ended;
    },
    async restart() {
      await icinga.stop();
      const child = machine.start(['icinga2', 'daemon'], OUTPUT, { as: 'root' });
      running = child;
      for (const limit = Date.now() + START_LIMIT_MS; (await api('/v1')).status !== 200; await sleep(100)) {
        if (child.exitCode === null && Date.now() < limit) continue;
        const said = await readFile(machine.path(OUTPUT), 'utf8');
        throw new Error(`Icinga 2 did not start:\n${said.slice(-3_000)}`);
      }
    },
    host: (name) => object('hosts', name),
    service: (name) => object('services', name),
    async check(name) {
      const { last_check_result: before } = await icinga.service(name);
      const filter = { type: 'Service', filter: 'service.__name == name', filter_vars: { name }, force: true };
      const { status, text } = await api('/v1/actions/reschedule-check', filter);
      if (status !== 200) throw new Error(`${name}: ${status} ${text}`);
      let now: Attributes = {};
      await until(`a check of ${name}`, async () => {
        now = await icinga.service(name);
        return now.last_check_result !== null && now.last_check_result.execution_start !== before?.execution_start;
      });
      return now;
    },
  };
  return icinga;
}

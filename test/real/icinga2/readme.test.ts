import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { ICINGA2, SHIPPED } from '../../support/icinga2.ts';
import { missing, type Program } from '../../support/installed.ts';
import { OWN_MACHINE, type OwnMachine, ROOT, startOwnMachine } from '../../support/own-machine.ts';
import { CHECK_POP3, type Ended } from '../../support/run.ts';
import { until } from '../../support/until.ts';

/** Debian's own configuration is what the README adds to. */
const DEBIAN: Program = {
  name: "Debian's configuration of Icinga 2",
  commands: ['/usr/lib/icinga2/prepare-dirs', '/usr/lib/icinga2/safe-reload', 'runuser', 'openssl', 'curl'],
  install: 'apt-get install icinga2-bin openssl curl',
};

const README = readFileSync(`${SHIPPED}/README.md`, 'utf8');
const PROJECT = '/run/project';
const NODE = dirname(process.execPath);
const MAIL = 'mail.example.com';
const USER = { name: 'probe@example.com', password: 'the password' };

/** Where the mail servers of the README are, and what they are called. */
const SERVERS: Readonly<Record<string, string>> = {
  'mail.example.com': '192.0.2.25',
  'mail1.example.com': '192.0.2.31',
  'mail2.example.com': '192.0.2.32',
};

/** The blocks of the README, as they stand. */
const BLOCKS = Array.from(README.matchAll(/^( *)```\w*\n(.*?)^\1```$/gms), ([, indent = '', text = '']) => ({
  text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
}));

const used = new Set<string>();
const block = (beginning: string): string => {
  const [found, second] = BLOCKS.filter(({ text }) => text.startsWith(beginning));
  if (found === undefined || second !== undefined)
    throw new Error(`not one block of the README begins so: ${beginning}`);
  used.add(found.text);
  return found.text;
};

/** The machine has no systemd. This does what the lines of Debian's unit do, and nothing else is put in another's place. */
const SYSTEMCTL = `#!/bin/sh
set -e
case "$1 $2" in
"reload icinga2") exec /usr/lib/icinga2/safe-reload /usr/lib/icinga2/icinga2 ;;
"restart icinga2")
  if [ -e /run/icinga2/icinga2.pid ]; then
    pid=$(cat /run/icinga2/icinga2.pid)
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  /usr/lib/icinga2/prepare-dirs /usr/lib/icinga2/icinga2
  umask 0007
  setsid /usr/sbin/icinga2 daemon --close-stdio -e /var/log/icinga2/error.log >/run/icinga2.log 2>&1 </dev/null &
  ;;
*) exit 64 ;;
esac
`;

describe.skipIf(missing(ICINGA2, DOVECOT, OWN_MACHINE, ROOT, DEBIAN))('the README for Icinga 2, as it stands', () => {
  let authority: Authority;
  let dovecot: Dovecot;
  let machine: OwnMachine;

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    dovecot = await startDovecot({
      users: { [USER.name]: USER.password },
      identity: await authority.issue({ names: Object.keys(SERVERS) }),
    });
    machine = await startOwnMachine({ hosts: SERVERS, trusts: authority.certificate });
    await machine.write(`${PROJECT}/dist/check_pop3`, readFileSync(CHECK_POP3, 'utf8'));
    for (const address of Object.values(SERVERS)) {
      await succeed(`ip address add ${address}/32 dev lo`);
      await machine.listen(address, 110, () => dovecot.port);
    }
    // New and its own, where Debian's package has them.
    for (const place of ['/var/lib/icinga2', '/var/log/icinga2', '/var/cache/icinga2', '/var/spool/icinga2']) {
      await succeed(
        `mkdir -p /run/own${place} && cp -a ${place}/. /run/own${place} && mount --bind /run/own${place} ${place}`,
      );
      await succeed(`chown -R nagios:nagios ${place}`);
    }
    for (const name of ['check_pop3.conf', 'services.conf', 'notifications.conf', 'api-users.conf']) {
      await machine.write(`${PROJECT}/plugins/icinga2/${name}`, readFileSync(`${SHIPPED}/${name}`, 'utf8'));
    }
    await machine.write('/run/stand-ins/systemctl', SYSTEMCTL, { mode: 0o755 });
    // An Icinga as it is after its installation, with a way to ask for a check and to hear what came of it.
    await machine.write(
      '/etc/icinga2/features-available/perfdata.conf',
      'object PerfdataWriter "perfdata" { rotation_interval = 1s }\n', // until then it keeps to itself what it wrote
    );
    await succeed('icinga2 feature enable command perfdata && systemctl restart icinga2');
    await until('Icinga runs', async () => (await asRoot('test -p /run/icinga2/cmd/icinga2.cmd')).code === 0);
  });
  afterAll(async () => {
    await machine?.remove();
    await dovecot?.stop();
  });

  const asRoot = (script: string): Promise<Ended> =>
    machine.run(['sh', '-euc', `cd ${PROJECT}\n${script}`], {
      as: 'root',
      env: { PATH: `/run/stand-ins:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${NODE}` },
    });

  async function succeed(script: string): Promise<Ended> {
    const ended = await asRoot(script);
    expect(ended.code, `${script}\n${ended.stdout}${ended.stderr}`).toBe(0);
    return ended;
  }

  /** Writes a file as the README shows it: readable to the user that Debian's own files belong to. */
  async function write(path: string, text: string): Promise<void> {
    await machine.write(path, text);
    await succeed(`chown nagios:nagios ${path} && chmod 640 ${path}`);
  }

  /** Asks for checks until one has come out so; what an Icinga is asked while it loads may be lost. */
  const green = (host: string, service: string): Promise<void> =>
    until(`${service} of ${host} is green`, async () => {
      await succeed(
        `now=$(date +%s) && echo "[$now] SCHEDULE_FORCED_SVC_CHECK;${host};${service};$now" > /run/icinga2/cmd/icinga2.cmd && sleep 1`,
      );
      return (await heard(host, service)).at(-1) === 'OK';
    });

  /** The states of a service so far. */
  async function heard(host: string, service: string): Promise<readonly string[]> {
    const { stdout } = await asRoot('cat /var/spool/icinga2/perfdata/service-perfdata.* 2>/dev/null || true');
    return stdout
      .split('\n')
      .filter((line) => line.includes(`\tHOSTNAME::${host}\tSERVICEDESC::${service}\t`))
      .map((line) => /\tSERVICESTATE::(\w+)/.exec(line)?.[1] ?? 'none');
  }

  test('from nothing to a green service', async () => {
    await succeed(block('install -m 755 dist/check_pop3'));
    await succeed(block('install -m 640 -o root -g nagios /dev/null /etc/icinga2/pop3.cred'));
    const tried = await succeed(block(`runuser -u nagios -- /usr/lib/nagios/plugins/check_pop3 -H ${MAIL}`));
    expect(tried.stdout).toMatch(/^POP3 OK - mail\.example\.com: logon /);
    await succeed(block('install -d -m 750'));
    await write('/etc/icinga2/conf.d/pop3/hosts.conf', block(`object Host "${MAIL}"`));
    await succeed(block('icinga2 daemon -C\nsystemctl reload icinga2'));
    await green(MAIL, 'POP3 logon');
  });

  test('the other examples are what Icinga takes, and make what they say', async () => {
    await succeed(block('install -m 640 -o nagios -g nagios plugins/icinga2/notifications.conf'));
    const examples = [
      'object Host "exchange',
      'object Host "farm',
      'object Host "told',
      'object CheckCommand "pop3-windows"',
    ];
    for (const [at, beginning] of examples.entries()) {
      await write(`/etc/icinga2/conf.d/pop3/example-${at}.conf`, block(beginning));
    }
    const { stdout } = await succeed('icinga2 daemon -C');
    expect(stdout).not.toMatch(/ critical\//);
    const named = async (type: string): Promise<string> => (await succeed(`icinga2 object list --type ${type}`)).stdout;
    const services = await named('Service');
    for (const name of [
      ...['exchange.example.com!POP3 logon', 'exchange.example.com!POP3 round trip'],
      ...['farm.example.com!POP3 all servers', 'farm.example.com!POP3 192.0.2.41', 'farm.example.com!POP3 192.0.2.42'],
    ]) {
      expect(services).toContain(`'${name}'`);
    }
    const notifications = await named('Notification');
    expect(notifications).toContain("'told.example.com!POP3 logon!pop3'");
    expect(notifications).toContain("'told.example.com!POP3 logon!pop3-probe'");
    expect(await named('CheckCommand')).toContain("'pop3-windows'");
    await succeed('rm /etc/icinga2/conf.d/pop3/example-*.conf'); // there are no such servers here
  });

  test('results that somebody else delivers', async () => {
    await write('/etc/icinga2/conf.d/pop3/farm.conf', block('object Host "mail1.example.com"'));
    await machine.write('/etc/icinga2/farm.yaml', block('- {client-access-server: mail1.example.com'));
    await succeed(block('icinga2 api setup'));
    await until(
      'the API answers',
      async () => (await asRoot('curl -sk https://127.0.0.1:5665/ -o /dev/null')).code === 0,
    );

    const swept = await succeed(block('runuser -u nagios -- /usr/lib/nagios/plugins/check_pop3 --targets'));
    expect(swept.stdout).toMatch(/^POP3 OK - 2 servers, 2 ok/);
    expect(swept.stdout).toMatch(/\nDELIVERY OK - icinga2 127\.0\.0\.1:5665: 2 results delivered\n$/);
    for (const host of ['mail1.example.com', 'mail2.example.com']) {
      await until(`${host} is green`, async () => (await heard(host, 'POP3')).at(-1) === 'OK');
    }

    const before = (await heard('mail1.example.com', 'POP3')).length;
    await green('pop3-probe', 'POP3 sweep');
    await until('the sweep delivers too', async () => (await heard('mail1.example.com', 'POP3')).length > before);
  });

  test('no block was passed over but that of the Director, which test/real/director runs', () => {
    const left = BLOCKS.filter(({ text }) => !used.has(text)).map(({ text }) => text.trim());
    expect(left).toEqual(['icingacli director basket restore < plugins/icinga2/director-basket.json']);
  });
});

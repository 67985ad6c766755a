import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT } from '../../support/dovecot.ts';
import {
  clock,
  type Events,
  eventually,
  FAKETIME,
  LAN,
  type Lan,
  layLan,
  listenTo,
  type MailServer,
  startMailServer,
} from '../../support/icinga-cluster.ts';
import { type Attributes, ICINGA2, type Icinga2, SHIPPED, startIcinga2 } from '../../support/icinga2.ts';
import { missing } from '../../support/installed.ts';
import { CHECK_POP3, keepSecret, launch, privateFolder } from '../../support/run.ts';

/** Addresses as zones.conf and docs/scale-out.md have them: on the network, and of a mail server beside the node. */
const NODES = {
  'master.example.com': ['192.0.2.10'],
  'satellite-a.example.com': ['192.0.2.20', '198.51.100.25'],
  'satellite-b.example.com': ['192.0.2.30', '203.0.113.25'],
  'mail-c.example.com': ['192.0.2.40'],
} as const;
type Node = keyof typeof NODES;

/** Each mail server has a mailbox of its own, and one node knows its password. */
const MAIL = {
  'mail-a.example.com': {
    node: 'satellite-a.example.com',
    address: '198.51.100.25',
    password: keepSecret('of-a-alone'),
  },
  'mail-b.example.com': {
    node: 'satellite-b.example.com',
    address: '203.0.113.25',
    password: keepSecret('of-b-alone'),
  },
  'mail-c.example.com': { node: 'mail-c.example.com', address: '127.0.0.1', password: keepSecret('of-c-alone') },
} as const;

const LOGON_A = 'mail-a.example.com!POP3 logon';
const LOGON_B = 'mail-b.example.com!POP3 logon';
const LOGON_C = 'mail-c.example.com!POP3 logon';
const DELIVERED_B = 'mail-b.example.com!POP3';
const HEALTH_A = 'master.example.com!connected region-a';
const HEALTH_B = 'master.example.com!connected region-b';
const HEALTH_C = 'mail-c.example.com!agent connected';

const DELIVERY = keepSecret('of-the-delivery');
const LISTENER = { user: 'listener', password: 'of the listener' };

const DOC = readFileSync(new URL('../../../docs/scale-out.md', import.meta.url), 'utf8');

/** The blocks of the document that are files below zones.d, by their names. */
const blocks = Object.fromEntries(
  [...DOC.matchAll(/^`(zones\.d\/\S+\.conf)`[^\n]*\n\n```\n([^`]*)```$/gm)].map(([, path, text]) => [path, text]),
) as Readonly<Record<string, string>>;

/** The one block in that language. */
const block = (language: string): string =>
  new RegExp(`^\`\`\`${language}\\n([^\`]*)\`\`\`$`, 'm').exec(DOC)?.[1] ?? '';

const shipped = (name: string): string => readFileSync(join(SHIPPED, name), 'utf8');

const LISTENER_CONF = `
object ApiUser "${LISTENER.user}" {
  password = "${LISTENER.password}"
  permissions = [ "events/*" ]
}
`;

/** What each node has in its folder: the files as they stand. */
const CONFIGURATION: Readonly<Record<Node, Readonly<Record<string, string>>>> = {
  'master.example.com': {
    'conf.d/listener.conf': LISTENER_CONF,
    'zones.d/global-templates/check_pop3.conf': shipped('check_pop3.conf'),
    'zones.d/global-templates/services.conf': shipped('services.conf'),
    ...blocks,
  },
  'satellite-a.example.com': {},
  'satellite-b.example.com': {
    'conf.d/listener.conf': LISTENER_CONF,
    'conf.d/api-users.conf': `const Pop3DeliveryPassword = "${DELIVERY}"\n${shipped('api-users.conf')}`,
  },
  'mail-c.example.com': {},
};

const now = (): number => Date.now() / 1000;
const OK = 0;
const CRITICAL = 2;
const UNKNOWN = 3;

describe.skipIf(missing(ICINGA2, DOVECOT, LAN, FAKETIME))('Icinga 2, a master, two satellites and an agent', () => {
  const folder = privateFolder();
  chmodSync(folder.path, 0o755); // the monitoring user has to find what is in it
  let lan: Lan<Node>;
  const icinga = {} as Record<Node, Icinga2>;
  const mail = {} as Record<keyof typeof MAIL, MailServer>;
  let master: Icinga2;
  let satelliteA: Icinga2;
  let satelliteB: Icinga2;
  /** What the master tells, and what the satellite that will be cut off does. */
  let atMaster: Events;
  let atB: Events;

  beforeAll(async () => {
    lan = await layLan(NODES);
    const authority = await createAuthority('Example Cluster CA');
    const authorities = folder.file('authorities.pem', authority.certificate, 0o644);
    const plugins = join(folder.path, 'plugins');
    execFileSync('cp', ['-a', '/usr/lib/nagios/plugins', plugins]);
    copyFileSync(CHECK_POP3, join(plugins, 'check_pop3'));
    for (const [name, { node, address, password }] of Object.entries(MAIL)) {
      const etc = join(folder.path, node);
      mkdirSync(etc);
      for (const [file, lines] of [
        ['pop3.cred', `probe\n${password}\n`],
        ['delivery.cred', `pop3-delivery\n${DELIVERY}\n`],
      ] as const) {
        writeFileSync(join(etc, file), lines, { mode: 0o640 });
        execFileSync('chown', ['root:nagios', join(etc, file)]);
      }
      writeFileSync(join(etc, 'region.yaml'), block('yaml'));
      const machine = lan.machines[node];
      machine.show(etc, '/etc/icinga2');
      machine.show(plugins, '/usr/lib/nagios/plugins');
      machine.show(authorities, '/etc/ssl/certs/ca-certificates.crt');
      const identity = await authority.issue({ names: [name] });
      const server = { users: { probe: password }, identity };
      mail[name as keyof typeof MAIL] = await startMailServer(machine, address, server, folder.path);
    }
    // For five minutes after its own start a satellite says nothing about an agent that is away: let it begin early.
    const early = clock(join(folder.path, 'clock'));
    early.set(-400);
    const start = async (nodeName: Node, prefix: readonly string[] = []) => {
      icinga[nodeName] = await startIcinga2({
        authority,
        nodeName,
        address: '0.0.0.0',
        port: 5665,
        prefix: [...lan.machines[nodeName].prefix, ...prefix],
        zones: shipped(nodeName === 'mail-c.example.com' ? 'agent.conf' : 'zones.conf'),
        listener: 'accept_config = true\n  accept_commands = true',
        files: CONFIGURATION[nodeName],
      });
    };
    await Promise.all([
      start('master.example.com'),
      start('satellite-a.example.com', early.prefix),
      start('satellite-b.example.com'),
      start('mail-c.example.com'),
    ]);
    master = icinga['master.example.com'];
    satelliteA = icinga['satellite-a.example.com'];
    satelliteB = icinga['satellite-b.example.com'];
    lan.machines['satellite-b.example.com'].show(join(satelliteB.folder, 'data'), '/var/lib/icinga2');
    await eventually('the satellites have what they are to check', async () => {
      return (await knows(satelliteA, LOGON_C)) && (await knows(satelliteB, LOGON_B));
    });
    early.set(0);
    atMaster = listenTo(master, lan.machines['master.example.com'], LISTENER);
    atB = listenTo(satelliteB, lan.machines['satellite-b.example.com'], LISTENER);
    const checks = [
      [LOGON_A, satelliteA],
      [LOGON_B, satelliteB],
      [LOGON_C, satelliteA],
    ] as const;
    for (const [service, satellite] of checks) {
      // Five minutes are too long for a test. It is changed on the master, and the satellite learns of it.
      await master.api(`/v1/objects/services/${encodeURIComponent(service)}`, {
        attrs: { check_interval: 3, retry_interval: 3 },
      });
      await eventually(`${service} is checked every three seconds`, async () => {
        return (await satellite.object('services', service)).check_interval === 3;
      });
    }
    await eventually('the agent is connected', () => sees(satelliteA, 'mail-c.example.com'));
    for (const [service, satellite] of checks) {
      await satellite.checkNow(service);
      await eventually(`${service} is OK on the master`, async () => {
        const { state, last_check_result: result } = await master.object('services', service);
        return result !== null && state === OK;
      });
    }
    await eventually('both tell of what they do', () => {
      return [atMaster, atB].every((events) => events.results(LOGON_B).length > 0);
    });
  });
  afterAll(async () => {
    await Promise.all([atMaster, atB].map((each) => each?.close()));
    await Promise.all(Object.values(mail).map((each) => each.stop()));
    await Promise.all(Object.values(icinga).map((each) => each.stop()));
    await lan?.remove();
  });

  /** Whether that node has the service. While it loads a new configuration it answers nobody. */
  async function knows(where: Icinga2, service: string): Promise<boolean> {
    const asked = where.api(`/v1/objects/services/${encodeURIComponent(service)}`);
    return (await asked.catch(() => ({ status: 0 }))).status === 200;
  }

  /** Whether that node has a connection to the other. */
  async function sees(where: Icinga2, endpoint: Node): Promise<boolean> {
    const { status, json } = await where.api(`/v1/objects/endpoints/${endpoint}`);
    return status === 200 && json.results[0].attrs.connected === true;
  }

  /** The sweep of the document, beside satellite-b and as its monitoring user. */
  function sweep() {
    const [file = '', ...args] = lan.machines['satellite-b.example.com'].prefix;
    const user = ['setpriv', '--reuid', 'nagios', '--regid', 'nagios', '--init-groups'];
    return launch(file, [...args, ...user, 'sh', '-c', block('sh')], {
      env: { STATE_DIRECTORY: join(satelliteB.folder, 'spool') },
    });
  }

  test.each([
    [LOGON_A, 'satellite-a.example.com', 'satellite-a.example.com'],
    [LOGON_B, 'satellite-b.example.com', 'satellite-b.example.com'],
    [LOGON_C, 'mail-c.example.com', 'satellite-a.example.com'],
  ])('%s is OK on the master: %s ran the check, %s wanted it', async (service, source, scheduler) => {
    const { state, last_check_result: result } = await master.object('services', service);
    expect(result).toMatchObject({ check_source: source, scheduling_source: scheduler });
    expect(result.output).toMatch(new RegExp(`^POP3 OK - ${service.split('!')[0]}: logon `));
    expect(state).toBe(OK);
  });

  test('the master itself has no way to a mail server of a region', async () => {
    const [file = '', ...args] = lan.machines['master.example.com'].prefix;
    const secret = folder.file('password', 'not used');
    const logon = ['-H', 'mail-a.example.com', '-I', '198.51.100.25', '-u', 'probe', '--password-file', secret];
    const { stdout, code } = await launch(file, [...args, CHECK_POP3, ...logon, '--light-mode'], {});
    expect(stdout).toContain('POP3 CRITICAL - mail-a.example.com: unreachable, 198.51.100.25 port 110');
    expect(code).toBe(CRITICAL);
  });

  test.each([
    ['satellite-a.example.com', [LOGON_A, LOGON_C, HEALTH_C]],
    ['satellite-b.example.com', [LOGON_B, DELIVERED_B]],
    ['mail-c.example.com', []],
  ] as const)('%s knows its own services alone: %j', async (node, own) => {
    const { json } = await icinga[node].api('/v1/objects/services?attrs=__name');
    const names = json.results.map(({ name }: { readonly name: string }) => name);
    expect(names.sort()).toEqual([...own].sort());
  });

  test('no password leaves its node: none is in what is synchronised, or in what any node tells', async () => {
    const secrets = [DELIVERY, ...Object.values(MAIL).map(({ password }) => password)];
    for (const { api, folder: its } of Object.values(icinga)) {
      const { json } = await api('/v1/objects/services');
      const synchronised = readdirSync(join(its, 'data'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
      for (const secret of secrets) expect([JSON.stringify(json), ...synchronised].join('\n')).not.toContain(secret);
    }
    expect((await master.object('services', LOGON_B)).last_check_result.command).toContain('@/etc/icinga2/pop3.cred');
  });

  test('what a sweep delivers to its satellite is on the master', async () => {
    const { code, stdout, stderr } = await sweep();
    expect(`${stdout}${stderr}`).toMatch(
      /^POP3 OK - .*\nDELIVERY OK - icinga2 127\.0\.0\.1:5665: 1 result delivered\n$/s,
    );
    expect(code).toBe(0);
    await eventually('the master has it', async () => (await master.object('services', DELIVERED_B)).state === OK);
    const { last_check_result: result } = await master.object('services', DELIVERED_B);
    expect(result).toMatchObject({ active: false, output: expect.stringMatching(/^POP3 OK - mail-b\.example\.com: /) });
  });

  describe('when satellite-b is cut off', () => {
    let before: Attributes;
    let during: Readonly<Record<string, Attributes>>;
    /** When the link was cut. */
    let cutAt: number;
    /** When the satellite last took itself for connected, and when it did so no more. */
    let unawareAt: number;
    let awareAt: number;
    /** When the master was asked what it thinks of all this. */
    let askedAt: number;
    /** When the link was there again. */
    let joinedAt: number;

    beforeAll(async () => {
      lan.machines['satellite-b.example.com'].cut();
      cutAt = now();
      before = await master.object('services', LOGON_B);
      await eventually('the satellite has noticed', async () => {
        const asked = now();
        if (await sees(satelliteB, 'master.example.com')) {
          unawareAt = asked;
          return false;
        }
        awareAt = now();
        return true;
      });
      await mail['mail-b.example.com'].stop();
      await eventually('the satellite has met the failure twice', () => {
        return atB.results(LOGON_B).filter(({ state }) => state === CRITICAL).length >= 2;
      });
      await mail['mail-b.example.com'].start();
      await eventually('the satellite has met the recovery', () => {
        return atB.changes(LOGON_B).some(({ state, measured }) => state === OK && measured > awareAt);
      });
      await sweep();
      await eventually('the master has noticed', async () => !(await sees(master, 'satellite-b.example.com')));
      for (const service of [HEALTH_A, HEALTH_B]) await master.checkNow(service);
      await eventually('the master has said so', async () => {
        return (await master.object('services', HEALTH_B)).state === CRITICAL;
      });
      askedAt = now();
      const names = [LOGON_A, LOGON_B, HEALTH_A, HEALTH_B];
      const objects = await Promise.all(names.map((name) => master.object('services', name)));
      during = Object.fromEntries(names.map((name, index) => [name, objects[index] as Attributes]));
    });

    test('its checks are overdue on the master: the last one stays, the next one has passed', () => {
      const service = during[LOGON_B] as Attributes;
      expect(service.last_check).toBe(before.last_check);
      expect(service.next_check).toBeLessThan(askedAt);
      expect(service.next_update).toBeLessThan(askedAt); // by this the web interface calls it overdue
    });

    test('they are not CRITICAL for that: the state stays what it was', () => {
      expect(during[LOGON_B]).toMatchObject({ state: OK, state_type: 1, last_state_change: before.last_state_change });
    });

    test('the other region goes on', () => {
      const service = during[LOGON_A] as Attributes;
      expect(service.state).toBe(OK);
      expect(service.last_check).toBeGreaterThan(awareAt);
    });

    test('the master says which region is cut off, and by what', () => {
      expect(during[HEALTH_A]).toMatchObject({ state: OK });
      expect(during[HEALTH_B]?.last_check_result.output).toMatch(/^Zone 'region-b' is not connected\./);
    });

    describe('and is back', () => {
      beforeAll(async () => {
        lan.machines['satellite-b.example.com'].join();
        joinedAt = now();
        await eventually('the satellite is connected', () => sees(master, 'satellite-b.example.com'));
        await eventually('fresh results come again', () => {
          const late = joinedAt + 3;
          return [atMaster, atB].every((events) => events.results(LOGON_B).some(({ measured }) => measured > late));
        });
      });

      const between = (from: number, to: number, service: string, events: Events) =>
        events
          .results(service)
          .filter(({ measured }) => measured > from && measured < to)
          .map(({ measured, state }) => ({ measured, state }));

      test('every result since the satellite noticed arrives, in order and with its own time', () => {
        const measured = between(awareAt, joinedAt, LOGON_B, atB);
        expect(measured.length).toBeGreaterThanOrEqual(3); // two failures at least, and a recovery
        expect(between(awareAt, joinedAt, LOGON_B, atMaster)).toEqual(measured);
      });

      test('the failure that the master did not see is in its history, at the time it happened', () => {
        // An attempt that is not the last one is told as a change too.
        const changes = atMaster
          .changes(LOGON_B)
          .filter(({ state, measured }, index, all) => measured > cutAt && state !== all[index - 1]?.state);
        expect(changes.map(({ state }) => state)).toEqual([CRITICAL, OK]);
        for (const { measured, told } of changes) {
          expect(measured).toBeGreaterThan(awareAt);
          expect(measured).toBeLessThan(joinedAt);
          expect(told).toBeGreaterThan(joinedAt);
        }
        expect(changes[0]?.output).toContain('POP3 CRITICAL - mail-b.example.com: connection-refused');
      });

      test('the state since then is what the satellite says', async () => {
        const [theirs, ours] = await Promise.all([satelliteB, master].map((each) => each.object('services', LOGON_B)));
        expect(ours).toMatchObject({ state: OK, last_state_change: theirs?.last_state_change });
      });

      test('what a sweep delivered to the satellite meanwhile arrives too', () => {
        const [result] = between(awareAt, joinedAt, DELIVERED_B, atMaster);
        expect(result).toMatchObject({ state: OK });
      });

      test('what was measured before the satellite noticed is lost', () => {
        expect(between(cutAt, unawareAt, LOGON_B, atB).length).toBeGreaterThanOrEqual(1);
        expect(between(cutAt, unawareAt, LOGON_B, atMaster)).toEqual([]);
      });
    });
  });

  describe('when an agent is cut off', () => {
    let during: Readonly<Record<string, Attributes>>;
    let cutAt: number;

    beforeAll(async () => {
      lan.machines['mail-c.example.com'].cut();
      cutAt = now();
      await eventually('the satellite has noticed', async () => !(await sees(satelliteA, 'mail-c.example.com')));
      await eventually('the satellite is sure of it', async () => {
        await satelliteA.checkNow(HEALTH_C);
        const { state, state_type: type } = await master.object('services', HEALTH_C);
        return state === CRITICAL && type === 1;
      });
      await satelliteA.checkNow(LOGON_C);
      await eventually('the master has been told', () => {
        return atMaster.results(LOGON_C).some(({ state, measured }) => state !== OK && measured > cutAt);
      });
      const names = [LOGON_A, LOGON_C];
      const objects = await Promise.all(names.map((name) => master.object('services', name)));
      during = Object.fromEntries(names.map((name, index) => [name, objects[index] as Attributes]));
    });

    test('its services are UNKNOWN, in the words of Icinga', () => {
      const { state, last_check_result: result } = during[LOGON_C] as Attributes;
      expect(result.output).toBe(
        "Remote Icinga instance 'mail-c.example.com' is not connected to 'satellite-a.example.com'",
      );
      expect(state).toBe(UNKNOWN);
    });

    test('they are never CRITICAL', () => {
      const states = atMaster.results(LOGON_C).map(({ state }) => state);
      expect(new Set(states)).toEqual(new Set([OK, UNKNOWN]));
    });

    test('messages about them are held back, for the missing agent is told by itself', () => {
      expect(during[LOGON_C]).toMatchObject({ last_reachable: false });
    });

    test('the region goes on', () => {
      const service = during[LOGON_A] as Attributes;
      expect(service.state).toBe(OK);
      expect(service.last_check).toBeGreaterThan(cutAt);
    });

    test('and once it is back, they are OK again', async () => {
      lan.machines['mail-c.example.com'].join();
      await eventually('the agent is connected', () => sees(satelliteA, 'mail-c.example.com'));
      await eventually('the master has been told', async () => {
        return (await master.object('services', LOGON_C)).state === OK;
      });
      expect((await master.object('services', LOGON_C)).last_check_result.check_source).toBe('mail-c.example.com');
    });
  });
});

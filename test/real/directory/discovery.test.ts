import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { publishService, withDomain } from '../../support/ad-scene.ts';
import { ICINGA2, shipped, validate } from '../../support/icinga2.ts';
import { missing, pathOf } from '../../support/installed.ts';
import { SHIPPED as NAGIOS_FILES, NAGIOS4, verify } from '../../support/nagios4.ts';
import { OWN_MACHINE, startOwnMachine } from '../../support/own-machine.ts';
import { CHECK_POP3, launch } from '../../support/run.ts';
import { SAMBA } from '../../support/samba.ts';

/** The servers of Site-A that have POP3. */
const ABLE = ['ex2010', 'ex2013', 'ex2013cas', 'ex2019'].map((name) => `${name}.example.test`);

describe.skipIf(missing(SAMBA, AD_DOVECOT))('what there is to be tested', () => {
  const { samba, dovecot, folder, directory, mailbox, check, sweep, cmdlet } = withDomain();

  describe('as a directory has it', () => {
    const lists = new Map<string, string>();
    beforeAll(async () => {
      const before = ABLE.map((name) => dovecot().visits(name));
      for (const format of ['targets', 'zabbix', 'prometheus', 'icinga2', 'nagios']) {
        const { stdout, code } = await cmdlet('--discover', format, ...directory(), ...mailbox());
        expect(code).toBe(0);
        lists.set(format, stdout);
      }
      // It lists servers, and goes to none.
      expect(ABLE.map((name) => dovecot().visits(name))).toEqual(before);
    });
    const list = (format: string): string => lists.get(format) as string;

    test('is in every list, those without the role in none', () => {
      for (const [format, text] of lists) {
        for (const name of ABLE) expect(text, format).toContain(name);
        expect(text, format).not.toMatch(/edge|um2010|exse/i);
      }
    });

    test('is tested from the list for --targets, without a directory', async () => {
      const targets = folder.file('found.yaml', list('targets'));
      const { stdout, code } = await sweep('--targets', targets, ...mailbox());
      expect(stdout).toMatch(/^POP3 OK - 4 servers, 4 ok \|/);
      expect(code).toBe(0);
    });

    test('is rows of JSON to Zabbix, with the site', () => {
      const rows: readonly Record<string, string>[] = JSON.parse(list('zabbix'));
      expect(rows.map((row) => [row['{#SERVER}'], row['{#PORT}'], row['{#TYPE}'], row['{#SITE}']])).toEqual(
        ABLE.map((name) => [name, '110', 'tls', 'Site-A']),
      );
    });

    test('is groups of targets to Prometheus, with the site', () => {
      expect(JSON.parse(list('prometheus'))).toEqual(
        ABLE.map((name) => ({ targets: [`${name}:110`], labels: { connection_type: 'tls', site: 'Site-A' } })),
      );
    });

    test.skipIf(missing(ICINGA2))('is hosts with a service each to Icinga 2, by the rules we ship', async () => {
      const authority = await createAuthority('Icinga CA');
      const files = shipped('check_pop3.conf', 'services.conf');
      const { code, said } = await validate({ authority, files: { ...files, 'conf.d/found.conf': list('icinga2') } });
      expect(said).toMatch(/Instantiated 4 Hosts?\./);
      expect(said).toMatch(/Instantiated 4 Services?\./);
      // Rules of ours for what is not in this list.
      const remarks = said
        .split('\n')
        .filter((line) => !/ information\/| notice\/|does not match anywhere!$/.test(line));
      expect(remarks.join('\n')).toBe('');
      expect(code).toBe(0);
    });

    test.skipIf(missing(NAGIOS4, OWN_MACHINE))(
      'is hosts with a service each to Nagios, by the commands we ship',
      async () => {
        const machine = await startOwnMachine({ hosts: Object.fromEntries(ABLE.map((name) => [name, '127.0.0.1'])) });
        try {
          await machine.write('/usr/lib/nagios/plugins/check_pop3', await readFile(CHECK_POP3, 'utf8'), {
            mode: 0o755,
          });
          const commands = readFileSync(join(NAGIOS_FILES, 'check_pop3.cfg'), 'utf8');
          await machine.write('/etc/nagios-plugins/config/check_pop3.cfg', commands);
          const alone = await verify(machine);
          await machine.write('/etc/nagios4/conf.d/found.cfg', list('nagios'));
          const { code, said } = await verify(machine);
          const count = (text: string, what: string): number =>
            Number(new RegExp(`^\\tChecked (\\d+) ${what}\\.$`, 'm').exec(text)?.[1]);
          for (const what of ['services', 'hosts']) expect(count(said, what) - count(alone.said, what), what).toBe(4);
          expect(said).toMatch(/^Total Warnings: 0$/m);
          expect(said).toMatch(/^Total Errors: {3}0$/m);
          expect(code).toBe(0);
        } finally {
          await machine.remove();
        }
      },
    );
  });

  describe('as DNS has it (RFC 6186)', () => {
    const discovered = async (domain: string): Promise<readonly string[]> => {
      const { stdout, code } = await cmdlet('--discover-srv', domain, '--discover', 'targets', ...mailbox());
      expect(code, stdout).toBe(0);
      return stdout
        .trimEnd()
        .split('\n')
        .map((line) => {
          const [target] = [JSON.parse(line.replace(/^- /, ''))];
          return `${target['client-access-server']} ${target['port-client-access-server']} ${target['connection-type']}`;
        });
    };
    const at = (host: string, priority: number, weight: number, port: number) => ({
      ...{ host: host === '' ? '' : `${host}.example.test`, priority, weight, port },
    });
    beforeAll(async () => {
      await publishService(samba(), '_pop3s._tcp.example.test', [
        ...[at('ex2019', 20, 0, 995), at('ex2010', 10, 1, 995), at('ex2013', 10, 9, 995)],
      ]);
      await publishService(samba(), '_pop3._tcp.example.test', [at('exse', 0, 0, 110)]);
      await publishService(samba(), '_pop3s._tcp.none.example.test', [at('', 0, 0, 0)]);
      await publishService(samba(), '_pop3._tcp.plain.example.test', [at('ex2010', 0, 0, 110)]);
    });

    test('is the servers with TLS first, by priority and weight, each with its port', async () => {
      const tls = ['ex2013.example.test 995 ssl', 'ex2010.example.test 995 ssl', 'ex2019.example.test 995 ssl'];
      expect(await discovered('example.test')).toEqual([...tls, 'exse.example.test 110 tls']);
      expect(await discovered('plain.example.test')).toEqual(['ex2010.example.test 110 tls']);
    });

    test('is tested, all of it', async () => {
      const { stdout, code } = await sweep('--discover-srv', 'example.test', ...mailbox());
      expect(stdout).toMatch(/^POP3 OK - 4 servers, 4 ok \|/);
      expect(code).toBe(0);
      expect((await check('--discover-srv', 'plain.example.test', ...mailbox())).line).toMatch(/^POP3 OK - ex2010\./);
    });

    test.each([
      ['none.example.test', 'configuration, --discover-srv none.example.test: '],
      [
        'empty.example.test',
        'configuration, --discover-srv empty.example.test: _pop3s._tcp.empty.example.test: there is no such name; ',
      ],
    ])('is nothing at %s, and why', async (domain, why) => {
      const { line, code } = await check('--discover-srv', domain, ...mailbox());
      expect(line).toContain(`POP3 UNKNOWN - ${why}`);
      expect(code).toBe(3);
    });

    test('is not known while no name server answers', async () => {
      const resolv = folder.file('resolv.conf', `nameserver ${samba().address.replace(/1$/, '77')}\n`, 0o644);
      const set = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"';
      const argv = ['--mount', '--', 'sh', '-c', set, 'sh', resolv, CHECK_POP3];
      const { stdout, code } = await launch(
        pathOf('unshare'),
        [...argv, '--discover-srv', 'example.test', ...mailbox()],
        {},
      );
      expect(stdout).toBe(
        'POP3 UNKNOWN - dns-unavailable, --discover-srv _pop3s._tcp.example.test: no name server answers - ' +
          'check the resolvers of this machine\n',
      );
      expect(code).toBe(3);
    });
  });
});

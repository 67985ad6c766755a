import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type AdDovecot, startAdDovecot } from './ad-dovecot.ts';
import { CHECK_POP3, type Ended, keepSecret, launch, privateFolder, run, TEST_POP_CONNECTIVITY } from './run.ts';
import { type Account, DOMAIN_DN, type Samba, type SambaOptions, startSamba } from './samba.ts';

/** A domain with Exchange servers, and what a probe in it is given. */
export interface AdScene {
  readonly samba: () => Samba;
  readonly dovecot: () => AdDovecot;
  readonly folder: ReturnType<typeof privateFolder>;
  /** Domain controller, account and authority. */
  readonly directory: () => readonly string[];
  /** Account and authority alone. */
  readonly reader: (account?: Account) => readonly string[];
  /** User, authority and test. */
  readonly mailbox: () => readonly string[];
  /** Where the DNS of the domain is the only one: one server, so one line. */
  readonly check: (...argv: readonly string[]) => Promise<Ended>;
  /** There too: many servers. */
  readonly sweep: (...argv: readonly string[]) => Promise<Ended>;
  readonly cmdlet: (...argv: readonly string[]) => Promise<Ended>;
}

/** The same for all tests of a file. */
export function withDomain(options: SambaOptions = {}): AdScene {
  const folder = privateFolder();
  let samba: Samba;
  let dovecot: AdDovecot | undefined;
  const files = new Map<string, string>();
  const fileOf = (name: string, content: string): string => {
    const path = files.get(content) ?? folder.file(name, content);
    files.set(content, path);
    return path;
  };
  beforeAll(async () => {
    samba = await startSamba(options);
    dovecot = await startAdDovecot(samba);
    for (const { password } of [samba.probe, samba.operator, ...Object.values(samba.testAccounts)])
      keepSecret(password);
  });
  afterAll(async () => {
    await dovecot?.stop();
    await samba?.stop();
  });
  const reader = ({ user, name, password }: Account = samba.probe): readonly string[] => [
    ...['--directory-ca-file', samba.caFile, '--directory-credential', user],
    ...['--directory-password-file', fileOf(`password of ${name}`, password)],
  ];
  const asked = async (command: string, argv: readonly string[], by: typeof launch): Promise<Ended> => {
    const [first = '', ...rest] = [...samba.inDomain, command, ...argv];
    const ended = await by(first, rest, {});
    expect(ended.stderr.replace(/^ERROR: .*\n/, '')).toBe('');
    for (const { password } of [samba.probe, samba.operator, ...Object.values(samba.testAccounts)]) {
      expect(ended.stdout + ended.stderr).not.toContain(password);
    }
    return ended;
  };
  return {
    samba: () => samba,
    dovecot: () => dovecot as AdDovecot,
    folder,
    directory: () => ['--domain-controller', samba.fqdn, ...reader()],
    reader,
    mailbox: () => {
      const { user, password } = samba.testAccounts['Site-A'];
      return [
        '-u',
        `@${fileOf('credential', `${user}\n${password}\n`)}`,
        '--ca-file',
        join(samba.folder, 'tls/ca.pem'),
        '--light-mode',
      ];
    },
    check: (...argv) => asked(CHECK_POP3, argv, run),
    sweep: (...argv) => asked(CHECK_POP3, argv, launch),
    cmdlet: (...argv) => asked(TEST_POP_CONNECTIVITY, argv, launch),
  };
}

/** A place of a service. */
export interface Service {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly host: string;
}

/** Lets the DNS of the domain know where a service is: `_pop3s._tcp.example.test`. */
export async function publishService(samba: Samba, name: string, places: readonly Service[]): Promise<void> {
  const isLocator = name.endsWith('._msdcs.example.test');
  const [zone, partition] = isLocator ? ['_msdcs.example.test', 'ForestDnsZones'] : ['example.test', 'DomainDnsZones'];
  const node = name.slice(0, -`.${zone}`.length);
  const records = places.map((place) => `dnsRecord:: ${serviceRecord(place).toString('base64')}\n`);
  const dn = `DC=${node},DC=${zone},CN=MicrosoftDNS,DC=${partition},${DOMAIN_DN}`;
  await samba.modify(`dn: ${dn}\nchangetype: add\nobjectClass: dnsNode\n${records.join('')}`);
}

/** MS-DNSP §2.2.2.2.4.17: after the head of any record priority, weight and port, then the name by labels. */
function serviceRecord({ priority, weight, port, host }: Service): Buffer {
  const labels = host === '' ? [] : host.split('.');
  const name = Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
  const data = Buffer.alloc(6);
  data.writeUInt16BE(priority, 0);
  data.writeUInt16BE(weight, 2);
  data.writeUInt16BE(port, 4);
  const rest = Buffer.concat([data, Buffer.of(name.length, labels.length), name]);
  const head = Buffer.alloc(24);
  head.writeUInt16LE(rest.length, 0);
  head.writeUInt16LE(33, 2); // SRV
  head.writeUInt16LE(0xf005, 4); // version 5; the rank of a zone's own data
  head.writeUInt32LE(1, 8);
  head.writeUInt32BE(60, 12);
  return Buffer.concat([head, rest]);
}

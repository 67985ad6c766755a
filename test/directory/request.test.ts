import { describe, expect, test } from 'vitest';
import { nodeSources } from '../../src/credentials/sources.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { type DirectoryPlan, parseDirectory } from '../../src/request/directory.ts';
import { iniSetting } from '../../src/request/secret.ts';
import type { Settings } from '../../src/request/settings.ts';
import type { FileKind, Sources } from '../../src/request/sources.ts';

const SECRET = 'correct horse';
const FILES: Readonly<Record<string, string>> = {
  pw: `${SECRET}\n`,
  both: `reader@example.com\n${SECRET}\n`,
  'one-line': SECRET,
  'three-lines': `reader\n${SECRET}\n\n\n`,
  empty: '',
  '/run/credentials/pop3-directory-password': SECRET,
};

async function plan(settings: Settings, environment: Readonly<Record<string, string>> = {}, kinds: FileKind[] = []) {
  const sources: Sources = {
    ...nodeSources,
    file: (option, path, kind) => {
      kinds.push(kind);
      const content = FILES[path];
      if (content === undefined) throw new ProbeFailure('configuration', `${option} ${path}: no such file`);
      return content;
    },
    exists: (path) => path in FILES,
    certificates: (_, path) => `certificates of ${path}`,
    environment: (name) => environment[name],
    askOnTerminal: () => Promise.reject(new Error('nobody is asked for this password')),
  };
  return await parseDirectory(settings, sources);
}

const refusal = async (...given: Parameters<typeof plan>): Promise<string> =>
  await plan(...given).then(
    () => 'no refusal',
    (problem: ProbeFailure) => `${problem.reason}: ${problem.message}`,
  );

const DC = { 'domain-controller': 'dc01.example.com' } as const;
const READER = { 'directory-credential': 'reader@example.com' } as const;

describe('which directory is asked', () => {
  test('none, where nobody says so', async () => {
    expect(await plan({ 'client-access-server': 'mail.example.com', timeout: '5' })).toBe(null);
  });

  test.each<[string, Settings, Partial<DirectoryPlan>]>([
    [
      'a domain controller, by LDAPS and as nobody',
      DC,
      {
        controller: 'dc01.example.com',
        domain: null,
        port: 636,
        connectionType: 'ssl',
        credential: null,
        authorities: null,
        localSite: null,
        site: null,
      },
    ],
    ['one of a domain', { 'directory-domain': 'example.com' }, { controller: null, domain: 'example.com' }],
    ['one of a domain with its last dot', { 'directory-domain': 'example.com.' }, { domain: 'example.com' }],
    [
      'one of a domain of another script',
      { 'directory-domain': 'müller.example' },
      { domain: 'xn--mller-kva.example' },
    ],
    ['an address', { 'domain-controller': '192.0.2.1' }, { controller: '192.0.2.1' }],
    ['an address of IPv6', { 'domain-controller': '[2001:db8::1]' }, { controller: '2001:db8::1' }],
    ['by StartTLS', { ...DC, 'directory-connection-type': 'tls' }, { connectionType: 'tls', port: 389 }],
    ['by StartTLS in any case', { ...DC, 'directory-connection-type': 'TLS' }, { connectionType: 'tls', port: 389 }],
    ['by another port', { ...DC, 'directory-port': '3269' }, { connectionType: 'ssl', port: 3269 }],
    [
      'by StartTLS and another port',
      { ...DC, 'directory-connection-type': 'tls', 'directory-port': '3268' },
      { port: 3268 },
    ],
    [
      'vouched for by a private authority',
      { ...DC, 'directory-ca-file': 'ca.pem' },
      { authorities: 'certificates of ca.pem' },
    ],
    ['from a site that was told', { ...DC, 'local-site': 'Zürich-1' }, { localSite: 'Zürich-1', site: null }],
    [
      'for another site',
      { ...DC, site: 'Default-First-Site-Name' },
      { localSite: null, site: 'Default-First-Site-Name' },
    ],
  ])('%s', async (_, settings, expected) => {
    expect(await plan(settings)).toMatchObject(expected);
  });
});

describe('who asks, and with which password', () => {
  test.each<[string, Settings, Readonly<Record<string, string>>]>([
    ['of a file', { 'directory-password-file': 'pw' }, {}],
    ['of the environment', { 'directory-password-env': 'DIRECTORY' }, { DIRECTORY: SECRET }],
    ['on the command line', { 'directory-password': SECRET }, {}],
    ['of an ini file', { [iniSetting('directory-password')]: SECRET }, {}],
    ['of systemd', {}, { CREDENTIALS_DIRECTORY: '/run/credentials' }],
  ])('%s', async (_, settings, environment) => {
    const { credential } = (await plan({ ...DC, ...READER, ...settings }, environment)) as DirectoryPlan;
    expect([credential?.userName, credential?.password.reveal()]).toEqual(['reader@example.com', SECRET]);
    expect(JSON.stringify(credential)).not.toContain(SECRET);
  });

  test('both in one file, which nobody else may read', async () => {
    const kinds: FileKind[] = [];
    const { credential } = (await plan({ ...DC, 'directory-credential': '@both' }, {}, kinds)) as DirectoryPlan;
    expect([credential?.userName, credential?.password.reveal()]).toEqual(['reader@example.com', SECRET]);
    expect(kinds).toEqual(['secret']);
  });
});

describe('what is refused', () => {
  const ORPHANS: Settings = {
    ...{ 'directory-credential': 'reader', 'directory-ca-file': 'ca.pem', 'directory-connection-type': 'ssl' },
    ...{ 'directory-port': '636', 'local-site': 'Site-A', site: 'Site-B' },
  };
  test.each(Object.entries(ORPHANS))('--%s without a directory', async (name, value) => {
    expect(await refusal({ [name]: value })).toBe(`usage: --${name} needs --domain-controller or --directory-domain`);
  });

  const NAME = 'takes a host name or an IP address, not';
  const NO_SITE = 'takes the name of a site';
  const NO_PASSWORD = 'no password for --directory-credential: give --directory-password-file or -env, or @FILE';
  test.each<[Settings, string]>([
    [{ 'domain-controller': '' }, 'usage: no server: give --domain-controller HOST'],
    [{ 'domain-controller': 'ldaps://dc01' }, `usage: --domain-controller ${NAME} "ldaps://dc01"`],
    [{ 'domain-controller': 'dc01:636' }, `usage: --domain-controller ${NAME} "dc01:636"; the port goes with -p`],
    [{ 'domain-controller': 'dc 01' }, `usage: --domain-controller ${NAME} "dc 01"`],
    [{ 'directory-domain': 'DC=example,DC=com' }, `usage: --directory-domain ${NAME} "DC=example,DC=com"`],
    [{ ...DC, 'directory-connection-type': 'plaintext' }, 'usage: --directory-connection-type takes ssl, tls, not'],
    [{ ...DC, 'directory-connection-type': '' }, 'usage: --directory-connection-type takes ssl, tls, not'],
    [{ ...DC, 'directory-port': '0' }, 'usage: --directory-port takes a whole number from 1 to 65535'],
    [{ ...DC, 'directory-port': '65536' }, 'usage: --directory-port takes a whole number from 1 to 65535'],
    [{ ...DC, 'directory-port': 'ldaps' }, 'usage: --directory-port takes a whole number from 1 to 65535'],
    [{ ...DC, site: '' }, `usage: --site ${NO_SITE}`],
    [{ ...DC, site: 'Site-A,CN=Sites' }, `usage: --site ${NO_SITE}`],
    [{ ...DC, site: '*' }, `usage: --site ${NO_SITE}`],
    [{ ...DC, site: '-a' }, `usage: --site ${NO_SITE}`],
    [{ ...DC, site: 'a.b' }, `usage: --site ${NO_SITE}`],
    [{ ...DC, site: 'a'.repeat(64) }, `usage: --site ${NO_SITE}`],
    [{ ...DC, 'local-site': 'Site-A)(cn=*' }, `usage: --local-site ${NO_SITE}`],
    [{ ...DC, 'local-site': 'Site\0A' }, `usage: --local-site ${NO_SITE}`],
    [{ ...DC, ...READER }, `usage: ${NO_PASSWORD}`],
    [{ ...DC, 'directory-credential': '' }, 'configuration: --directory-credential: the user name is empty'],
    [
      { ...DC, 'directory-credential': 'a\nb' },
      'configuration: --directory-credential: the user name has a control character',
    ],
    [
      { ...DC, ...READER, 'directory-password-file': 'empty' },
      'configuration: --directory-password-file: the directory password is empty',
    ],
    [
      { ...DC, ...READER, 'directory-password-file': 'nowhere' },
      'configuration: --directory-password-file nowhere: no such file',
    ],
    [
      { ...DC, ...READER, 'directory-password-env': 'DIRECTORY' },
      'configuration: --directory-password-env: there is no variable DIRECTORY',
    ],
    [
      { ...DC, 'directory-credential': '@one-line' },
      'configuration: one-line: the user name on one line, the password on the next, not 1 lines',
    ],
    [
      { ...DC, 'directory-credential': '@three-lines' },
      'configuration: three-lines: the user name on one line, the password on the next, not 4 lines',
    ],
  ])('%j', async (settings, why) => {
    const said = await refusal(settings);
    expect(said.startsWith(why), said).toBe(true);
    expect(said).not.toContain(SECRET);
  });

  test.each<[string, Settings]>([
    ['two passwords', { ...READER, 'directory-password-file': 'pw', 'directory-password': SECRET }],
    ['a password beside a file of both', { 'directory-credential': '@both', 'directory-password': SECRET }],
    ['a password of two lines', { ...READER, 'directory-password': `${SECRET}\n${SECRET}` }],
    ['a password in the place of a variable', { ...READER, 'directory-password-env': SECRET }],
    ['a password without a user', { 'directory-password': SECRET }],
    ['a password without a directory', { 'domain-controller': undefined, 'directory-password': SECRET }],
    ['the same in an ini file', { 'domain-controller': undefined, [iniSetting('directory-password')]: SECRET }],
  ])('%s, and the password is not told', async (_, settings) => {
    const said = await refusal({ ...DC, ...settings });
    expect(said).toMatch(/^(usage|configuration): /);
    expect(said).not.toContain(SECRET);
  });
});

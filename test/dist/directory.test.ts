import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, type Identity } from '../../src/sandbox/authority.ts';
import { freePort } from '../support/free-port.ts';
import { answerLdap, type LdapDoor, type LdapResult } from '../support/ldap-doors.ts';
import { CHECK_POP3, keepSecret, launch, run, TEST_POP_CONNECTIVITY } from '../support/run.ts';
import { withSandbox } from '../support/sandboxed.ts';

const SECRET = keepSecret('battery-staple');
const OK: LdapResult = { code: 0 };

const { folder, caFile, logon } = withSandbox();
let identity: Identity;
let directoryCa: string;
let reader: readonly string[];
beforeAll(async () => {
  const authority = await createAuthority('Example Domain CA');
  identity = await authority.issue({ names: ['localhost'] });
  directoryCa = folder.file('directory-ca.pem', authority.certificate);
  const password = ['--directory-password-file', folder.file('directory-password', SECRET)];
  reader = ['--directory-ca-file', directoryCa, '--directory-credential', 'reader@example.com', ...password];
});

const doors: { close(): Promise<unknown> | unknown }[] = [];
afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.close()));
});

/** A domain controller that gives these answers. */
async function answering(bind: LdapResult | null, search: LdapResult | null = OK): Promise<LdapDoor> {
  const door = await answerLdap({ identity }, { bind, search });
  doors.push(door);
  return door;
}

const at = (port: number): readonly string[] => [
  ...['--domain-controller', 'localhost', '--directory-port', String(port), ...reader],
  ...['-u', 'probe', '--password-env', 'POP3', '--light-mode'],
];
const env = { POP3: keepSecret('correct-horse') };
const refused = async (port: number, ...argv: readonly string[]) => {
  const ended = await run(CHECK_POP3, [...at(port), ...argv], { env });
  expect(ended.code).toBe(3);
  return ended;
};
const HINTS = {
  'directory-refused': 'check the account that reads the directory',
  'directory-unreachable': 'check the domain controller and the way there',
};
const told = (port: number, reason: keyof typeof HINTS, why: string): string =>
  `POP3 UNKNOWN - ${reason} in directory, localhost port ${port}: ${why} - ${HINTS[reason]}\n`;

describe('a domain controller', () => {
  test.each<[number, keyof typeof HINTS, string]>([
    [1, 'directory-refused', 'it answers nobody who has not logged on: give --directory-credential'],
    [3, 'directory-unreachable', 'it ran out of time'],
    [4, 'directory-refused', 'it returns no more than a part of what was asked for (size limit)'],
    [8, 'directory-refused', 'it wants a stronger way to log on'],
    [10, 'directory-refused', 'it refers to another server: name a domain controller of the right domain'],
    [13, 'directory-refused', 'it wants TLS'],
    [32, 'directory-refused', 'there is no such object, or this account may not see it'],
    [48, 'directory-refused', 'it does not let anybody log on in this way'],
    [49, 'directory-refused', 'the user name or password was not accepted'],
    [50, 'directory-refused', 'the account may not do this'],
    [51, 'directory-unreachable', 'it is too busy'],
    [52, 'directory-unreachable', 'it is not available'],
    [53, 'directory-refused', 'it is not willing to'],
    [80, 'directory-refused', 'it refused the request'],
  ])('that answers with code %i is %s, in words', async (code, reason, why) => {
    // To the logon, and to the first question after it.
    for (const [bind, search] of [
      [{ code, says: SECRET }, OK],
      [OK, { code, says: SECRET }],
    ] as const) {
      const { port } = await answering(bind, search);
      expect((await refused(port)).stdout).toBe(told(port, reason, `${why} (LDAP ${code})`));
    }
  });

  test.each([
    ['525', 'there is no such user'],
    ['52e', 'the user name or the password is wrong'],
    ['530', 'the user may not log on at this time'],
    ['531', 'the user may not log on from here'],
    ['532', 'the password has expired'],
    ['533', 'the account is disabled'],
    ['701', 'the account has expired'],
    ['773', 'the password has to be changed first'],
    ['775', 'the account is locked'],
    ['999', 'the user name or password was not accepted'],
  ])('that adds data %s to a refused logon means: %s', async (data, why) => {
    const says = `80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data ${data}, v2580`;
    const { port } = await answering({ code: 49, says });
    expect((await refused(port)).stdout).toBe(told(port, 'directory-refused', `${why} (LDAP 49)`));
  });

  test('that is not there is UNKNOWN, and nothing is said of the mail server', async () => {
    const port = await freePort();
    expect((await refused(port, '-H', 'mail.example.com')).stdout).toMatch(
      new RegExp(`^POP3 UNKNOWN - directory-unreachable in directory, localhost port ${port}: .*ECONNREFUSED.*\n$`),
    );
    const { stdout, stderr, code } = await launch(TEST_POP_CONNECTIVITY, [...at(port)], { env });
    expect(stdout + stderr).toMatch(/directory-unreachable in directory, .*ECONNREFUSED/);
    expect(code).toBe(3);
  });

  test('that hangs up in the middle is unreachable', async () => {
    const { port } = await answering(OK, null);
    const ended = refused(port);
    const door = doors[0] as LdapDoor;
    while (door.visits() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await door.close();
    expect((await ended).stdout).toMatch(/^POP3 UNKNOWN - directory-unreachable in directory, /);
  });
});

describe('a directory that does not answer', () => {
  /** A port that takes connections and says nothing at all. */
  async function silent(): Promise<number> {
    const server: Server = createServer((socket) => void socket.on('error', () => undefined));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    doors.push({ close: () => server.close() });
    return (server.address() as { port: number }).port;
  }
  const kinds: readonly (readonly [string, () => Promise<number>])[] = [
    ['at all', silent],
    ['to a logon', async () => (await answering(null)).port],
    ['to a question', async () => (await answering(OK, null)).port],
  ];

  test.each(kinds)('%s takes no more than its part of --timeout', async (_, start) => {
    const { stdout, tookMs } = await refused(await start(), '-t', '2');
    expect(stdout).toBe(
      'POP3 UNKNOWN - directory-unreachable in directory, no answer within 1.6 s - ' +
        'check the domain controller and the way there\n',
    );
    expect(tookMs).toBeGreaterThan(1500);
    expect(tookMs).toBeLessThan(4000);
  });

  test('takes no more than 15 s, however long a run may take', async () => {
    const port = await silent();
    const [plugin, people] = await Promise.all([
      refused(port, '-t', '50'),
      launch(TEST_POP_CONNECTIVITY, [...at(port), '-t', '180'], { env }),
    ]);
    expect(plugin.stdout).toContain('no answer within 15 s');
    expect(people.stdout + people.stderr).toContain('no answer within 15 s');
    expect(Math.max(plugin.tookMs, people.tookMs)).toBeLessThan(20_000);
  }, 40_000);

  test('is asked for -WhatIf too, for else nobody would know what would be done', async () => {
    const { stdout } = await refused(await silent(), '-t', '1', '--what-if');
    expect(stdout).toContain('directory-unreachable in directory, no answer within 0.8 s');
  });
});

describe('what cannot be meant is refused in one line', () => {
  test.each<[readonly string[], string]>([
    [['--site', 'Site-A', '-H', 'mail'], '--site needs --domain-controller or --directory-domain'],
    [['--local-site', 'Site-A', '-H', 'mail'], '--local-site needs --domain-controller or --directory-domain'],
    [['--directory-port', '636', '-H', 'mail'], '--directory-port needs --domain-controller or --directory-domain'],
    [['--domain-controller', 'dc:636'], '--domain-controller takes a host name or an IP address, not "dc:636"'],
    [['--domain-controller', 'dc', '--directory-credential', 'me'], 'no password for --directory-credential'],
    [
      ['--discover-srv', 'example.com', '-H', 'mail'],
      '--discover-srv and --client-access-server contradict each other',
    ],
    [
      ['--discover-srv', 'example.com', '--domain-controller', 'dc'],
      '--discover-srv and --domain-controller or --directory-domain contradict each other',
    ],
    [
      ['--discover-srv', 'pop3://example.com'],
      '--discover-srv takes a host name or an IP address, not "pop3://example.com"',
    ],
  ])('%j', async (argv, why) => {
    const { stdout, code } = await run(CHECK_POP3, [...argv, '-u', 'probe', '--password-env', 'POP3'], { env });
    expect(stdout).toContain(`POP3 UNKNOWN - usage, ${why}`);
    expect(code).toBe(3);
  });

  test('--discover in a form that nobody reads', async () => {
    const argv = ['-H', 'mail', '--discover', 'xml', '-u', 'probe', '--password-env', 'POP3', '--light-mode'];
    const { stdout, stderr, code } = await launch(TEST_POP_CONNECTIVITY, argv, { env });
    expect(stdout + stderr).toContain('--discover takes targets, zabbix, prometheus, icinga2, nagios');
    expect(code).toBe(3);
  });
});

describe('--discover without a directory', () => {
  test('lists the servers that were named', async () => {
    const argv = [
      '-H',
      'mail.example.com,[2001:db8::25]',
      '-S',
      '-u',
      'probe',
      '--password-env',
      'POP3',
      '--light-mode',
    ];
    const { stdout, code } = await launch(TEST_POP_CONNECTIVITY, [...argv, '--discover', 'prometheus'], { env });
    expect(JSON.parse(stdout)).toEqual([
      { targets: ['mail.example.com:995'], labels: { connection_type: 'ssl' } },
      { targets: ['[2001:db8::25]:995'], labels: { connection_type: 'ssl' } },
    ]);
    expect(code).toBe(0);
  });
});

describe('the library that speaks LDAP', () => {
  /** Of StartTLS (RFC 4511 §4.14.1): it stands in the source of every client. */
  const OID = '1.3.6.1.4.1.1466.20037';
  const unpacked = join(folder.path, 'unpacked');
  const hook = folder.file(
    'hook.cjs',
    `const zlib = require('node:zlib');
const { appendFileSync } = require('node:fs');
const { brotliDecompressSync } = zlib;
zlib.brotliDecompressSync = (...given) => {
  const text = brotliDecompressSync(...given);
  appendFileSync(${JSON.stringify(unpacked)}, text.includes('${OID}') ? 'LDAP\\n' : 'something else\\n');
  return text;
};
`,
  );
  const counted = (): number => readFileSync(unpacked, { encoding: 'utf8', flag: 'a+' }).match(/^LDAP$/gm)?.length ?? 0;

  test('is in the commands as compressed text alone', () => {
    for (const command of [CHECK_POP3, TEST_POP_CONNECTIVITY]) expect(readFileSync(command, 'utf8')).not.toContain(OID);
  });

  test('is unpacked where a directory is asked, and not for an ordinary run', async () => {
    const hooked = { env: { ...env, NODE_OPTIONS: `--require=${hook}` } };
    expect((await run(CHECK_POP3, [...logon(), '--ca-file', caFile], hooked)).code).toBe(0);
    expect(counted()).toBe(0);
    const { port } = await answering({ code: 49 });
    expect((await run(CHECK_POP3, at(port), hooked)).code).toBe(3);
    expect(counted()).toBe(1);
  });
});

afterAll(() => expect(doors).toEqual([]));

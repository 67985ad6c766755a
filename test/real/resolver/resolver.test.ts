import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { missing, pathOf } from '../../support/installed.ts';
import { NAMESPACES } from '../../support/namespaces.ts';
import { nodeVersion } from '../../support/nodes.ts';
import { CHECK_POP3, privateFolder } from '../../support/run.ts';

const folder = privateFolder();
const passwordFile = folder.file('password', 'correct-horse');
const resolvConf = folder.file('resolv.conf', 'nameserver 127.0.0.1\n');
const hosts = folder.file('hosts', '127.0.0.1 localhost\n127.0.0.9 mail-in-hosts.example.com\n');

interface Came {
  readonly code: number;
  readonly output: string;
  readonly tookMs: number;
}

function check(node: string, resolver: string, server: string, timeoutS: number): Came {
  const argv = [
    '-H',
    server,
    '-p',
    '1',
    '-u',
    'probe',
    '--password-file',
    passwordFile,
    '--light-mode',
    '-t',
    String(timeoutS),
  ];
  const request = JSON.stringify({ resolver, command: [node, CHECK_POP3, ...argv] });
  const script = new URL('./in-namespace.mjs', import.meta.url).pathname;
  const setUp =
    'ip link set lo up && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"';
  const output = execFileSync(
    pathOf('unshare'),
    [
      '--net',
      '--mount',
      '--map-root-user',
      'sh',
      '-c',
      setUp,
      'sh',
      resolvConf,
      hosts,
      process.execPath,
      script,
      request,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return JSON.parse(output) as Came;
}

// Two ways of looking names up: getent(1) on the first, a thread that is left behind on the second.
describe.each(['20.19.0', '24'])('on Node.js %s', (version) => {
  const program = nodeVersion(version);
  describe.skipIf(missing(NAMESPACES, program))('a resolver that', () => {
    const node = (): string => pathOf(program.commands[0] as string);

    test('answers leads to the address', () => {
      const { code, output } = check(node(), 'answers', 'mail.example.com', 10);
      expect(output).toContain('CRITICAL - mail.example.com: connection-refused, 127.0.0.1 port 1');
      expect(code).toBe(2);
    });

    test.each(['knows no such name', 'has no address'])('%s makes it CRITICAL', (resolver) => {
      const { code, output } = check(node(), resolver, 'mail.example.com', 10);
      expect(output).toContain('CRITICAL - mail.example.com: dns-not-found, mail.example.com: the name has no address');
      expect(code).toBe(2);
    });

    test.each(['fails', 'is not there'])('%s makes it UNKNOWN: nothing is said about the mail server', (resolver) => {
      const { code, output } = check(node(), resolver, 'mail.example.com', 10);
      expect(output).toContain('UNKNOWN - mail.example.com: dns-unavailable, ');
      expect(code).toBe(3);
    });

    test('keeps silent does not keep us beyond the deadline', () => {
      const { code, output, tookMs } = check(node(), 'keeps silent', 'mail.example.com', 1);
      expect(output).toMatch(
        /^POP3 UNKNOWN - mail\.example\.com: dns-unavailable, no answer about mail\.example\.com within 1 s - [^\n]*\n$/,
      );
      expect(code).toBe(3);
      expect(tookMs).toBeLessThan(2500); // getaddrinfo would hold the exit for five seconds and more
    });

    test('keeps silent does not matter for a name in the hosts file', () => {
      const { output } = check(node(), 'keeps silent', 'mail-in-hosts.example.com', 5);
      expect(output).toContain('connection-refused, 127.0.0.9 port 1');
    });
  });
});

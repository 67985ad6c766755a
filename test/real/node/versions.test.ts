import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { missing, pathOf } from '../../support/installed.ts';
import { nodeVersion } from '../../support/nodes.ts';
import { CHECK_POP3, run } from '../../support/run.ts';
import { withSandbox } from '../../support/sandboxed.ts';

const { server, folder, passwordFile, caFile } = withSandbox();

const logon = (port: number): readonly string[] => [
  ...['-H', 'localhost', '-4', '-p', String(port), '-u', 'probe@example.com', '--password-file', passwordFile],
  '--light-mode',
];

/** A copy of the command on its own, below a package.json of that type. */
function copyBelow(version: string, type: string | null): string {
  const home = join(folder.path, `${version}-${type}`);
  mkdirSync(home);
  if (type !== null) writeFileSync(join(home, 'package.json'), JSON.stringify({ type }));
  copyFileSync(CHECK_POP3, join(home, 'check_pop3'));
  return join(home, 'check_pop3');
}

describe.each(['20.19.0', '22', '24', '26'])('Node.js %s', (version) => {
  const program = nodeVersion(version);
  describe.skipIf(missing(program))('runs check_pop3', () => {
    const node = (): string => pathOf(program.commands[0] as string);

    test.each([null, 'module', 'commonjs'])('below a package.json of type %s', async (type) => {
      const copy = copyBelow(version, type);
      expect(await run(copy, [...logon(server().pop3Port), '--ca-file', caFile], { node: node() })).toMatchObject({
        code: 0,
      });
      expect(
        await run(copy, [...logon(server().pop3sPort), '-S', '--ca-file', caFile], { node: node() }),
      ).toMatchObject({ code: 0 });
      expect((await run(copy, ['--help'], { node: node() })).stdout).toContain('Examples:');
    });

    test('does not know an authority that only we do', async () => {
      const { line } = await run(CHECK_POP3, logon(server().pop3Port), { node: node() });
      expect(line).toContain('certificate-untrusted, pop3_sandbox throw-away CA is no trusted authority');
    });

    test('knows an authority that only the system does', async () => {
      const env = { SSL_CERT_FILE: caFile };
      expect(await run(CHECK_POP3, logon(server().pop3Port), { node: node(), env })).toMatchObject({ code: 0 });
    });

    test('tells a name that does not exist', async () => {
      const argv = [
        '-H',
        'nowhere.invalid',
        '-u',
        'probe',
        '--password-file',
        passwordFile,
        '--light-mode',
        '-t',
        '20',
      ];
      const { line } = await run(CHECK_POP3, argv, { node: node() });
      expect(line).toMatch(
        /^POP3 (CRITICAL - nowhere.invalid: dns-not-found|UNKNOWN - nowhere.invalid: dns-unavailable), /,
      );
    });
  });
});

describe.each(['12', '18'])('Node.js %s', (version) => {
  const program = nodeVersion(version);
  describe.skipIf(missing(program))('is too old', () => {
    test('and told so in one line, as UNKNOWN', async () => {
      const copy = copyBelow(version, null);
      const { code, stdout } = await run(copy, logon(server().pop3Port), {
        node: pathOf(program.commands[0] as string),
      });
      expect(stdout).toMatch(
        /^POP3 UNKNOWN - check_pop3 needs Node\.js 20\.19, 22\.3 or later, this is v1[28]\.\d+\.\d+\n$/,
      );
      expect(code).toBe(3);
    });
  });
});

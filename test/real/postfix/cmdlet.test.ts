import { describe, expect, test } from 'vitest';
import { missing } from '../../support/installed.ts';
import { POSTFIX, ROOT } from '../../support/postfix.ts';
import { type TreatingPostfix, withPostfix } from '../../support/postfix-scenes.ts';
import { type Ended, launch, TEST_POP_CONNECTIVITY } from '../../support/run.ts';
import type { Scene } from '../../support/scenes.ts';

/** The examples of the cmdlet's documentation, by Postfix and Dovecot. */
describe.skipIf(missing(POSTFIX, ROOT))("the examples of the cmdlet's documentation", () => {
  const { scene } = withPostfix();

  const cmdlet = async ({ options, password }: Scene<TreatingPostfix>, argv: readonly string[]): Promise<Ended> => {
    const rest = options({ 'client-access-server': null, 'mailbox-credential': null });
    const ended = await launch(TEST_POP_CONNECTIVITY, [...argv, ...rest], {});
    expect(`${ended.stdout}${ended.stderr}`).not.toContain(password);
    return ended;
  };

  test('example 1: a server, and a credential', () =>
    scene(async (each) => {
      const credential = `(Get-Credential ${each.user})`;
      const argv = ['-ClientAccessServer', 'localhost', '-MailboxCredential', credential];
      const { stdout, stderr, code } = await cmdlet(each, argv);
      expect(stdout).toMatch(/\nlocalhost +Test POP3 Connectivity Success +\d+\.\d\d\n/);
      expect([stderr, code]).toEqual(['', 0]);
      expect(await each.system.delivered(each.user)).toBe(1);
      return 0;
    }));

  test('example 1 with LightMode: nothing is sent', () =>
    scene(async (each) => {
      const argv = ['localhost', '-MailboxCredential', each.user, '-LightMode', '--format', 'list'];
      const { stdout, code } = await cmdlet(each, argv);
      expect(stdout).toMatch(/^Result +: Success$/m);
      expect(stdout).toMatch(/^ConnectionType +: Tls$/m);
      expect(code).toBe(0);
      expect(await each.system.delivered(each.user)).toBe(0);
      return 0;
    }));

  test('example 2: a server alone, without a directory; where the test account is looked up is said', () =>
    scene(async (each) => {
      const { stdout, stderr, code } = await cmdlet(each, ['-ClientAccessServer', 'localhost']);
      expect(`${stdout}${stderr}`).toMatch(
        /^ERROR: configuration, without -MailboxCredential the test account is looked up in a directory/m,
      );
      expect(code).toBe(3);
      expect(await each.system.delivered(each.user)).toBe(0);
      return 0;
    }));
});

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { optionsOf } from '../../src/cli/options.ts';
import { parameterOf } from '../../src/cli/powershell.ts';
import { VERSION } from '../../src/cli/version.ts';
import { missing, pathOf } from '../support/installed.ts';
import { MANDOC } from '../support/mandoc.ts';

const SECTIONS = [
  ...['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXIT STATUS', 'ENVIRONMENT', 'FILES', 'EXAMPLES', 'SEE ALSO'],
];

describe.each(['check_pop3', 'Test-PopConnectivity'])('the man page of %s', (command) => {
  const path = new URL(`../../dist/${command}.1`, import.meta.url).pathname;
  const options = optionsOf(command);

  test('is plain ASCII roff, and no line of text is taken for a request', () => {
    const lines = readFileSync(path, 'utf8').split('\n');
    for (const line of lines) {
      expect(line).toMatch(/^[\x20-\x7e]*$/);
      if (/^[.']/.test(line)) expect(line).toMatch(/^\.(TH|SH|SS|TP|PP|RS|RE|nf|fi|br)\b/);
    }
    expect(lines.filter((line) => line.startsWith('.SH')).map((line) => line.slice(4))).toEqual(SECTIONS);
  });

  describe.skipIf(missing(MANDOC))('read by mandoc', () => {
    const mandoc = (...argv: readonly string[]): string =>
      execFileSync(pathOf('mandoc'), [...argv, path], { encoding: 'utf8' });
    /** Bold and underlined letters are struck over. */
    const rendered = (): string => mandoc('-Tutf8', '-Owidth=300').replace(/.[\b]/g, '');

    test('has no fault', () => {
      expect(mandoc('-Tlint', '-Wwarning')).toBe('');
    });

    test('has every option in each of its spellings, with what it takes and does, by group', () => {
      const page = rendered();
      for (const option of options) {
        const line =
          page
            .split('\n')
            .find((each) => new RegExp(`(^|\\s)--${option.name}(\\s|\\[|$)`).test(each) && /^ {7}-/.test(each)) ?? '';
        expect(line, option.name).toContain(`--${option.name}`);
        if (option.short !== undefined) expect(line.split(/, | /)).toContain(`-${option.short}`);
        if (option.value !== undefined) expect(line).toContain(option.value);
        if (command === 'Test-PopConnectivity') expect(line.trim().startsWith(`-${parameterOf(option)},`)).toBe(true);
        expect(page).toContain(option.help);
      }
      const groups = [...new Set(options.map(({ group }) => group))];
      expect(
        page
          .split('\n')
          .filter((line) => /^ {3}\S/.test(line))
          .map((line) => line.trim()),
      ).toEqual(groups);
    });

    test('has the characters of its examples as they are typed', () => {
      const page = rendered();
      expect(page).toContain(VERSION);
      if (command === 'check_pop3')
        expect(page).toContain('check_pop3 -H mail.example.com -S -u @cred --light-mode -w 2 -c 5');
      else {
        expect(page).toContain('-MailboxCredential "(Get-Credential contoso\\kweku)"');
        expect(page).toContain("'-Confirm:$false', 'contoso\\kweku'");
      }
    });
  });
});

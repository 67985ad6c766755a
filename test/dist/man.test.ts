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

/** Every command with a man page, and what its examples hold that roff is to leave as it is. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  check_pop3: ['check_pop3 -H mail.example.com -S -u @cred --light-mode -w 2 -c 5'],
  'Test-PopConnectivity': [
    '-MailboxCredential "(Get-Credential contoso\\kweku)"',
    "'-Confirm:$false', 'contoso\\kweku'",
  ],
  zabbix_pop3: ['zabbix_pop3 --targets pop3-farm.yaml --discover'],
  scom_pop3: ['scom_pop3 -H mail.example.com -u @cred --light-mode --format bag'],
  checkmk_pop3: ['checkmk_pop3 '],
  prtg_pop3: ['prtg_pop3 '],
  telegraf_pop3: ['telegraf_pop3 '],
};

describe.each(Object.keys(EXAMPLES))('the man page of %s', (command) => {
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
        const { name, value = '', kind } = option;
        const end = kind === 'optional' ? `--${name}[=${value}]` : `--${name} ${value}`.trim();
        const line =
          page.split('\n').find((each) => /^ {7}-/.test(each) && ` ${each.trim()}`.endsWith(` ${end}`)) ?? '';
        expect(line, name).not.toBe('');
        if (option.short !== undefined) expect(line.split(/, | /)).toContain(`-${option.short}`);
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
      for (const example of EXAMPLES[command] as readonly string[]) expect(page).toContain(example);
    });
  });
});

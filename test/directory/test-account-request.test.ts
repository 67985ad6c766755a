import { expect, test } from 'vitest';
import type { Settings } from '../../src/request/settings.ts';
import { parseTestAccount } from '../../src/request/test-account.ts';

const plan = (settings: Settings, { directory = true, platform = false } = {}) =>
  parseTestAccount(settings, directory, platform);

test.each<[Settings, object | null]>([
  [{}, { task: 'use', unit: null, maxAgeDays: null, isUnattended: false, stateDir: null }],
  [{ 'state-dir': '/var/lib/pop3' }, { task: 'use', stateDir: '/var/lib/pop3' }],
  [{ 'new-test-user': true }, { task: 'make', unit: null }],
  [
    { 'new-test-user': true, ou: 'Monitoring' },
    { task: 'make', unit: 'Monitoring' },
  ],
  [{ 'new-test-user': true, 'mailbox-server': 'EX01' }, { task: 'make' }],
  [{ 'reset-test-account-credentials': true }, { task: 'reset' }],
  [{ 'password-max-age': [''] }, { task: 'use', maxAgeDays: 7 }],
  [{ 'password-max-age': ['30'] }, { task: 'use', maxAgeDays: 30 }],
  [{ 'password-max-age': ['', '14'] }, { task: 'use', maxAgeDays: 14 }],
  [{ 'monitoring-context': true, 'password-max-age': [''] }, { isUnattended: true }],
  // Somebody else logs on.
  [{ 'mailbox-credential': 'kweku' }, null],
  [{ 'mailbox-credential': 'kweku', 'mailbox-server': 'EX01' }, null],
  [{ auth: 'External' }, null],
  [{ targets: ['farm.yaml'] }, null],
  [{ discover: 'nagios' }, null],
])('with a directory %j is %j', (settings, expected) => {
  if (expected === null) expect(plan(settings)).toBeNull();
  else expect(plan(settings)).toMatchObject(expected);
});

test('a platform has nobody who watches', () => {
  expect(plan({}, { platform: true })).toMatchObject({ isUnattended: true });
});

test.each<[Settings, string]>([
  [{ ou: 'Users' }, '--ou needs --new-test-user'],
  [{ 'password-max-age': ['0'] }, '--password-max-age takes a whole number from 1 to 9999, not "0"'],
  [{ 'password-max-age': ['7d'] }, '--password-max-age takes a whole number from 1 to 9999'],
  [{ 'password-max-age': ['-7'] }, '--password-max-age takes a whole number from 1 to 9999, not "-7"'],
  ...(
    [
      ['new-test-user', 'reset-test-account-credentials'],
      ['new-test-user', 'monitoring-context'],
      ['reset-test-account-credentials', 'monitoring-context'],
      ['new-test-user', 'mailbox-credential'],
      ['reset-test-account-credentials', 'mailbox-credential'],
      ['password-max-age', 'mailbox-credential'],
      ['new-test-user', 'client-access-server'],
      ['new-test-user', 'discover'],
      ['reset-test-account-credentials', 'discover'],
      ['password-max-age', 'discover'],
      ['mailbox-server', 'discover'],
      ['mailbox-server', 'targets'],
    ] as const
  ).map(([one, other]): [Settings, string] => [
    { [one]: true, [other]: true },
    `--${one} and --${other} contradict each other`,
  ]),
])('%j is refused: %s', (settings, why) => {
  expect(() => plan(settings)).toThrow(why);
});

test('a list of servers knows nobody who logs on, and is told so by what was given', () => {
  const listed = { discover: 'nagios', 'mailbox-credential': 'nobody', 'password-max-age': [''] };
  expect(() => plan(listed)).toThrow('--password-max-age and --discover contradict each other');
});

test.each(['new-test-user', 'reset-test-account-credentials', 'password-max-age'])(
  '--%s is refused, not passed over, where a certificate says who logs on',
  (option) => {
    expect(() => plan({ auth: 'External', [option]: [''] })).toThrow(
      `--${option} and --auth external contradict each other`,
    );
  },
);

test('a password of nobody is refused', () => {
  expect(() => plan({ 'password-file': '/etc/pop3.pw' })).toThrow('--password-file needs --mailbox-credential');
});

test.each(['mailbox-server', 'new-test-user', 'reset-test-account-credentials', 'ou', 'password-max-age'])(
  '--%s is refused where no directory is asked, and not ignored',
  (option) => {
    expect(() => plan({ [option]: 'x' }, { directory: false })).toThrow(
      `--${option} needs --domain-controller or --directory-domain`,
    );
  },
);

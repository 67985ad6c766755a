import { usage } from '../dialogue/failure.ts';
import { settingWith } from './secret.ts';
import type { Settings } from './settings.ts';
import { wholeNumber } from './values.ts';

/** What is to be done with the test account of a site. */
export interface TestAccountPlan {
  /** Make it; give it a new password; take it as it is, unless that is due. */
  readonly task: 'make' | 'reset' | 'use';
  /** The organizational unit it is made in; null for the usual one. */
  readonly unit: string | null;
  /** After how many days its password is due; null: never. */
  readonly maxAgeDays: number | null;
  /** Nobody watches, so nothing is changed: what is due is told. */
  readonly isUnattended: boolean;
  /** The folder where its password is kept, or null for the usual one. */
  readonly stateDir: string | null;
}

const USUAL_MAX_AGE_DAYS = 7;
const MOST_DAYS = 9999;

/** What means nothing without a directory. */
const BELONGING = [
  'mailbox-server',
  'new-test-user',
  'reset-test-account-credentials',
  'ou',
  'password-max-age',
] as const;

/** What changes the account. */
const CHANGING = ['new-test-user', 'reset-test-account-credentials', 'password-max-age'] as const;

/** What cannot be meant together. */
const CONTRADICTIONS = [
  ['new-test-user', 'reset-test-account-credentials'],
  ['new-test-user', 'monitoring-context'],
  ['new-test-user', 'discover'],
  ['reset-test-account-credentials', 'discover'],
  ['password-max-age', 'discover'],
  ['mailbox-server', 'discover'],
  ['reset-test-account-credentials', 'monitoring-context'],
  ['new-test-user', 'mailbox-credential'],
  ['reset-test-account-credentials', 'mailbox-credential'],
  ['password-max-age', 'mailbox-credential'],
  ['new-test-user', 'client-access-server'],
  ['new-test-user', 'targets'],
  ['reset-test-account-credentials', 'targets'],
  ['mailbox-server', 'targets'],
  ['password-max-age', 'targets'],
] as const;

/**
 * Reads whether the test account of the site is to be used, and what is to be done with it; null where somebody else logs on.
 *
 * @param hasDirectory whether one is asked
 * @param isPlatform whether a platform runs this, and nobody watches
 * @throws ProbeFailure `usage`
 */
export function parseTestAccount(
  settings: Settings,
  hasDirectory: boolean,
  isPlatform: boolean,
): TestAccountPlan | null {
  if (!hasDirectory) {
    const orphan = accountSetting(settings);
    if (orphan !== undefined) throw usage(`--${orphan} needs --domain-controller or --directory-domain`);
    return null;
  }
  for (const [one, other] of CONTRADICTIONS) {
    if (settings[one] !== undefined && settings[other] !== undefined)
      throw usage(`--${one} and --${other} contradict each other`);
  }
  if (settings.ou !== undefined && settings['new-test-user'] === undefined) throw usage('--ou needs --new-test-user');
  const isByCertificate = String(settings.auth ?? '').toLowerCase() === 'external';
  const changing = CHANGING.find((name) => settings[name] !== undefined);
  if (isByCertificate && changing !== undefined) throw usage(`--${changing} and --auth external contradict each other`);
  const isOther =
    settings['mailbox-credential'] !== undefined || settings.targets !== undefined || settings.discover !== undefined;
  if (isOther || isByCertificate) return null;
  const password = settingWith('password', settings);
  if (password !== null) throw usage(`--${password} needs --mailbox-credential: that of the test account is kept`);
  return {
    task:
      settings['new-test-user'] !== undefined
        ? 'make'
        : settings['reset-test-account-credentials'] !== undefined
          ? 'reset'
          : 'use',
    unit: (settings.ou as string | undefined) ?? null,
    maxAgeDays: parseMaxAge(settings['password-max-age']),
    isUnattended: isPlatform || settings['monitoring-context'] !== undefined,
    stateDir: (settings['state-dir'] as string | undefined) ?? null,
  };
}

/** An option that means nothing without a directory, or undefined. */
export const accountSetting = (settings: Settings): string | undefined =>
  BELONGING.find((name) => settings[name] !== undefined);

/** An option that may have a value: the last one given counts. */
function parseMaxAge(given: Settings[string]): number | null {
  const last = (given as readonly string[] | undefined)?.at(-1);
  if (last === undefined) return null;
  return last === '' ? USUAL_MAX_AGE_DAYS : wholeNumber('--password-max-age', last, 1, MOST_DAYS);
}

import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { cloudOf } from '../request/oauth.ts';
import type { Settings } from '../request/settings.ts';
import { accountSetting } from '../request/test-account.ts';

/**
 * Holds settings to what the cmdlet's documentation says, and puts what it means by 0 in the words of a request.
 *
 * @param settings of one test, or of the command line where `targets` names others
 * @returns the settings for `parseRequest`, and what is to be remarked on in the verdict
 * @throws ProbeFailure `usage` out of range, in the documentation's words; `configuration` for what needs a directory
 */
export function cmdletSettings(settings: Settings): {
  readonly settings: Settings;
  readonly remarks: readonly string[];
} {
  refuseWithoutDirectory(settings);
  const meant: Record<string, Settings[string]> = { ...settings };
  const remarks: string[] = [];
  for (const { option, parameter, most, digits, valid } of RANGES) {
    const given = settings[option];
    if (given === undefined) continue;
    const value = digits.test(String(given)) ? Number(given) : Number.NaN;
    if (!(value <= most)) throw usage(`-${parameter}: ${valid}`);
    if (option === 'port-client-access-server') continue;
    // No limit is nobody's; the cmdlet's documentation says nothing of 0 but that it is valid.
    if (value === 0) meant[option] = String(most);
    else if (value < ADVISED_S) remarks.push(`-${parameter} ${value}: a value of 5 seconds or more is recommended`);
  }
  return { settings: meant, remarks };
}

const ADVISED_S = 5;
const SECONDS = /^\d{1,4}(?:\.\d{1,3})?$/;

/** The valid ranges, as the reference page has them. */
const RANGES = [
  {
    option: 'timeout',
    parameter: 'Timeout',
    most: 3600,
    digits: SECONDS,
    valid: 'valid values are between 0 and 3600 seconds (1 hour)',
  },
  {
    option: 'per-connection-timeout',
    parameter: 'PerConnectionTimeout',
    most: 120,
    digits: SECONDS,
    valid: 'valid values are between 0 and 120 seconds',
  },
  {
    option: 'port-client-access-server',
    parameter: 'PortClientAccessServer',
    most: 65535,
    digits: /^\d{1,9}$/,
    valid: 'the valid range is from 0 through 65,535',
  },
] as const;

/** What says whom to test, one way or another. */
const FINDING = ['client-access-server', 'domain-controller', 'directory-domain', 'discover-srv'] as const;

/** What says which directory is asked. */
const DIRECTORY = ['domain-controller', 'directory-domain'] as const;

/** What the cmdlet asks Active Directory for: where none is named, a test of something else would not do. */
function refuseWithoutDirectory(settings: Settings): void {
  // Each target has its own; and what is about the test account alone is refused by its own name.
  if (settings.targets !== undefined || accountSetting(settings) !== undefined) return;
  if (DIRECTORY.some((name) => settings[name] !== undefined)) return;
  if (FINDING.every((name) => settings[name] === undefined) && cloudOf(settings) === null) {
    throw new ProbeFailure(
      'configuration',
      "without -ClientAccessServer the site's servers are looked up in a directory (Active Directory): give " +
        '-DomainController, -DirectoryDomain or -ClientAccessServer',
    );
  }
  if (settings.discover !== undefined) return;
  const isByCertificate = String(settings.auth ?? '').toLowerCase() === 'external';
  if (settings['mailbox-credential'] === undefined && !isByCertificate)
    throw new ProbeFailure(
      'configuration',
      'without -MailboxCredential the test account is looked up in a directory (Active Directory): give ' +
        '-DomainController, -DirectoryDomain or -MailboxCredential',
    );
}

import { usage } from '../dialogue/failure.ts';
import type { PasswordCredential } from '../sasl/mechanism.ts';
import { parseOther } from './credential.ts';
import { parseHost } from './host.ts';
import { settingWith } from './secret.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';
import { oneOf, wholeNumber } from './values.ts';

/** Which directory is asked, and how. */
export interface DirectoryPlan {
  /** The domain controller by name, or null where one of the domain is looked for in DNS. */
  readonly controller: string | null;
  readonly domain: string | null;
  readonly connectionType: 'tls' | 'ssl';
  readonly port: number;
  /** Null: anonymous. */
  readonly credential: PasswordCredential | null;
  readonly authorities: string | null;
  /** The site this machine is said to be in; null: the directory tells. */
  readonly localSite: string | null;
  /** The site to be tested; null: our own. */
  readonly site: string | null;
}

/** What asks for a directory. */
const NAMING = ['domain-controller', 'directory-domain'] as const;

/** What means nothing without one. */
const BELONGING = [
  'directory-credential',
  'directory-ca-file',
  'directory-connection-type',
  'directory-port',
  'local-site',
  'site',
] as const;

/**
 * Reads which directory is to be asked; null where none is.
 *
 * @throws ProbeFailure `usage` or `configuration`
 */
export async function parseDirectory(settings: Settings, sources: Sources): Promise<DirectoryPlan | null> {
  if (NAMING.every((name) => settings[name] === undefined)) {
    const orphan =
      BELONGING.find((name) => settings[name] !== undefined) ??
      settingWith('directory-password', settings) ??
      undefined;
    if (orphan !== undefined) throw usage(`--${orphan} needs --domain-controller or --directory-domain`);
    return null;
  }
  if (NAMING.every((name) => settings[name] !== undefined)) {
    throw usage(`--${NAMING.join(' and --')} contradict each other`);
  }
  const { 'domain-controller': controller, 'directory-domain': domain, 'directory-ca-file': authorities } = settings;
  const connectionType = oneOf('--directory-connection-type', settings['directory-connection-type'], TYPES, 'ssl');
  const port = settings['directory-port'];
  return {
    controller: controller === undefined ? null : parseHost('--domain-controller', controller, sources).ascii,
    domain: domain === undefined ? null : parseHost('--directory-domain', domain, sources).ascii.replace(/\.$/, ''),
    connectionType,
    port: port === undefined ? PORTS[connectionType] : wholeNumber('--directory-port', port, 1, 65535),
    credential: await parseOther('directory', settings, sources),
    authorities: authorities === undefined ? null : sources.certificates('--directory-ca-file', authorities as string),
    localSite: parseSite('local-site', settings),
    site: parseSite('site', settings),
  };
}

const TYPES = ['ssl', 'tls'] as const;
const PORTS = { ssl: 636, tls: 389 } as const;

/** A site by its name; RFC 1123's letters as Active Directory takes them. */
function parseSite(option: 'local-site' | 'site', settings: Settings): string | null {
  const given = settings[option] as string | undefined;
  if (given === undefined) return null;
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_-]{0,62}$/u.test(given)) throw usage(`--${option} takes the name of a site`);
  return given;
}

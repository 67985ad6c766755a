import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import { trustedCertificates } from '../runtimes/node/authorities.ts';
import { failureOf } from '../runtimes/node/errors.ts';
import type { Hold } from '../runtimes/node/reach.ts';
import type { PasswordCredential } from '../sasl/mechanism.ts';
import type { Entry } from './entry.ts';

/** A directory that has been logged on to. Everything it throws is a ProbeFailure of the phase `directory`. */
export interface Directory {
  /** The domain controller that answers. */
  readonly controller: string;
  /** What the root of the directory says of itself (RFC 4512 §5.1). */
  readonly root: Entry;
  readonly search: (base: string, what: Search) => Promise<readonly Entry[]>;
  /** Makes an object (RFC 4511 §4.7). */
  readonly add: (dn: string, attributes: Values) => Promise<void>;
  /** Puts values in the place of those that are there (RFC 4511 §4.6). */
  readonly replace: (dn: string, attributes: Values) => Promise<void>;
  readonly close: () => void;
}

/** Attributes and what is written into them; octets where the value is no text. */
export type Values = Readonly<Record<string, readonly string[] | Uint8Array>>;

export interface Search {
  readonly scope: 'base' | 'one' | 'sub';
  /** What the object has to have, a value each; octets where the value is no text. Escaped by the library. */
  readonly where: Readonly<Record<string, string | Uint8Array>>;
  readonly attributes: readonly string[];
}

/** How a domain controller is reached and who logs on. */
export interface DirectoryTerms {
  readonly controller: string;
  /** `ssl` is LDAPS; `tls` StartTLS (RFC 4513 §3). There is no way without: a password may cross. */
  readonly connectionType: 'tls' | 'ssl';
  readonly port: number;
  /** Null: anonymous, where the directory allows it. */
  readonly credential: PasswordCredential | null;
  /** Certificates in PEM that replace the system's and Node's roots, or null. */
  readonly authorities: string | null;
}

const USUAL_PAGE = 500;

/**
 * Connects, starts TLS, verifies the certificate, and binds.
 *
 * @param hold is given what ends all of it
 * @throws ProbeFailure `directory-unreachable`, `directory-refused`
 */
export async function openDirectory(terms: DirectoryTerms, hold: Hold): Promise<Directory> {
  const { default: ldap } = await import('./client.ts');
  const { controller, connectionType, port, credential } = terms;
  const tlsOptions = {
    ca: terms.authorities ?? [...trustedCertificates()],
    servername: controller,
    minVersion: 'TLSv1.2',
    // Said outright: NODE_TLS_REJECT_UNAUTHORIZED has no say.
    rejectUnauthorized: true,
  } as const;
  const scheme = connectionType === 'ssl' ? 'ldaps' : 'ldap';
  const client = new ldap.Client({
    url: `${scheme}://${controller.includes(':') ? `[${controller}]` : controller}:${port}`,
    ...(connectionType === 'ssl' ? { tlsOptions } : {}),
  });
  const close = (): void => {
    client.unbind().catch(() => undefined);
  };
  hold(close);
  const blame = (error: unknown): ProbeFailure => {
    const failure = meaningOf(error, terms, error instanceof ldap.ResultCodeError);
    failure.phase = 'directory';
    return failure;
  };
  const attributesOf = (values: Values) =>
    Object.entries(values).map(
      ([type, value]) =>
        new ldap.Attribute({ type, values: value instanceof Uint8Array ? [Buffer.from(value)] : [...value] }),
    );
  const write = async (change: () => Promise<void>): Promise<void> => {
    try {
      await change();
    } catch (error) {
      throw blame(error);
    }
  };
  const search = async (base: string, { scope, where, attributes }: Search): Promise<readonly Entry[]> => {
    const filters = Object.entries(where).map(
      ([attribute, value]) =>
        new ldap.EqualityFilter({ attribute, value: typeof value === 'string' ? value : Buffer.from(value) }),
    );
    try {
      const { searchEntries } = await client.search(base, {
        scope,
        filter:
          filters.length === 0
            ? new ldap.PresenceFilter({ attribute: 'objectClass' })
            : new ldap.AndFilter({ filters }),
        attributes: [...attributes],
        explicitBufferAttributes: [...attributes],
        ...(scope === 'base' ? {} : { paged: { pageSize: USUAL_PAGE } }),
      });
      return searchEntries.map(entryOf);
    } catch (error) {
      throw blame(error);
    }
  };
  try {
    if (connectionType === 'tls') await client.startTLS(tlsOptions);
    if (credential !== null) await client.bind(credential.userName, credential.password.reveal());
  } catch (error) {
    throw blame(error);
  }
  const [root] = await search('', { scope: 'base', where: {}, attributes: ROOT_ATTRIBUTES });
  if (root === undefined) throw blame(new Error('it says nothing of itself'));
  return {
    controller,
    root,
    search,
    add: (dn, values) => write(() => client.add(dn, attributesOf(values))),
    replace: (dn, values) =>
      write(() =>
        client.modify(
          dn,
          attributesOf(values).map((modification) => new ldap.Change({ operation: 'replace', modification })),
        ),
      ),
    close,
  };
}

const ROOT_ATTRIBUTES = [
  'configurationNamingContext',
  'defaultNamingContext',
  'schemaNamingContext',
  'dnsHostName',
  'serverName',
  'currentTime',
];

/**
 * Whether a password is right, by a simple bind. What keeps an account out though its password is right is told only to who has
 * that.
 *
 * @throws ProbeFailure where nobody tells: it is locked, or nobody answers
 */
export async function isRight(terms: DirectoryTerms, credential: PasswordCredential, hold: Hold): Promise<boolean> {
  try {
    (await openDirectory({ ...terms, credential }, hold)).close();
    return true;
  } catch (problem) {
    if (!(problem instanceof LdapRefusal && problem.code === INVALID_CREDENTIALS)) throw problem;
    if (problem.data === WRONG_PASSWORD) return false;
    if (RIGHT_BUT.includes(problem.data)) return true;
    throw problem;
  }
}

const INVALID_CREDENTIALS = 49;

/** A result of LDAP that is no success (RFC 4511 §4.1.9). */
export class LdapRefusal extends ProbeFailure {
  readonly code: number;
  /** What Active Directory adds to it, in hexadecimal digits; '' for nothing. */
  readonly data: string;

  constructor(reason: Reason, message: string, code: number, data: string) {
    super(reason, `${message} (LDAP ${code})`);
    this.code = code;
    this.data = data;
  }
}

type Found = Readonly<Record<string, unknown>> & { readonly dn: string };

/** Names of attributes come in the spelling of the directory's schema. */
function entryOf(found: Found): Entry {
  const attributes = new Map(Object.entries(found).map(([name, value]) => [name.toLowerCase(), value]));
  const values = (attribute: string): readonly Uint8Array[] => {
    const value = attributes.get(attribute.toLowerCase());
    const all = Array.isArray(value) ? value : value === undefined ? [] : [value];
    return all.map((each) => (typeof each === 'string' ? Buffer.from(each, 'utf8') : (each as Uint8Array)));
  };
  return {
    dn: found.dn,
    values,
    text(attribute) {
      const [first] = values(attribute);
      return first === undefined ? null : new TextDecoder().decode(first);
    },
  };
}

/** What a result code of LDAP (RFC 4511 §A.1) means here; others are told with their number. */
const CODES: Readonly<Record<number, readonly [Reason, string]>> = {
  1: ['directory-refused', 'it answers nobody who has not logged on: give --directory-credential'],
  3: ['directory-unreachable', 'it ran out of time'],
  4: ['directory-refused', 'it returns no more than a part of what was asked for (size limit)'],
  8: ['directory-refused', 'it wants a stronger way to log on'],
  10: ['directory-refused', 'it refers to another server: name a domain controller of the right domain'],
  13: ['directory-refused', 'it wants TLS'],
  32: ['directory-refused', 'there is no such object, or this account may not see it'],
  48: ['directory-refused', 'it does not let anybody log on in this way'],
  49: ['directory-refused', 'the user name or password was not accepted'],
  50: ['directory-refused', 'the account may not do this'],
  51: ['directory-unreachable', 'it is too busy'],
  52: ['directory-unreachable', 'it is not available'],
  53: ['directory-refused', 'it is not willing to'],
};

const WRONG_PASSWORD = '52e';

/** Not at this time, not from here, expired, disabled, not in this way, account expired, to be changed. */
const RIGHT_BUT: readonly string[] = ['530', '531', '532', '533', '569', '701', '773'];

/**
 * What Active Directory says first of what it refuses, `0000052D: …`: an error code of Windows, here
 * ERROR_PASSWORD_RESTRICTION.
 */
export const PASSWORD_RESTRICTION = '52d';

/** What Active Directory adds to code 49, `AcceptSecurityContext error, data 532`: the error codes of a Windows logon. */
const LOGON_ERRORS: Readonly<Record<string, string>> = {
  '525': 'there is no such user',
  // Not told is which: of an unknown user Samba, and Active Directory by some ways, say the same.
  [WRONG_PASSWORD]: 'the user name or the password is wrong',
  '530': 'the user may not log on at this time',
  '531': 'the user may not log on from here',
  '532': 'the password has expired',
  '533': 'the account is disabled',
  '569': 'the user may not log on in this way',
  '701': 'the account has expired',
  '773': 'the password has to be changed first',
  '775': 'the account is locked',
};

function meaningOf(problem: unknown, { controller, port }: DirectoryTerms, isAnswer: boolean): ProbeFailure {
  const where = `${controller} port ${port}: `;
  const { code, message = '' } = problem as { code?: string | number; message?: string };
  if (isAnswer && typeof code === 'number') {
    const [, told = ''] = /\bdata 0*([0-9a-f]{1,8})\b/i.exec(message) ?? /\b0*([0-9a-f]{1,8}): /i.exec(message) ?? [];
    const data = told.toLowerCase();
    const [reason, words] = CODES[code] ?? ['directory-refused', 'it refused the request'];
    const detail = code === INVALID_CREDENTIALS ? LOGON_ERRORS[data] : undefined;
    return new LdapRefusal(reason, `${where}${detail ?? words}`, code, data);
  }
  if (problem instanceof ProbeFailure) return problem;
  const text = String(code ?? '');
  if (/CERT|SELF_SIGNED|ISSUER|VERIFY|ALTNAME/.test(text)) {
    return new ProbeFailure(
      'directory-unreachable',
      `${where}its certificate is not to be trusted (${text}): give --directory-ca-file, or its name as in the certificate`,
    );
  }
  if (text === 'ENOTFOUND' || text === 'EAI_AGAIN') {
    return new ProbeFailure('directory-unreachable', `${where}the name is not found (${text})`);
  }
  // The library's words hold names of its own, made short.
  const words = /^Connection closed/.test(message) ? 'it closed the connection' : failureOf(problem).message;
  return new ProbeFailure('directory-unreachable', `${where}${words}`);
}

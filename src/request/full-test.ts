import type { Address } from '../dialogue/dialogue.ts';
import { usage } from '../dialogue/failure.ts';
import type { ConnectionType } from '../pop3/visit.ts';
import type { FullTestPlan } from '../probe/full-test.ts';
import type { ProxyPlan, SendCredential, SendPlan, TlsTerms } from '../probe/world.ts';
import { CLOUDS } from './clouds.ts';
import { fromFile } from './credential.ts';
import { type Host, parseHost } from './host.ts';
import type { Login } from './login.ts';
import { cloudOf, type HttpFor } from './oauth.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';
import { oneOf, wholeNumber } from './values.ts';

/** Who writes to whom. */
export interface Addresses {
  readonly from: string;
  readonly to: string;
}

/** The way to the POP3 server, which mail takes too unless told otherwise. */
export interface Way {
  readonly server: Host;
  readonly to: string | Address;
  readonly family: 0 | 4 | 6;
  readonly tls: TlsTerms;
  readonly httpFor: HttpFor;
  /** On the way to every server; null: none. */
  readonly proxy: ProxyPlan | null;
}

/**
 * The addresses of the full test: `--mail-to`, else the user name if it is one. Nothing is ever sent to a guess.
 *
 * @returns null where the user name is in a file: it is looked at when that was read
 * @throws ProbeFailure `usage`
 */
export function parseAddresses(settings: Settings, sources: Sources): Addresses | null {
  const user = settings['mailbox-credential'] as string | undefined;
  if (settings['mail-to'] === undefined && (user === undefined || user.startsWith('@'))) return null;
  return addressesFor(settings, user ?? '', sources);
}

function addressesFor(settings: Settings, user: string, sources: Sources): Addresses {
  const own = isAddress(user) ? user : undefined;
  const given = (settings['mail-to'] as string | undefined) ?? own;
  if (given === undefined) {
    throw usage('nobody to send the test message to: give --mail-to ADDRESS, or --light-mode to test the logon alone');
  }
  const to = parseMailAddress('--mail-to', given, sources);
  return { to, from: parseMailAddress('--mail-from', settings['mail-from'] ?? own ?? to, sources) };
}

const isAddress = (text: string): boolean => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text);

/** An addr-spec of the plain kind (RFC 5321 §4.1.2): a dot-atom, and a domain in the form DNS has it. */
function parseMailAddress(option: string, given: unknown, sources: Sources): string {
  const parts = /^([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)@([^@]+)$/.exec(String(given));
  if (parts === null) throw usage(`${option} takes an address such as probe@example.com, not ${JSON.stringify(given)}`);
  const domain = parseHost(option, parts[2], sources);
  if (domain.address !== null)
    throw usage(`${option} takes an address with a domain name, not ${JSON.stringify(given)}`);
  const address = `${parts[1]}@${domain.ascii.replace(/\.$/, '')}`;
  if (address.length > LONGEST_ADDRESS)
    throw usage(`${option} takes an address of up to ${LONGEST_ADDRESS} characters`);
  return address;
}

/** Twice in a line of 76 octets it would not fit; RFC 5321 §4.5.3.1 has 64 and 255. */
const LONGEST_ADDRESS = 200;

/**
 * Reads what belongs to the full test.
 *
 * @param addresses as `parseAddresses` found them
 * @param login who logs on, the default for sending too
 * @throws ProbeFailure `usage` or `configuration`
 */
export function parseFullTest(
  settings: Settings,
  addresses: Addresses | null,
  way: Way,
  login: Login,
  sources: Sources,
): FullTestPlan {
  const { from, to } = addresses ?? addressesFor(settings, login.plan.userName, sources);
  return {
    from,
    to,
    send: parseSend(settings, way, login, from, sources),
    split: settings.split === true,
    keepStale: settings['keep-stale'] === true,
    memory: {
      stateDir: (settings['state-dir'] as string | undefined) ?? null,
      markerKeyFile: (settings['marker-key-file'] as string | undefined) ?? null,
    },
  };
}

const WAYS: readonly SendPlan['via'][] = ['smtp', 'ews', 'ews-save', 'graph'];
const OF_SMTP = ['smtp-server', 'smtp-port', 'smtp-connection-type'];

function parseSend(settings: Settings, way: Way, login: Login, from: string, sources: Sources): SendPlan {
  const via = oneOf('--send-via', settings['send-via'], WAYS, 'smtp');
  const foreign = (via === 'smtp' ? ['send-url'] : OF_SMTP).find((option) => settings[option] !== undefined);
  if (foreign !== undefined) throw usage(`--${foreign} has no meaning with --send-via ${via}`);
  const { httpFor, server } = way;
  if (via === 'smtp') return parseSmtp(settings, way, login, sources);
  const credential = parseSendCredential(settings, login, sources);
  const given = settings['send-url'] as string | undefined;
  if (via !== 'graph') {
    const url = given ?? `https://${server.ascii}/EWS/Exchange.asmx`;
    return {
      via,
      url,
      http: { ...httpFor(url), authorities: way.tls.authorities },
      credential,
      // An application has no mailbox: it acts for the sender.
      impersonating: credential.kind === 'bearer' && login.isPending ? from : null,
    };
  }
  if (credential.kind !== 'bearer')
    throw usage('--send-via graph needs a token: give --oauth-client-id or --oauth-token-file');
  const url = given ?? CLOUDS[cloudOf(settings) ?? 'worldwide'].graphUrl;
  return {
    via,
    url,
    http: httpFor(url),
    credential: { ...credential, userName: from },
  };
}

const CONNECTION_TYPES: readonly ConnectionType[] = ['plaintext', 'tls', 'ssl'];
const SUBMISSION = 587; // RFC 6409 §3.1
const SUBMISSIONS = 465; // RFC 8314 §3.3
const RELAY = 25;

/** Port and protection are each other's default, as for POP3. */
function parseSmtp(settings: Settings, way: Way, login: Login, sources: Sources): SendPlan {
  const given = settings['smtp-port'] === undefined ? 0 : wholeNumber('--smtp-port', settings['smtp-port'], 1, 65535);
  const usual = given === SUBMISSIONS ? 'ssl' : 'tls';
  const connectionType = oneOf('--smtp-connection-type', settings['smtp-connection-type'], CONNECTION_TYPES, usual);
  const port = given !== 0 ? given : connectionType === 'ssl' ? SUBMISSIONS : SUBMISSION;
  const named = settings['smtp-server'];
  const server = named === undefined ? way.server : parseHost('--smtp-server', named, sources);
  const identity = server.ascii.replace(/\.$/, '');
  const tls: TlsTerms = {
    identity,
    sni: server.address === null ? identity : null,
    authorities: way.tls.authorities,
    pins: [],
    clientCertificate: null,
  };
  // Servers take mail for their own mailboxes on port 25 from anybody, and know no users there.
  const wantsLogon = port !== RELAY || settings['smtp-credential'] !== undefined || login.token !== null;
  return {
    via: 'smtp',
    server: server.shown,
    to: named === undefined ? way.to : (server.address ?? server.ascii),
    port,
    connectionType,
    link: { family: way.family, proxy: way.proxy, tls: connectionType === 'plaintext' ? null : tls },
    credential: wantsLogon ? parseSendCredential(settings, login, sources) : null,
  };
}

/** A token where there is one; `--smtp-credential`, with the password of the mailbox or its own; else the mailbox's. */
function parseSendCredential(settings: Settings, { plan, token }: Login, sources: Sources): SendCredential {
  const given = settings['smtp-credential'] as string | undefined;
  if (given?.startsWith('@')) {
    if (token !== null) throw usage('--smtp-credential @FILE has a password, and --oauth-… a token: give one of them');
    return fromFile('--smtp-credential', given.slice(1), sources);
  }
  if (token !== null) return { ...token, userName: given ?? plan.userName };
  if (plan.kind !== 'password') throw usage('no password to send with: give --smtp-credential @FILE');
  return { kind: 'password', userName: given ?? plan.userName, password: plan.password };
}

import type { Address } from '../dialogue/dialogue.ts';
import { type Reason, usage } from '../dialogue/failure.ts';
import type { ConnectionType } from '../pop3/visit.ts';
import type { Tokens } from '../probe/authorise.ts';
import type { FullTestPlan } from '../probe/full-test.ts';
import type { ProbePlan } from '../probe/probe.ts';
import type { HttpTerms, TokenPlan } from '../probe/world.ts';
import type { Policy } from '../verdict/judge.ts';
import { STATES, type State, stateOfFailure } from '../verdict/severity.ts';
import { CLOUDS } from './clouds.ts';
import { parseAddresses, parseFullTest } from './full-test.ts';
import { type Host, parseHost } from './host.ts';
import { type Login, parseLogin } from './login.ts';
import { type Audience, cloudOf, parseOauth } from './oauth.ts';
import { environmentProxy, parseProxy, showsProxyPassword } from './proxy.ts';
import { parseReason } from './reason.ts';
import { isSeen } from './secret.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';
import { parseCertificateDays, parseThresholds } from './thresholds.ts';
import { parseTls } from './tls.ts';
import { oneOf, seconds, wholeNumber } from './values.ts';

/** One validated request: afterwards nothing about it is in doubt, and nothing has touched the network. */
export interface Request {
  readonly plan: ProbePlan;
  readonly policy: Policy;
  /** Test every address of the name, not the first that answers. */
  readonly allAddresses: boolean;
  /** Tell what would be done, and do nothing. */
  readonly whatIf: boolean;
  /** Ask somebody first. */
  readonly confirm: boolean;
  /** 0 to 3. */
  readonly verbosity: number;
}

/** In what commands differ. */
export interface Defaults {
  readonly timeoutS: number;
  readonly test: 'light' | 'full';
}

/**
 * Reads settings into a request.
 *
 * @throws ProbeFailure `usage` or `configuration`: one clause that names the option and what it takes
 */
export async function parseRequest(settings: Settings, defaults: Defaults, sources: Sources): Promise<Request> {
  refuseContradictions(settings);
  const timeoutMs = parseTimeout(settings, defaults);
  const cloud = cloudOf(settings);
  const named = settings['client-access-server'] ?? (cloud === null ? undefined : CLOUDS[cloud].mailHost);
  const server = parseHost('--client-access-server', named, sources);
  const { connectionType, port } = parseService(settings, cloud !== null);
  const family: 0 | 4 | 6 = settings.ipv4 ? 4 : settings.ipv6 ? 6 : 0;
  const to = parseTarget(server, settings.address, family, sources);
  const verbosity = Math.min(3, (settings.verbose as number | undefined) ?? 0);
  const policy = parsePolicy(settings);
  const tls = parseTls(settings, server, sources);
  const isFull = wantsFullTest(settings, defaults);
  // Before anybody is asked for a password.
  const addresses = isFull ? parseAddresses(settings, sources) : null;
  const login = await parseLogin(settings, sources);
  const proxy = settings.proxy === undefined ? null : parseProxy('--proxy', settings.proxy as string, sources);
  const httpFor = (url: string): HttpTerms => ({
    family,
    proxy: proxy ?? environmentProxy(url, sources),
    // Identity providers are known to the world: --ca-file is for our own servers.
    authorities: null,
  });
  const oauth = login.isPending ? await parseOauth(settings, httpFor, sources) : null;
  const fullTest = isFull
    ? parseFullTest(settings, addresses, { server, to, family, tls, proxy, httpFor }, login, sources)
    : null;
  return {
    plan: {
      server: server.shown,
      mailboxServer: null,
      localSite: null,
      visit: {
        to,
        port,
        connectionType,
        viaProxy: proxy !== null,
        trustAnyCertificate: settings['trust-any-ssl-certificate'] === true,
        login: login.plan,
      },
      link: { family, proxy, tls: connectionType === 'plaintext' ? null : tls },
      fullTest,
      tokens: oauth === null ? null : tokensFor(oauth, login, fullTest),
      timeoutMs,
      perConnectionTimeoutMs: seconds(settings, 'per-connection-timeout', 120, 120) * 1000,
      known: [],
      trace: verbosity >= 3,
    },
    policy,
    allAddresses: settings['all-addresses'] === true,
    whatIf: settings['what-if'] === true,
    confirm: settings.confirm === true,
    verbosity,
  };
}

/** A token is asked for where one is used; Microsoft Graph wants one of its own. */
function tokensFor(oauth: (audience: Audience) => TokenPlan, { plan }: Login, fullTest: FullTestPlan | null): Tokens {
  const mail = oauth('mail');
  const isSending = fullTest?.send.credential?.kind === 'bearer';
  return {
    login: plan.kind === 'bearer' ? mail : null,
    send: !isSending ? null : fullTest?.send.via === 'graph' ? oauth('graph') : mail,
  };
}

function parsePolicy(settings: Settings): Policy {
  const days = parseCertificateDays(settings['certificate-days'] as string | undefined);
  return {
    warning: new Map([...days.warning, ...parseThresholds('--warning', listed(settings.warning))]),
    critical: new Map([...days.critical, ...parseThresholds('--critical', listed(settings.critical))]),
    certificateDefaults: settings['trust-any-ssl-certificate'] !== true,
    severity: parseSeverities(settings),
    expect: settings.expect === undefined ? null : parseExpected(settings.expect as string),
    remarks: isSeen(settings) || showsProxyPassword(String(settings.proxy ?? '')) ? [SECRET_SEEN] : [],
  };
}

const SECRET_SEEN = 'a password on the command line is seen by everyone on this machine';

const listed = (setting: Settings[string]): readonly string[] => (setting as readonly string[] | undefined) ?? [];

/** A failure that is to be: one of the server's, for of the others nothing can be proved. */
function parseExpected(given: string): Reason {
  const reason = parseReason('--expect', given);
  if (stateOfFailure(reason, null) === 'unknown')
    throw usage(`--expect takes a reason that is about the server; ${reason} is not`);
  return reason;
}

/**
 * The states a user gave to reasons.
 *
 * @throws ProbeFailure `usage`
 */
export const parseSeverities = (settings: Settings): Policy['severity'] =>
  new Map(listed(settings.severity).map(parseSeverity));

/** `reason=state`: what a failure or a warning with that reason is to count as. */
function parseSeverity(given: string): readonly [Reason, State] {
  const [reason = '', state = '', ...more] = given.split('=');
  const found = more.length > 0 ? undefined : STATES.find((each) => each === state.toLowerCase());
  if (found === undefined)
    throw usage(`--severity takes REASON=STATE with ${STATES.join(', ')} for a state, not ${JSON.stringify(given)}`);
  return [parseReason('--severity', reason), found];
}

/** How long the whole run may take, known before anything that may have to be waited for. */
export const parseTimeout = (settings: Settings, { timeoutS }: Defaults): number =>
  seconds(settings, 'timeout', timeoutS, 3600) * 1000;

const CONNECTION_TYPES: readonly ConnectionType[] = ['plaintext', 'tls', 'ssl'];

/** Options that cannot both be meant. */
function refuseContradictions(settings: Settings): void {
  const pairs = [
    ['ipv4', 'ipv6'],
    ['light-mode', 'full-test'],
    ['light-mode', 'split'],
    ['trust-any-ssl-certificate', 'ca-file'],
    ['trust-any-ssl-certificate', 'pin'],
    ['all-addresses', 'address'],
    ['all-addresses', 'proxy'],
  ] as const;
  for (const [one, other] of pairs) {
    if (settings[one] !== undefined && settings[other] !== undefined)
      throw usage(`--${one} and --${other} contradict each other`);
  }
  const type = String(settings['connection-type'] ?? '').toLowerCase();
  if (settings.ssl === true && type !== '' && type !== 'ssl')
    throw usage(`-S and --connection-type ${type} contradict each other`);
  if (type !== 'plaintext') return;
  // The server that takes the message may want it.
  const forPop3 = settings['light-mode'] === true ? ['ca-file'] : [];
  for (const option of [...forPop3, 'pin', 'sni', 'client-certificate', 'client-key', 'trust-any-ssl-certificate']) {
    if (settings[option] !== undefined) throw usage(`--${option} has no meaning with --connection-type plaintext`);
  }
}

/** The full test, unless LightMode was asked for or is the command's own. */
const wantsFullTest = (settings: Settings, defaults: Defaults): boolean =>
  settings['full-test'] === true ||
  settings.split === true ||
  (defaults.test === 'full' && settings['light-mode'] !== true);

/** Port and protection, each the other's default: 995 alone means ssl, ssl alone means 995, 0 the type's own port. */
function parseService(
  settings: Settings,
  isExchangeOnline: boolean,
): { readonly connectionType: ConnectionType; readonly port: number } {
  const given =
    settings['port-client-access-server'] === undefined
      ? 0
      : wholeNumber('--port-client-access-server', settings['port-client-access-server'], 0, 65535);
  // Exchange Online has no POP3 without TLS from the first octet.
  const isUsual = isExchangeOnline && given === 0 && settings['client-access-server'] === undefined;
  const usual = settings.ssl === true || given === 995 || isUsual ? 'ssl' : 'tls';
  const connectionType = oneOf('--connection-type', settings['connection-type'], CONNECTION_TYPES, usual);
  return { connectionType, port: given !== 0 ? given : connectionType === 'ssl' ? 995 : 110 };
}

/** Where to connect: `--address`, else the server itself. */
function parseTarget(server: Host, given: Settings[string], family: 0 | 4 | 6, sources: Sources): string | Address {
  const host = given === undefined ? server : parseHost('--address', given, sources);
  if (host.address === null) return host.ascii;
  if (family !== 0 && host.address.family !== family) {
    throw usage(`-${family} and the IPv${host.address.family} address ${host.ascii} contradict each other`);
  }
  return host.address;
}

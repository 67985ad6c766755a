import { usage } from '../dialogue/failure.ts';
import type { Secret } from '../dialogue/secret.ts';
import type { HttpTerms } from '../probe/world.ts';
import type { PasswordCredential } from '../sasl/mechanism.ts';
import { parseOther } from './credential.ts';
import { type Host, parseHost } from './host.ts';
import { environmentProxy } from './proxy.ts';
import { readSecret } from './secret.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';
import { parseClientCertificate, parsePins } from './tls.ts';
import { seconds } from './values.ts';

/** Where results are handed to platforms that do not ask for them, and how. */
export interface DeliveryPlan {
  readonly destinations: readonly DestinationPlan[];
  /** A result that had to wait for longer is dropped: an old OK must not cover what came after it. */
  readonly maxAgeMs: number;
  /** What the delivery may take, counted from the moment the verdict was printed. */
  readonly timeoutMs: number;
  /** The folder where results wait, or null for the usual one. */
  readonly stateDir: string | null;
  /** The exit code is the delivery's: nobody takes it for the mail server's. */
  readonly isPassive: boolean;
}

/** One platform. `name` is what people call it, and what its results wait under. */
export type DestinationPlan = { readonly name: string } & (
  | { readonly kind: 'nagios'; readonly path: string }
  | {
      readonly kind: 'icinga2';
      readonly url: string;
      readonly http: HttpTerms;
      /** Null: the client certificate says who we are. */
      readonly credential: PasswordCredential | null;
      readonly checkSource: string | null;
      readonly ttlS: number | null;
    }
  | { readonly kind: 'nrdp'; readonly url: string; readonly http: HttpTerms; readonly token: Secret }
  | { readonly kind: 'zabbix'; readonly host: Host; readonly port: number }
);

/** The object of a platform that a result is for. */
export interface Addressee {
  readonly host: string;
  readonly service: string;
}

/**
 * Reads where results are to be delivered; null where they are not.
 *
 * @param settings those for all servers
 * @throws ProbeFailure `usage` or `configuration`, naming the option and never a secret
 */
export async function parseDelivery(settings: Settings, sources: Sources): Promise<DeliveryPlan | null> {
  const given = (settings.deliver as readonly string[] | undefined) ?? [];
  if (given.length === 0) {
    const orphan = Object.keys(settings).find((name) => name === 'passive' || name.startsWith('deliver-'));
    if (orphan !== undefined) throw usage(`--${orphan} needs --deliver`);
    return null;
  }
  const destinations = new Map<string, DestinationPlan>();
  for (const each of given) {
    const destination = await parseDestination(each, settings, sources);
    destinations.set(destination.name, destination);
  }
  return {
    destinations: [...destinations.values()],
    maxAgeMs: seconds(settings, 'deliver-max-age', USUAL_AGE_S, LONGEST_AGE_S) * 1000,
    timeoutMs: seconds(settings, 'deliver-timeout', USUAL_TIMEOUT_S, LONGEST_TIMEOUT_S) * 1000,
    stateDir: (settings['state-dir'] as string | undefined) ?? null,
    isPassive: settings.passive === true,
  };
}

const USUAL_AGE_S = 900;
const LONGEST_AGE_S = 9999;
/** With the 50 s of the plugin it stays below the 60 s of Nagios. */
const USUAL_TIMEOUT_S = 8;
const LONGEST_TIMEOUT_S = 300;
const LONGEST_TTL_S = 9999;

/** Whose result it is to be: in a platform's own words, host and service. */
export function parseAddressee(server: string, settings: Settings): Addressee {
  const host = String(settings['deliver-host'] ?? server);
  const service = String(settings['deliver-service'] ?? 'POP3');
  checkName('--deliver-host', host);
  checkName('--deliver-service', service);
  return { host, service };
}

/** Icinga puts `!` between them, Nagios `;`, and a line is a command to it. */
function checkName(option: string, name: string): void {
  if (name === '') throw usage(`${option} is empty: give the name the platform has for it`);
  const isName = name.length <= LONGEST_NAME && !/[;!]/.test(name) && !CONTROL.test(name);
  if (!isName) throw usage(`${option} takes a name of up to ${LONGEST_NAME} characters without ; and !`);
}

const LONGEST_NAME = 250;
const CONTROL = /[^\P{Cc}]/u;

type Kind = DestinationPlan['kind'];
type Parse = (where: string, settings: Settings, sources: Sources) => Promise<DestinationPlan>;

const KINDS: Readonly<Record<Kind, Parse>> = {
  nagios: async (path) => {
    if (!path.startsWith('/'))
      throw usage(`--deliver nagios: takes the whole path of the command file, not ${shown(path)}`);
    return { kind: 'nagios', name: `nagios ${path}`, path };
  },
  icinga2: async (where, settings, sources) => {
    const url = parseUrl('icinga2', where);
    const http = parseHttp(url, settings, sources);
    const credential = await parseOther('deliver', settings, sources);
    if (credential === null && http.clientCertificate == null) {
      throw usage('--deliver icinga2: needs --deliver-credential USER or @FILE, or --deliver-client-certificate');
    }
    const ttlS = settings['deliver-ttl'] === undefined ? null : seconds(settings, 'deliver-ttl', 0, LONGEST_TTL_S);
    const checkSource = (settings['deliver-source'] as string | undefined) ?? null;
    return { kind: 'icinga2', name: `icinga2 ${placeOf(url)}`, url, http, credential, checkSource, ttlS };
  },
  nrdp: async (where, settings, sources) => {
    const url = parseUrl('nrdp', where);
    const token = await readSecret('deliver-token', settings, sources);
    if (token === null) throw usage('--deliver nrdp: needs --deliver-token-file or --deliver-token-env');
    return { kind: 'nrdp', name: `nrdp ${placeOf(url)}`, url, http: parseHttp(url, settings, sources), token };
  },
  zabbix: async (where, _, sources) => {
    const [, bare = where, port = '10051'] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(where) ?? [];
    const isPort = Number(port) >= 1 && Number(port) <= 65535;
    if (!isPort || MAY_BE_SECRET.test(where)) throw usage(`--deliver zabbix: takes HOST:PORT, not ${shown(where)}`);
    const host = parseHost('--deliver zabbix:', bare, sources);
    return { kind: 'zabbix', name: `zabbix ${host.shown}:${port}`, host, port: Number(port) };
  },
};

function parseDestination(given: string, settings: Settings, sources: Sources): Promise<DestinationPlan> {
  const [, kind = '', where = ''] = /^([a-z0-9]+):(.*)$/s.exec(given) ?? [];
  if (!Object.hasOwn(KINDS, kind) || where === '') {
    throw usage(`--deliver takes ${Object.keys(KINDS).join(':, ')}: and where that is, not ${shown(given)}`);
  }
  return KINDS[kind as Kind](where, settings, sources);
}

/** Not what may hold a password. */
const shown = (given: string): string => (MAY_BE_SECRET.test(given) ? 'what was given' : JSON.stringify(given));

const MAY_BE_SECRET = /[@?#]/;

/** An https: URL without user, query or fragment. */
function parseUrl(kind: Kind, given: string): string {
  if (!/^https:\/\/[^\s/@?#]+(?:\/[^\s?#]*)?$/.test(given)) {
    throw usage(`--deliver ${kind}: takes a URL that begins with https://, not ${shown(given)}`);
  }
  return given.replace(/\/+$/, '');
}

/** A URL that was read, without what they all begin with. With its path: one host may have several servers. */
const placeOf = (url: string): string => url.replace(/^https:\/\//, '');

function parseHttp(url: string, settings: Settings, sources: Sources): HttpTerms {
  const authorities = settings['deliver-ca-file'] as string | undefined;
  const name = settings['deliver-certificate-name'];
  return {
    family: 0,
    proxy: environmentProxy(url, sources),
    authorities: authorities === undefined ? null : sources.certificates('--deliver-ca-file', authorities),
    pins: parsePins(settings, 'deliver-pin'),
    clientCertificate: parseClientCertificate(settings, sources, 'deliver-'),
    ...(name === undefined ? {} : { identity: parseHost('--deliver-certificate-name', name, sources).ascii }),
  };
}

import { ProbeFailure } from '../dialogue/failure.ts';
import { MECHANISMS, SASL_METHODS, type SaslMethod } from '../sasl/index.ts';
import type { Credential, Mechanism } from '../sasl/mechanism.ts';
import type { Capabilities } from './capabilities.ts';
import type { Footing, LoginPlan } from './login.ts';

/** `auto`, USER and PASS, APOP, or a SASL mechanism by its name in lower case. */
export type LoginMethod = 'auto' | 'user' | 'apop' | SaslMethod;

/** Every one of them. */
export const LOGIN_METHODS: readonly LoginMethod[] = ['auto', 'user', 'apop', ...SASL_METHODS];

/**
 * The way to log on: the one asked for by name; else the strongest that the server offers for what we have, and no other
 * one after a refusal.
 *
 * @throws ProbeFailure `mechanism-not-offered`, before anything secret is sent; `configuration` for a way by name that
 *   has no use for what we have
 */
export function choose(plan: LoginPlan, footing: Footing): 'user' | 'apop' | Mechanism {
  const { method } = plan;
  // No extension is needed for what RFC 1939 has (RFC 2449 §7): by name it is tried, listed or not.
  if (method === 'user' || method === 'apop') {
    if (plan.kind !== 'password') throw unfit(method.toUpperCase(), 'password', plan.kind);
    return method;
  }
  const offers = offered(footing.capabilities);
  // Without CAPA nobody knows: then what was asked for by name is tried, and `auto` means USER and PASS.
  if (method !== 'auto') {
    const wanted = MECHANISMS[method];
    if (wanted.takes !== plan.kind) throw unfit(wanted.name, wanted.takes, plan.kind);
    if (offers !== null && !offers.includes(wanted.name)) throw notOffered(offers, wanted.name);
    if (wanted.needsBinding === true && footing.bindings.size === 0) throw unbound(wanted.name);
    return wanted;
  }
  if (offers === null) {
    if (plan.kind === 'password') return 'user';
    throw new ProbeFailure('mechanism-not-offered', 'the server does not know CAPA: name the mechanism by --auth');
  }
  const found = waysFor(plan, footing).find((way) => offers.includes(way === 'user' ? 'USER' : way.name));
  if (found === undefined) throw notOffered(offers, null);
  return found;
}

type Way = 'user' | Mechanism;

/** The ways `auto` takes with what we have, the best first. */
function waysFor(plan: LoginPlan, { isProtected, bindings }: Footing): readonly Way[] {
  // No list tells what a server will be bound by. Before TLS 1.3 all have `tls-unique`; under it RFC 9266 wants
  // `tls-exporter`, Cyrus has `tls-unique` still, and a logon that fails for that would be a false alarm.
  const isCertain = bindings.has('tls-unique');
  const usable = SASL_METHODS.map((method) => MECHANISMS[method]).filter(
    ({ takes, needsBinding }) => takes === plan.kind && (needsBinding !== true || isCertain),
  );
  if (plan.kind !== 'password') return usable;
  const by = (rank: Mechanism['rank']): readonly Mechanism[] => usable.filter((each) => each.rank === rank);
  // USER and PASS are what mail clients use; what is not ASCII, as RFC 1939 has it, they say last.
  const fits = fitsUserAndPass(plan.userName, plan.password.reveal());
  const plain: readonly Way[] = fits ? ['user', ...by('clear')] : [...by('clear'), 'user'];
  // Under TLS a password in clear is safer than a digest that a server can only check by keeping the password.
  return isProtected ? [...by('proof'), ...plain, ...by('digest')] : [...by('proof'), ...by('digest'), ...plain];
}

const LONGEST_ARGUMENT = 255 - 'PASS '.length - '\r\n'.length;
const fitsUserAndPass = (...given: readonly string[]): boolean =>
  given.every((spelt) => /^[\x20-\x7e]*$/.test(spelt) && spelt.length <= LONGEST_ARGUMENT);

/** The ways to log on a server names: USER, and those behind SASL. Null where it does not know CAPA. */
export function offered(capabilities: Capabilities): readonly string[] | null {
  if (capabilities === null) return null;
  const mechanisms = (capabilities.get('SASL') ?? []).map((name) => name.toUpperCase());
  // Cyrus names some of them twice.
  return Array.from(new Set(capabilities.has('USER') ? ['USER', ...mechanisms] : mechanisms));
}

function notOffered(offers: readonly string[], asked: string | null): ProbeFailure {
  const list = offers.length === 0 ? 'no way to log on' : offers.join(', ');
  return new ProbeFailure(
    'mechanism-not-offered',
    `the server offers ${list}${asked === null ? '' : `, not ${asked}`}`,
  );
}

const WHAT: Readonly<Record<Credential['kind'], string>> = {
  password: 'a password',
  bearer: 'a token',
  certificate: 'a certificate',
};

const unfit = (name: string, takes: Credential['kind'], given: Credential['kind']): ProbeFailure =>
  new ProbeFailure('configuration', `${name} logs on with ${WHAT[takes]}, not with ${WHAT[given]}`);

const unbound = (name: string): ProbeFailure =>
  new ProbeFailure('mechanism-not-offered', `${name} wants a TLS link that it can be bound to`);

import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import type { Mask } from '../dialogue/secret.ts';
import type { HttpAnswer } from '../runtimes/node/http.ts';
import { retryAfter } from '../runtimes/node/retry-after.ts';

/** A token that was given. */
export interface Granted {
  readonly accessToken: string;
  /** Seconds it is good for, or null where the answer does not tell. */
  readonly lifetime: number | null;
  /** The refresh token that takes the place of the one shown, or null where that stays. */
  readonly refreshToken: string | null;
}

/** None was. */
export interface Denied {
  readonly failure: ProbeFailure;
  /** The error (RFC 6749 §5.2), `invalid_grant`; '' where there is none. */
  readonly error: string;
}

/**
 * What a token end point answered (RFC 6749 §5). Nothing of an answer that may hold a token is quoted.
 *
 * @param mask covers what the answer may have of the request
 */
export function judge(answer: HttpAnswer, mask: Mask): Granted | Denied {
  const body = objectIn(answer.body);
  const complaint = complaintIn(body);
  const found =
    complaint !== null
      ? meaningOf(complaint, answer.status)
      : answer.status === 200
        ? grantedBy(answer, body)
        : statusMeaning(answer.status);
  if ('accessToken' in found) return found;
  const [reason, message] = found;
  const wait = reason === 'token-unavailable' && answer.status >= 400 ? retryAfter(answer) : null;
  const said = shortened(mask(wordsOf(answer, complaint)));
  const failure = new ProbeFailure(reason, message, { said, ...(wait === null ? {} : { retryAfterMs: wait }) });
  return { failure, error: complaint?.error ?? '' };
}

type Meaning = readonly [Reason, string];

const NOT_ONE = 'the answer is not one of a token end point; look at its URL';

/** RFC 6749 §5.1. */
function grantedBy({ headers }: HttpAnswer, body: Json | null): Granted | Meaning {
  const unusable = (what: string): Meaning => ['token-unavailable', what];
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') return unusable(NOT_ONE);
  if (body === null) return unusable('the answer is not JSON, or only a part of it');
  const { access_token: accessToken, token_type: tokenType, expires_in: expiresIn, refresh_token: refreshed } = body;
  if (accessToken === undefined) return unusable('there is no access token in the answer');
  if (!isToken(accessToken)) return unusable('the access token is not one word of ASCII');
  // Another kind, such as DPoP, could not be shown to a mail server.
  if (typeof tokenType !== 'string' || tokenType.toLowerCase() !== 'bearer') return unusable('it is no bearer token');
  return { accessToken, lifetime: secondsIn(expiresIn), refreshToken: isRefreshToken(refreshed) ? refreshed : null };
}

/** What can stand in `Bearer TOKEN` and in SASL alike; RFC 6750 §2.1 allows less. */
export const isToken = (value: unknown): value is string => typeof value === 'string' && /^[!-~]+$/.test(value);

/** RFC 6749 §A.17. */
export const isRefreshToken = (value: unknown): value is string => typeof value === 'string' && /^[ -~]+$/.test(value);

/** A token that claims to last longer is asked for anew after a day all the same: a slip must not keep a dead one. */
const LONGEST_LIFETIME = 86_400;

/** A number; some write it as text. */
function secondsIn(value: unknown): number | null {
  const seconds = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && seconds >= 1 ? Math.floor(Math.min(seconds, LONGEST_LIFETIME)) : null;
}

type Json = Readonly<Record<string, unknown>>;

function objectIn(body: string): Json | null {
  try {
    const read: unknown = JSON.parse(body);
    return typeof read === 'object' && read !== null ? (read as Json) : null;
  } catch {
    return null; // a page of some proxy
  }
}

interface Complaint {
  readonly error: string;
  readonly description: string;
}

function complaintIn(body: Json | null): Complaint | null {
  const { error, error_description: description } = body ?? {};
  return typeof error === 'string' ? { error, description: typeof description === 'string' ? description : '' } : null;
}

/** What a complaint means. Microsoft's numbers say more than the error they come with. */
function meaningOf({ error, description }: Complaint, status: number): Meaning {
  if (status === 429 || status >= 500) return statusMeaning(status);
  if (PASSING.includes(error)) return ['token-unavailable', 'the identity provider is too busy, or not available'];
  const [, number = ''] = /\bAADSTS(\d+)\b/.exec(description) ?? [];
  return ['token-refused', AADSTS.get(number) ?? ERRORS.get(error) ?? 'the identity provider gives no token'];
}

/** RFC 6749 §4.1.2.1 has them for another end point; Microsoft answers with the first at this one too. */
const PASSING: readonly string[] = ['temporarily_unavailable', 'server_error'];

const NOT_ACCEPTED = 'the application, or the secret or certificate it shows, was not accepted';
const REFRESH_TOKEN = 'the refresh token has expired or was revoked, or is that of another application';
const SECOND_FACTOR = 'the account has to prove itself by a second factor, which no check can';

/** RFC 6749 §5.2, and what Google (https://developers.google.com/identity/protocols/oauth2) and Microsoft add to it. */
const ERRORS = wording({
  invalid_request: 'the identity provider does not understand the request',
  invalid_client: NOT_ACCEPTED,
  invalid_grant: REFRESH_TOKEN,
  unauthorized_client: 'the application may not get a token this way, or is not known',
  unsupported_grant_type: 'the identity provider gives no tokens this way',
  invalid_scope: 'the scope is not known, malformed, or more than was consented to',
  access_denied: 'access was denied',
  admin_policy_enforced: 'an administrator of the organisation does not allow the application this scope',
  deleted_client: 'the application was deleted',
  disabled_client: 'the application is disabled',
  org_internal: 'the application is for accounts of its own organisation only',
  invalid_resource: 'what the scope names does not exist in the tenant',
  interaction_required: SECOND_FACTOR,
  consent_required: 'nobody has consented to what the application asks for',
});

/**
 * https://learn.microsoft.com/entra/identity-platform/reference-error-codes. They only choose the words: that page warns
 * that the numbers may change.
 */
const AADSTS = wording({
  '50034': 'there is no such account in the tenant',
  '50053': 'the account is locked',
  '50055': 'the password of the account has expired',
  '50057': 'the account is disabled',
  '50076': SECOND_FACTOR,
  '50079': SECOND_FACTOR,
  '50173': 'the refresh token was revoked, as by a change of the password',
  '53003': 'a Conditional Access policy forbids it',
  '65001': 'nobody has consented to what the application asks for',
  '70000': 'the refresh token is not valid',
  '70001': 'the application is disabled',
  '70008': 'the refresh token has expired',
  '70011': 'the scope is not valid',
  '70043': 'the refresh token has expired: Conditional Access wants the account to log on anew',
  '90002': 'there is no such tenant in this cloud',
  '90038': 'the tenant is in another cloud',
  '500011': 'what the scope names is not in the tenant: it may be that of another cloud',
  '700011': 'there is no such application in the tenant',
  '700016': 'there is no such application in the tenant',
  '700024': 'the assertion is not within its time: look at the clock of this machine',
  '700025': 'the application is a public client, which shows no secret or certificate',
  '700027': 'the certificate is not registered with the application',
  '700082': 'the refresh token has expired, for it was not used',
  '900023': 'the tenant is neither an id nor a domain',
  '1002012': 'the scope must end in /.default',
  '7000112': 'the application is disabled',
  '7000215': 'the client secret is wrong; its value is wanted, not its id',
  '7000216': 'the application must show a secret or a certificate',
  '7000218': 'the application must show a secret or a certificate',
  '7000222': 'the client secret has expired',
  '7000229': 'the application has no service principal in the tenant',
});

/** Foreign words are looked up here, and `constructor` is in every object. */
function wording(clauses: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(clauses));
}

/** What a status means that comes without a complaint (RFC 9110 §15). */
function statusMeaning(status: number): Meaning {
  if (status === 401) return ['token-refused', NOT_ACCEPTED];
  if (status === 429) return ['token-unavailable', 'the identity provider was asked too often'];
  if (status === 503) return ['token-unavailable', 'the identity provider is too busy, or not available'];
  if (status >= 500) return ['token-unavailable', 'the identity provider failed'];
  if (status >= 300 && status < 400) {
    return ['token-unavailable', 'the identity provider points elsewhere, and redirects are not followed'];
  }
  return ['token-unavailable', NOT_ONE];
}

/** The provider's words: what it complains of, or the header that tells most. */
function wordsOf({ status, headers }: HttpAnswer, complaint: Complaint | null): string {
  const explaining = headers.location ?? headers['www-authenticate'] ?? headers['content-type'] ?? '';
  const words = complaint === null ? [explaining] : [complaint.error, complaint.description];
  return `HTTP ${status} ${words.filter((word) => word !== '').join(': ')}`;
}

/** What is kept of its words; where they are shown they are cut again. */
const LONGEST_WORDS = 1000;

const shortened = (words: string): string => words.replace(/\s+/g, ' ').trim().slice(0, LONGEST_WORDS);

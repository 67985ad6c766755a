import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import { maskFor, Secret } from '../dialogue/secret.ts';
import type { GetToken, TokenGrant, TokenPlan } from '../probe/world.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { post } from '../runtimes/node/http.ts';
import { type Hold, holding } from '../runtimes/node/reach.ts';
import { type Denied, type Granted, judge } from './token-answer.ts';
import { type Kept, openTokenCache, usableToken } from './token-cache.ts';
import { requestFor } from './token-request.ts';

/**
 * The `token` port: an access token by client credentials (RFC 6749 §4.4) or a refresh token (§6), the one that is kept
 * from an earlier run while it is good for a while yet.
 */
export const getToken: GetToken = (plan) => {
  const { hold, letGo } = holding();
  return { done: keptOrNew(plan, hold), abandon: letGo };
};

/**
 * Keeps a token no longer that a mail server has refused: a right that was given since, such as POP.AccessAsApp, is only
 * in the next one.
 */
export function forgetToken(plan: TokenPlan, refused: Secret): void {
  const cache = openTokenCache(plan);
  const kept = cache.read();
  if (kept?.accessToken === refused.reveal()) cache.write({ ...kept, accessToken: null });
}

async function keptOrNew(plan: TokenPlan, hold: Hold): Promise<Secret> {
  const cache = openTokenCache(plan);
  const kept = cache.read();
  const usable = usableToken(kept, seconds());
  if (usable !== null) return new Secret(usable);
  const obtainedAt = seconds(); // before it is asked for: the time it takes is the token's
  const latest = latestOf(plan.grant, kept);
  let used = latest;
  let outcome = await ask(plan, latest, hold);
  if (latest.kind === 'refresh-token' && 'failure' in outcome && outcome.error === 'invalid_grant') {
    // Another run may have shown it first, where a refresh token is good for once.
    const others = usableToken(cache.read(), seconds());
    if (others !== null) return new Secret(others);
    // The one given is worth a try: what is kept may have come from a backup.
    if (latest !== plan.grant) {
      used = plan.grant;
      outcome = await ask(plan, used, hold);
    }
  }
  if ('failure' in outcome) throw blamed(outcome.failure);
  const { accessToken, lifetime } = outcome;
  const refreshToken = refreshTokenAfter(outcome, used, plan.grant);
  if (lifetime !== null || refreshToken !== null) {
    cache.write({
      accessToken: lifetime === null ? null : accessToken,
      obtainedAt,
      expiresAt: obtainedAt + (lifetime ?? 0),
      refreshToken,
    });
  }
  return new Secret(accessToken);
}

const seconds = (): number => Math.floor(Date.now() / 1000);

/** The grant with the refresh token that came last, for some are good for once. */
const latestOf = (grant: TokenGrant, kept: Kept | null): TokenGrant =>
  grant.kind === 'client-credentials' || kept === null || kept.refreshToken === null
    ? grant
    : { ...grant, refreshToken: new Secret(kept.refreshToken) };

/** The refresh token to show the next time, or null for the one given. */
function refreshTokenAfter(granted: Granted, used: TokenGrant, given: TokenGrant): string | null {
  if (used.kind === 'client-credentials') return null; // RFC 6749 §4.4.3: there is none
  return granted.refreshToken ?? (used === given ? null : used.refreshToken.reveal());
}

/** So often a provider that says when is asked again; it is the caller who has a deadline. */
const LONGEST_PAUSE_MS = 10_000;
const RETRIES = 2;

async function ask(plan: TokenPlan, grant: TokenGrant, hold: Hold): Promise<Granted | Denied> {
  for (let retries = 0; ; retries++) {
    const outcome = await askOnce(plan, grant, hold);
    const pauseMs = 'failure' in outcome ? outcome.failure.retryAfterMs : null;
    if (pauseMs === null || pauseMs > LONGEST_PAUSE_MS || retries === RETRIES) return outcome;
    await pause(pauseMs, hold);
  }
}

async function askOnce(plan: TokenPlan, grant: TokenGrant, hold: Hold): Promise<Granted | Denied> {
  const { url, http: terms } = plan;
  try {
    const { body, secrets } = requestFor(plan, grant, seconds());
    const posting = post({ url, headers: HEADERS, body, terms });
    hold(posting.abandon);
    return judge(await posting.done, maskFor(secrets));
  } catch (problem) {
    throw problem instanceof ProbeFailure ? blamed(unavailable(problem, url)) : problem;
  }
}

const HEADERS = {
  'Content-Type': 'application/x-www-form-urlencoded',
  Accept: 'application/json',
  'User-Agent': 'pop-connectivity',
} as const;

/** Those that tell where to look better than `token-unavailable` does. */
const OWN: readonly Reason[] = ['configuration', 'local-resources', 'proxy-failed'];

/** What kept us from asking. */
function unavailable(problem: ProbeFailure, url: string): ProbeFailure {
  if (OWN.includes(problem.reason)) return problem;
  const { hostname } = new (builtin.url().URL)(url);
  const where = problem.message.startsWith(hostname) ? '' : `${hostname}: `;
  return new ProbeFailure('token-unavailable', `${where}${problem.message}`);
}

/** Whatever part of the way failed, it was the token: the other phases are those of the POP3 link. */
function blamed(failure: ProbeFailure): ProbeFailure {
  failure.phase = 'token';
  return failure;
}

const pause = (delayMs: number, hold: Hold): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    hold(() => clearTimeout(timer));
  });

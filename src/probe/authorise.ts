import { ProbeFailure } from '../dialogue/failure.ts';
import type { Secret } from '../dialogue/secret.ts';
import type { LoginPlan } from '../pop3/login.ts';
import type { ProbePlan } from './probe.ts';
import type { Run } from './run.ts';
import type { SendPlan, TokenPlan } from './world.ts';

/** The access tokens a run needs first: to log on with, and to send with. The same plan twice is one token. */
export interface Tokens {
  readonly login: TokenPlan | null;
  readonly send: TokenPlan | null;
}

/**
 * Gets the tokens of a run, booked on the phase `token`, and puts them where they are needed.
 *
 * @throws ProbeFailure `token-refused`, `token-unavailable` …
 */
export async function authorise(run: Run): Promise<void> {
  const { tokens } = run.plan;
  if (tokens === null) return;
  const login = tokens.login === null ? null : await obtain(run, tokens.login);
  const send = tokens.send === null || tokens.send === tokens.login ? login : await obtain(run, tokens.send);
  run.adopt(withTokens(run.plan, login, send));
}

async function obtain(run: Run, plan: TokenPlan): Promise<Secret> {
  if (run.world.token === null) throw new TypeError('a token is wanted in a runtime that cannot get one');
  const getting = run.world.token(plan);
  try {
    const late = () => new ProbeFailure('token-unavailable', 'the identity provider did not answer in time');
    return await run.waitFor('token', getting.done, late);
  } catch (problem) {
    // Whatever failed on the way to the identity provider says nothing about the mail server.
    if (problem instanceof ProbeFailure && problem.reason !== 'interrupted') problem.phase = 'token';
    throw problem;
  } finally {
    getting.abandon();
  }
}

function withTokens(plan: ProbePlan, login: Secret | null, send: Secret | null): ProbePlan {
  const { visit, fullTest } = plan;
  return {
    ...plan,
    visit: { ...visit, login: bearing(visit.login, login) },
    fullTest: fullTest === null ? null : { ...fullTest, send: sending(fullTest.send, send) },
  };
}

const bearing = (login: LoginPlan, token: Secret | null): LoginPlan =>
  token !== null && login.kind === 'bearer' ? { ...login, token } : login;

function sending(plan: SendPlan, token: Secret | null): SendPlan {
  if (token === null || plan.credential?.kind !== 'bearer') return plan;
  return { ...plan, credential: { ...plan.credential, token } };
}

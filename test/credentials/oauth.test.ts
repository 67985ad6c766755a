import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import nock, { type ReplyHeaders } from 'nock';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { forgetToken, getToken } from '../../src/credentials/oauth.ts';
import { maskFor, Secret } from '../../src/dialogue/secret.ts';
import type { TokenPlan } from '../../src/probe/world.ts';
import { createAuthority, type Identity } from '../../src/sandbox/authority.ts';
import { privateFolder } from '../support/run.ts';
import {
  ACCESS_TOKEN,
  CLIENT_ID,
  CLIENT_SECRET,
  clientIdentity,
  failureOf,
  HOST,
  otherKey,
  PATH,
  planFor,
  REFRESH_TOKEN,
  ROTATED,
  refreshing,
  SCOPE,
  told,
} from './samples.ts';

const folder = privateFolder();
let state: string;
let plan: TokenPlan;
beforeEach(() => {
  state = folder.state();
  plan = planFor(state);
});

beforeAll(() => nock.disableNetConnect());
afterEach(() => nock.cleanAll());
afterAll(() => nock.restore());

const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' };
const GRANTED = { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: ACCESS_TOKEN };

type Form = readonly (readonly [string, string])[];

interface Asked {
  readonly form: Form;
  readonly headers: Readonly<Record<string, string>>;
}

/** One answer of the end point; what it is asked is noted. */
function answering(status: number, body: object | string, headers: ReplyHeaders = JSON_TYPE): Asked[] {
  const asked: Asked[] = [];
  nock(HOST)
    .post(PATH)
    .reply(function (_, form) {
      asked.push({
        form: [...new URLSearchParams(form as string)],
        headers: this.req.headers as Record<string, string>,
      });
      return [status, body, headers];
    });
  return asked;
}

const granting = (more: object = {}): Asked[] => answering(200, { ...GRANTED, ...more });
const complaining = (error: string, description?: string, status = 400, headers: ReplyHeaders = JSON_TYPE): Asked[] =>
  answering(status, { error, error_description: description }, headers);

/** On the network, which nock else stands before. */
async function unmocked(test: () => Promise<void>): Promise<void> {
  nock.restore();
  try {
    await test();
  } finally {
    nock.activate();
  }
}

/** A server on a free port of this machine, ended with the test. */
async function serving(
  identity: Identity,
  answer: (response: ServerResponse, request: IncomingMessage) => void,
  test: (url: string) => Promise<void>,
): Promise<void> {
  const { certificate: cert, key } = identity;
  const server = createServer({ cert, key }, (request, response) => answer(response, request)).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => undefined);
  await once(server, 'listening');
  try {
    await unmocked(() => test(`https://localhost:${(server.address() as AddressInfo).port}/token`));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const got = async (by: TokenPlan = plan): Promise<string> => (await getToken(by).done).reveal();
const failure = (by: TokenPlan = plan) => failureOf(getToken(by));

const files = (): string[] => readdirSync(state).map((name) => join(state, name));
const kept = (): Record<string, unknown> => {
  expect(files()).toHaveLength(1);
  return JSON.parse(readFileSync(files()[0] as string, 'utf8'));
};
/** As if it had been kept so long ago, or were otherwise. */
const age = (secondsAgo: number, more: object = {}): void => {
  const { obtainedAt, expiresAt, ...rest } = kept() as Record<string, number>;
  const content = {
    ...rest,
    obtainedAt: (obtainedAt as number) - secondsAgo,
    expiresAt: (expiresAt as number) - secondsAgo,
    ...more,
  };
  writeFileSync(files()[0] as string, JSON.stringify(content));
};

describe('a token', () => {
  test('is got for client credentials with a secret, asked for as Microsoft documents it', async () => {
    const asked = granting();
    const secret = await getToken(plan).done;
    expect(secret).toBeInstanceOf(Secret);
    expect(secret.reveal()).toBe(ACCESS_TOKEN);
    expect(`${secret}`).toBe('****');
    expect(asked).toHaveLength(1);
    expect(asked[0]?.form).toEqual([
      ['grant_type', 'client_credentials'],
      ['client_id', CLIENT_ID],
      ['client_secret', CLIENT_SECRET],
      ['scope', SCOPE],
    ]);
    expect(asked[0]?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      'user-agent': 'pop-connectivity',
      host: 'login.example.com',
    });
    expect(asked[0]?.headers).not.toHaveProperty('authorization');
  });

  test('is got with a certificate; each request has an assertion of its own', async () => {
    const { certificate, key } = await clientIdentity();
    const proof = { kind: 'certificate', certificate, key: new Secret(key) } as const;
    const asked = [answering(503, '', { 'Retry-After': '0' }), granting()];
    expect(await got({ ...plan, grant: { kind: 'client-credentials', proof } })).toBe(ACCESS_TOKEN);
    const forms = asked.flat().map(({ form }) => form);
    expect(forms).toHaveLength(2);
    for (const form of forms) {
      expect(form).toEqual([
        ['grant_type', 'client_credentials'],
        ['client_id', CLIENT_ID],
        ['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
        ['client_assertion', expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/)],
        ['scope', SCOPE],
      ]);
    }
    const claims = forms.map((form) =>
      JSON.parse(Buffer.from(form[3]?.[1].split('.')[1] ?? '', 'base64url').toString()),
    );
    expect(claims[0]).toMatchObject({ aud: HOST + PATH, iss: CLIENT_ID, sub: CLIENT_ID });
    expect(Math.abs(claims[0].iat - Date.now() / 1000)).toBeLessThan(60);
    expect(claims[0].jti).not.toBe(claims[1].jti);
  });

  test('is got for a refresh token, as Google documents it, and without a secret too', async () => {
    const grant = refreshing();
    const asked = granting({ token_type: 'bearer' });
    expect(await got({ ...plan, scope: null, grant })).toBe(ACCESS_TOKEN);
    expect(asked[0]?.form).toEqual([
      ['grant_type', 'refresh_token'],
      ['client_id', CLIENT_ID],
      ['refresh_token', REFRESH_TOKEN],
      ['client_secret', CLIENT_SECRET],
    ]);
    const again = granting();
    expect(await got({ ...plan, grant: { ...grant, proof: null } as TokenPlan['grant'] })).toBe(ACCESS_TOKEN);
    expect(again[0]?.form).toEqual([
      ['grant_type', 'refresh_token'],
      ['client_id', CLIENT_ID],
      ['refresh_token', REFRESH_TOKEN],
      ['scope', SCOPE],
    ]);
  });

  test.each(['Bearer', 'bearer', 'BEARER'])('may be a %s one', async (type) => {
    granting({ token_type: type });
    expect(await got()).toBe(ACCESS_TOKEN);
  });
});

describe('a kept token', () => {
  test('is used by the next run, which asks nobody', async () => {
    granting();
    expect(await got()).toBe(ACCESS_TOKEN);
    expect(await got()).toBe(ACCESS_TOKEN); // nock would refuse another request
    expect(statSync(files()[0] as string).mode & 0o777).toBe(0o600);
    expect(kept()).toMatchObject({ version: 1, accessToken: ACCESS_TOKEN, refreshToken: null });
    const { obtainedAt, expiresAt } = kept() as Record<string, number>;
    expect((expiresAt as number) - (obtainedAt as number)).toBe(3599);
    expect(Math.abs((obtainedAt as number) - Date.now() / 1000)).toBeLessThan(60);
  });

  test('is renewed five minutes before it expires', async () => {
    granting();
    await got();
    age(3200);
    expect(await got()).toBe(ACCESS_TOKEN);
    age(200);
    granting({ access_token: 'another' });
    expect(await got()).toBe('another');
    expect(kept()).toMatchObject({ accessToken: 'another' });
  });

  test('is not used by a plan with another secret', async () => {
    granting();
    await got();
    const asked = granting({ access_token: 'another' });
    const grant = {
      kind: 'client-credentials',
      proof: { kind: 'secret', secret: new Secret('fake, changed') },
    } as const;
    expect(await got({ ...plan, grant })).toBe('another');
    expect(asked[0]?.form).toContainEqual(['client_secret', 'fake, changed']);
  });

  test.each<[string, () => void]>([
    ['is damaged', () => writeFileSync(files()[0] as string, '{"version":1,"accessTok')],
    ['everybody may read', () => chmodSync(files()[0] as string, 0o644)],
    ['was obtained in the future', () => age(-3600)],
  ])('that %s is replaced', async (_, spoil) => {
    granting();
    await got();
    spoil();
    granting({ access_token: 'another' });
    expect(await got()).toBe('another');
    expect(kept()).toMatchObject({ accessToken: 'another' });
    expect(statSync(files()[0] as string).mode & 0o777).toBe(0o600);
  });

  test('that a mail server has refused can be forgotten, and no other is', async () => {
    granting();
    await got();
    forgetToken(plan, new Secret('an older one'));
    expect(await got()).toBe(ACCESS_TOKEN);
    forgetToken(plan, new Secret(ACCESS_TOKEN));
    expect(kept()).toMatchObject({ accessToken: null });
    granting({ access_token: 'another' });
    expect(await got()).toBe('another');
    forgetToken(planFor(folder.state()), new Secret('another'));
  });

  test.each([
    [3600, 3600],
    ['3599', 3599],
    ['3599.9', 3599],
    [3599.9, 3599],
    [10 ** 12, 86_400],
  ])('lasts as long as expires_in says: %j', async (expiresIn, lasts) => {
    granting({ expires_in: expiresIn });
    await got();
    const { obtainedAt, expiresAt } = kept() as Record<string, number>;
    expect((expiresAt as number) - (obtainedAt as number)).toBe(lasts);
  });

  test.each([undefined, null, 0, -1, '', 'soon', '1e3', ' 60', true, {}])(
    'there is none where expires_in is %j',
    async (expiresIn) => {
      granting({ expires_in: expiresIn });
      expect(await got()).toBe(ACCESS_TOKEN);
      expect(files()).toEqual([]);
    },
  );

  test('there is none where nothing can be written, and the run goes on', async () => {
    for (let run = 0; run < 2; run++) {
      granting();
      expect(await got({ ...plan, stateDir: '/proc/self' })).toBe(ACCESS_TOKEN);
    }
  });
});

describe('a refresh token that the provider replaces', () => {
  const shown = (asked: Asked[]): (string | undefined)[] =>
    asked.map(({ form }) => form.find(([name]) => name === 'refresh_token')?.[1]);
  const expire = (): void => age(4000);

  beforeEach(() => {
    plan = { ...plan, grant: refreshing() };
  });

  test('is shown the next time, and the one after that', async () => {
    expect(shown(await asks({ refresh_token: ROTATED }))).toEqual([REFRESH_TOKEN]);
    expect(kept()).toMatchObject({ refreshToken: ROTATED });
    expect(await got()).toBe(ACCESS_TOKEN);
    expire();
    expect(shown(await asks())).toEqual([ROTATED]);
    expire();
    expect(shown(await asks({ refresh_token: 'fake-third' }))).toEqual([ROTATED]);
    expire();
    expect(shown(await asks())).toEqual(['fake-third']);
  });

  test('is kept although nobody says how long the access token lasts, which is not', async () => {
    expect(shown(await asks({ refresh_token: ROTATED, expires_in: undefined }))).toEqual([REFRESH_TOKEN]);
    expect(kept()).toMatchObject({ accessToken: null, refreshToken: ROTATED });
    expect(shown(await asks({ expires_in: undefined }))).toEqual([ROTATED]);
  });

  test('is kept when the access token is forgotten', async () => {
    await asks({ refresh_token: ROTATED });
    forgetToken(plan, new Secret(ACCESS_TOKEN));
    expect(shown(await asks())).toEqual([ROTATED]);
  });

  test('does not outlive the one it came from', async () => {
    await asks({ refresh_token: ROTATED });
    plan = { ...plan, grant: refreshing('0.fake-new-consent') };
    expect(shown(await asks())).toEqual(['0.fake-new-consent']);
  });

  test('gives way to the one given where it is not valid any more', async () => {
    await asks({ refresh_token: ROTATED });
    expire();
    const refused = complaining('invalid_grant', 'Token has been expired or revoked.');
    expect(shown(await asks())).toEqual([REFRESH_TOKEN]);
    expect(shown(refused)).toEqual([ROTATED]);
    expect(kept()).toMatchObject({ accessToken: ACCESS_TOKEN, refreshToken: null });
  });

  test('and the one given, neither valid, are a refusal', async () => {
    await asks({ refresh_token: ROTATED });
    expire();
    complaining('invalid_grant');
    complaining('invalid_grant', 'Token has been expired or revoked.');
    expect(await failure()).toMatchObject({ reason: 'token-refused', said: expect.stringContaining('expired or') });
  });

  test('does not give way for any other reason', async () => {
    await asks({ refresh_token: ROTATED });
    expire();
    complaining('invalid_client', undefined, 401);
    expect(await failure()).toMatchObject({ reason: 'token-refused' });
  });

  test('by another run in the meantime is no refusal: that run has left a token', async () => {
    const other = planFor(folder.state(), { grant: refreshing() });
    granting({ refresh_token: ROTATED });
    await got(other);
    nock(HOST)
      .post(PATH)
      .reply(() => {
        const [name] = readdirSync(other.stateDir as string);
        const content = readFileSync(join(other.stateDir as string, name as string));
        writeFileSync(join(state, name as string), content, { mode: 0o600 });
        return [400, { error: 'invalid_grant' }, JSON_TYPE];
      });
    expect(await got()).toBe(ACCESS_TOKEN);
  });

  test.each([undefined, '', 1, 'a\nb', 'schlüssel'])('by %j stays as it is', async (odd) => {
    await asks({ refresh_token: odd });
    expect(kept()).toMatchObject({ refreshToken: null });
  });

  test('is nothing for client credentials', async () => {
    plan = planFor(state);
    await asks({ refresh_token: ROTATED });
    expect(kept()).toMatchObject({ refreshToken: null });
  });

  async function asks(more: object = {}): Promise<Asked[]> {
    const asked = granting(more);
    expect(await got()).toBe(ACCESS_TOKEN);
    expect(asked).toHaveLength(1);
    return asked;
  }
});

describe('a refusal', () => {
  const TRACE = '\r\nTrace ID: 0000aaaa-11bb\r\nCorrelation ID: aaaa0000-bb11\r\nTimestamp: 2026-01-02 03:04:05Z';

  test.each<[number, string, string, string]>([
    [400, 'invalid_request', 'Missing parameter', 'the identity provider does not understand the request'],
    [
      401,
      'invalid_client',
      'The OAuth client was not found.',
      'the application, or the secret or certificate it shows',
    ],
    [400, 'invalid_grant', 'Token has been expired or revoked.', 'the refresh token has expired or was revoked'],
    [400, 'unauthorized_client', 'Client is unauthorized', 'the application may not get a token this way'],
    [400, 'unsupported_grant_type', 'No', 'the identity provider gives no tokens this way'],
    [400, 'invalid_scope', 'Some requested scopes were invalid.', 'the scope is not known'],
    [403, 'access_denied', 'No', 'access was denied'],
    [400, 'admin_policy_enforced', 'No', 'an administrator of the organisation does not allow'],
    [401, 'deleted_client', 'The OAuth client was deleted.', 'the application was deleted'],
    [400, 'interaction_required', 'No', 'second factor'],
    [400, 'something_new', 'No', 'the identity provider gives no token'],
    [400, 'constructor', '__proto__', 'the identity provider gives no token'],
    [401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.', 'the client secret is wrong; its value'],
    [401, 'invalid_client', 'AADSTS7000222: The provided client secret keys are expired.', 'the client secret has ex'],
    [401, 'invalid_client', 'AADSTS700027: The certificate is not registered.', 'the certificate is not registered'],
    [401, 'invalid_client', 'AADSTS700024: Client assertion is not within its valid time range.', 'the clock of this'],
    [400, 'unauthorized_client', "AADSTS700016: Application with identifier 'x' was not found", 'no such application'],
    [400, 'invalid_request', "AADSTS90002: Tenant 'x' not found.", 'there is no such tenant in this cloud'],
    [400, 'invalid_request', "AADSTS900023: Specified tenant identifier 'x' is", 'the tenant is neither an id nor'],
    [400, 'invalid_grant', 'AADSTS50034: The user account does not exist', 'there is no such account in the tenant'],
    [400, 'invalid_grant', 'AADSTS50076: Due to a configuration change', 'second factor'],
    [400, 'invalid_grant', 'AADSTS700082: The refresh token has expired due to inactivity', 'for it was not used'],
    [400, 'invalid_grant', 'AADSTS65001: The user or administrator has not consented', 'nobody has consented'],
    [400, 'invalid_scope', 'AADSTS1002012: The provided value for scope', 'the scope must end in /.default'],
    [400, 'invalid_resource', 'AADSTS500011: The resource principal was not found', 'what the scope names is not in'],
    [400, 'invalid_scope', 'AADSTS123: Something new.', 'the scope is not known'],
  ])('%i %s %s tells what is wrong', async (status, error, description, message) => {
    complaining(error, description + TRACE, status);
    expect(await failure()).toMatchObject({
      reason: 'token-refused',
      phase: 'token',
      message: expect.stringContaining(message),
      said:
        `HTTP ${status} ${error}: ${description} ` +
        'Trace ID: 0000aaaa-11bb Correlation ID: aaaa0000-bb11 Timestamp: 2026-01-02 03:04:05Z',
      retryAfterMs: null,
    });
    expect(files()).toEqual([]);
  });

  test('may come without a description, or with one that is no text', async () => {
    complaining('invalid_client', undefined, 401);
    expect(await failure()).toMatchObject({ reason: 'token-refused', said: 'HTTP 401 invalid_client' });
    answering(400, { error: 'invalid_scope', error_description: { en: 'No' } });
    expect(await failure()).toMatchObject({ reason: 'token-refused', said: 'HTTP 400 invalid_scope' });
  });

  test('may come as 200, or as another type', async () => {
    complaining('invalid_client', 'No', 200);
    expect(await failure()).toMatchObject({ reason: 'token-refused', said: 'HTTP 200 invalid_client: No' });
    complaining('invalid_client', 'No', 400, { 'Content-Type': 'text/html' });
    expect(await failure()).toMatchObject({ reason: 'token-refused', said: 'HTTP 400 invalid_client: No' });
  });

  test('may come as 401 alone', async () => {
    answering(401, '', { 'WWW-Authenticate': 'Basic realm="tokens"' });
    expect(await failure()).toMatchObject({
      reason: 'token-refused',
      message: expect.stringContaining('was not accepted'),
      said: 'HTTP 401 Basic realm="tokens"',
    });
  });

  test('is not tried again, whatever it says', async () => {
    complaining('invalid_client', 'No', 401, { ...JSON_TYPE, 'Retry-After': '1' });
    expect(await failure()).toMatchObject({ reason: 'token-refused', retryAfterMs: null });
  });

  test('of any length is cut', async () => {
    complaining('invalid_client', 'No. '.repeat(10_000), 401);
    expect((await failure()).said?.length).toBe(1000);
  });
});

describe('the identity provider is not available', () => {
  const HTML = { 'Content-Type': 'text/html' };
  const ELSEWHERE = { Location: 'https://elsewhere.example.com/token' };

  test.each<[string, number, string | object, ReplyHeaders, string, string]>([
    ['a redirect', 302, '', ELSEWHERE, 'redirects are not followed', `HTTP 302 ${ELSEWHERE.Location}`],
    ['a redirect that keeps the method', 307, '', ELSEWHERE, 'redirects are not', `HTTP 307 ${ELSEWHERE.Location}`],
    ['a page', 200, '<!DOCTYPE html>', HTML, 'not one of a token end point', 'HTTP 200 text/html'],
    ['a token of no type', 200, JSON.stringify(GRANTED), {}, 'not one of a token end point', 'HTTP 200'],
    ['a token as a page', 200, JSON.stringify(GRANTED), HTML, 'not one of a token end point', 'HTTP 200 text/html'],
    ['half an answer', 200, '{"access_token":"eyJ', JSON_TYPE, 'not JSON', 'HTTP 200 application/json; charset=utf-8'],
    ['null', 200, 'null', JSON_TYPE, 'not JSON', 'HTTP 200 application/json; charset=utf-8'],
    [
      'no token',
      200,
      { token_type: 'Bearer' },
      JSON_TYPE,
      'no access token',
      'HTTP 200 application/json; charset=utf-8',
    ],
    ['nothing', 204, '', {}, 'not one of a token end point', 'HTTP 204'],
    ['no such page', 404, 'no', HTML, 'look at its URL', 'HTTP 404 text/html'],
    ['a filter', 403, 'no', HTML, 'look at its URL', 'HTTP 403 text/html'],
    ['a fault', 500, 'no', HTML, 'the identity provider failed', 'HTTP 500 text/html'],
    ['a fault behind it', 502, 'no', HTML, 'the identity provider failed', 'HTTP 502 text/html'],
    ['overload', 503, '', {}, 'too busy', 'HTTP 503'],
    [
      'a complaint',
      503,
      { error: 'invalid_grant', error_description: 'x' },
      JSON_TYPE,
      'too busy',
      'HTTP 503 invalid_grant: x',
    ],
    [
      'a passing one',
      400,
      { error: 'temporarily_unavailable' },
      JSON_TYPE,
      'too busy',
      'HTTP 400 temporarily_unavailable',
    ],
    ['too many', 429, 'Too Many Requests', {}, 'asked too often', 'HTTP 429'],
  ])('where the answer is %s', async (_, status, body, headers, message, said) => {
    answering(status, body, headers);
    expect(await failure()).toMatchObject({
      reason: 'token-unavailable',
      phase: 'token',
      message: expect.stringContaining(message),
      said,
      retryAfterMs: null,
    });
    expect(files()).toEqual([]);
  });

  test.each(['', 'two words', 'line\r\nend', 'schlüssel', 1, null, ['a']])(
    'where the access token is %j',
    async (accessToken) => {
      granting({ access_token: accessToken });
      const problem = await failure();
      expect(problem).toMatchObject({ reason: 'token-unavailable', message: expect.stringContaining('access token') });
      if (typeof accessToken === 'string' && accessToken !== '') expect(told(problem)).not.toContain(accessToken);
    },
  );

  test.each([undefined, 'DPoP', 'mac', 1])('where the token is of type %j', async (type) => {
    granting({ token_type: type });
    const problem = await failure();
    expect(problem).toMatchObject({ reason: 'token-unavailable', message: 'it is no bearer token' });
    expect(told(problem)).not.toContain(ACCESS_TOKEN);
  });

  test('where its answer has no end', async () => {
    answering(200, JSON.stringify({ ...GRANTED, more: 'x'.repeat(2 << 20) }));
    expect(await failure()).toMatchObject({
      reason: 'token-unavailable',
      phase: 'token',
      message: 'login.example.com: the answer is longer than 1048576 octets',
    });
  });

  test.each([
    ['ECONNREFUSED', 'login.example.com: the connection was refused (ECONNREFUSED)'],
    ['ECONNRESET', 'login.example.com: the connection was reset (ECONNRESET)'],
  ])('where there is no way to it: %s', async (code, message) => {
    nock(HOST)
      .post(PATH)
      .replyWithError(Object.assign(new Error('no'), { code }));
    expect(await failure()).toMatchObject({ reason: 'token-unavailable', phase: 'token', message });
  });

  test('where its name is none: it is told once', async () => {
    await unmocked(async () => {
      expect(await failure({ ...plan, url: 'https://login.invalid/token' })).toMatchObject({
        reason: 'token-unavailable',
        phase: 'token',
        message: expect.stringMatching(/^login\.invalid: the /),
      });
    });
  });

  test('where its certificate is nobody’s', async () => {
    const identity = await (await createAuthority('unknown CA')).issue({ names: ['localhost'] });
    let asked = 0;
    await serving(
      identity,
      () => asked++,
      async (url) => {
        expect(await failure({ ...plan, url })).toMatchObject({
          reason: 'token-unavailable',
          phase: 'token',
          message: expect.stringMatching(/^localhost: unknown CA is no /),
        });
      },
    );
    expect(asked).toBe(0);
  });

  test('is not what a fault of this machine is called', async () => {
    nock(HOST)
      .post(PATH)
      .replyWithError(Object.assign(new Error('no'), { code: 'EMFILE' }));
    expect(await failure()).toMatchObject({ reason: 'local-resources', phase: 'token' });
  });
});

describe('a plan that cannot be', () => {
  test.each([
    ['http://login.example.com/token', 'https:'],
    ['login.example.com', 'the URL cannot be read'],
    ['https://me:pw@login.example.com/token', 'user name or password'],
  ])('%s is refused, and nobody is asked', async (url, message) => {
    expect(await failure({ ...plan, url })).toMatchObject({
      reason: 'configuration',
      phase: 'token',
      message: expect.stringContaining(message),
    });
  });

  test('with a key of another certificate is refused, and nobody is asked', async () => {
    const { certificate } = await clientIdentity();
    const proof = { kind: 'certificate', certificate, key: new Secret(otherKey()) } as const;
    expect(await failure({ ...plan, grant: { kind: 'client-credentials', proof } })).toMatchObject({
      reason: 'configuration',
      phase: 'token',
    });
  });
});

describe('a provider that wants to be left alone', () => {
  const BUSY = (after: string, more: ReplyHeaders = {}): Asked[] =>
    answering(429, 'Too Many Requests', { 'Retry-After': after, ...more });

  test.each([429, 500, 503])('for a moment is asked again after it: %i', async (status) => {
    answering(status, '', { 'Retry-After': '1' });
    const asked = granting();
    const began = performance.now();
    expect(await got()).toBe(ACCESS_TOKEN);
    expect(asked).toHaveLength(1);
    expect(performance.now() - began).toBeGreaterThan(990);
  });

  test('until a date is asked again after it, by its own clock', async () => {
    const date = (offsetMs: number): string => new Date(Date.UTC(2020, 0, 1) + offsetMs).toUTCString();
    BUSY(date(1000), { Date: date(0) });
    granting();
    expect(await got()).toBe(ACCESS_TOKEN);
  });

  test('is asked three times in all', async () => {
    const asked = [BUSY('0'), BUSY('0'), BUSY('0'), granting()];
    expect(await failure()).toMatchObject({
      reason: 'token-unavailable',
      phase: 'token',
      said: 'HTTP 429',
      retryAfterMs: 0,
    });
    expect(asked.map((each) => each.length)).toEqual([1, 1, 1, 0]);
  });

  test.each([
    ['11', 11_000],
    ['60', 60_000], // as Microsoft has it for client credentials
    ['999999999', 3_600_000],
  ])('for %s seconds is not waited for, and the failure says so', async (after, retryAfterMs) => {
    BUSY(after);
    const began = performance.now();
    expect(await failure()).toMatchObject({ reason: 'token-unavailable', retryAfterMs });
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test.each(['', 'soon', '-1'])('and says not how long, is not asked again: %j', async (after) => {
    BUSY(after);
    const asked = granting();
    expect(await failure()).toMatchObject({ reason: 'token-unavailable', retryAfterMs: null });
    expect(asked).toEqual([]);
  });
});

describe('whoever has no time left lets go at once', () => {
  const settled = (done: Promise<Secret>): Promise<string> =>
    Promise.race([
      done.then(
        () => 'a token',
        () => 'failed',
      ),
      new Promise<string>((resolve) => setTimeout(resolve, 200, 'neither')),
    ]);

  test('while the body is slow', async () => {
    const authority = await createAuthority('throw-away CA');
    const identity = await authority.issue({ names: ['localhost'] });
    const begun: Promise<unknown>[] = [];
    const answer = (response: ServerResponse, { socket }: IncomingMessage): void => {
      response.writeHead(200, JSON_TYPE).write('{"access_token":');
      begun.push(new Promise((resolve) => socket.on('close', resolve)));
    };
    await serving(identity, answer, async (url) => {
      const slow = getToken({ ...plan, url, http: { ...plan.http, authorities: authority.certificate } });
      await vi.waitFor(() => expect(begun).toHaveLength(1));
      expect(await settled(slow.done)).toBe('neither');
      slow.abandon();
      await begun[0]; // the server sees it
      expect(await settled(slow.done)).toBe('neither');
    });
  });

  test('while it waits to ask again', async () => {
    answering(429, '', { 'Retry-After': '1' });
    const asked = granting();
    const getting = getToken(plan);
    await new Promise((resolve) => setTimeout(resolve, 300));
    getting.abandon();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(asked).toEqual([]);
    expect(await settled(getting.done)).toBe('neither');
    expect(files()).toEqual([]);
  });

  test('and after it is done nothing happens', async () => {
    granting();
    const getting = getToken(plan);
    await getting.done;
    getting.abandon();
    expect(await got()).toBe(ACCESS_TOKEN);
  });
});

describe('no secret is told', () => {
  /** Whatever is in a request comes back, as it was sent and as it was meant. */
  const echo = (status: number): string[] => {
    const sent: string[] = [];
    nock(HOST)
      .post(PATH)
      .reply((_, form) => {
        const read = Object.fromEntries(new URLSearchParams(form as string));
        sent.push(...Object.values(read));
        return [status, { error: 'invalid_request', error_description: `${JSON.stringify(read)} ${form}` }, JSON_TYPE];
      });
    return sent;
  };

  test.each([400, 401, 429, 500])('by a provider that echoes a secret with %i', async (status) => {
    echo(status);
    const problem = await failure();
    expect(problem.said).toContain(CLIENT_ID);
    expect(problem.said).toContain('****');
    for (const spelling of [CLIENT_SECRET, encodeURIComponent(CLIENT_SECRET), CLIENT_SECRET.slice(0, 14)]) {
      expect(told(problem)).not.toContain(spelling);
    }
    // What the caller can do too, who knows the secret.
    expect(maskFor([new Secret(CLIENT_SECRET)])(problem.said ?? '')).toBe(problem.said);
  });

  test('by one whose words are cut in the middle of it', async () => {
    const before = 'HTTP 400 invalid_request: ';
    complaining('invalid_request', `${'x'.repeat(1000 - before.length - 8)}${CLIENT_SECRET}`);
    const { said } = await failure();
    expect(said).toMatch(/xxx\*{4}$/);
  });

  test('by one that echoes a refresh token nobody but this run knows', async () => {
    plan = { ...plan, grant: refreshing() };
    granting({ refresh_token: ROTATED });
    await got();
    age(4000);
    echo(400);
    const problem = await failure();
    for (const secret of [ROTATED, REFRESH_TOKEN, CLIENT_SECRET]) expect(told(problem)).not.toContain(secret);
  });

  test('by one that echoes an assertion, which is good for ten minutes', async () => {
    const { certificate, key } = await clientIdentity();
    const proof = { kind: 'certificate', certificate, key: new Secret(key) } as const;
    const sent = echo(400);
    const problem = await failure({ ...plan, grant: { kind: 'client-credentials', proof } });
    const assertion = sent.find((value) => value.startsWith('eyJ')) ?? '';
    expect(assertion.split('.')).toHaveLength(3);
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    for (const part of [header, claims, signature]) expect(told(problem)).not.toContain(part);
  });
});

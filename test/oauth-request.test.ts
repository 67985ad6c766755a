import { describe, expect, test } from 'vitest';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { type Defaults, parseRequest } from '../src/request/request.ts';
import type { Settings } from '../src/request/settings.ts';
import type { Sources } from '../src/request/sources.ts';
import { secretOf } from '../src/sasl/mechanism.ts';

const FILES: Readonly<Record<string, string>> = {
  secret: 'the~client~secret\n',
  refresh: 'the-refresh-token\n',
  token: 'the.access.token\n',
  pw: 'correct horse\n',
  proxy: 'socks5://us:pw@proxy.example.com\n',
  '/run/credentials/pop3-oauth-client-secret': 'from-systemd\n',
};
const ENVIRONMENT: Record<string, string> = { SECRET: 'from-the-environment' };

const sources = (environment: Readonly<Record<string, string>> = {}): Sources => ({
  ...nodeSources,
  file: (option, path) => {
    const content = FILES[path];
    if (content === undefined) throw new ProbeFailure('configuration', `${option} ${path}: no such file`);
    return content;
  },
  exists: (path) => Object.hasOwn(FILES, path),
  environment: (name) => environment[name] ?? ENVIRONMENT[name],
  certificates: () => 'CERTIFICATE',
  privateKey: () => 'KEY',
  askOnTerminal: async () => null,
});

const PLUGIN: Defaults = { timeoutS: 50, test: 'full' };
const TENANT: Settings = {
  'oauth-tenant': 'contoso.onmicrosoft.com',
  'oauth-client-id': 'app',
  'oauth-client-secret-file': 'secret',
  'mailbox-credential': 'probe@contoso.com',
  'light-mode': true,
};
const request = (settings: Settings, from = sources()) => parseRequest(settings, PLUGIN, from);

async function refusal(settings: Settings): Promise<ProbeFailure> {
  try {
    await request(settings);
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
  throw new Error('it was accepted');
}

describe('Exchange Online is a tenant and an application, and no more', () => {
  test.each([
    ['worldwide', 'outlook.office365.com', 'login.microsoftonline.com'],
    ['gcc-high', 'outlook.office365.us', 'login.microsoftonline.us'],
    ['dod', 'outlook-dod.office365.us', 'login.microsoftonline.us'],
    ['china', 'partner.outlook.cn', 'login.partner.microsoftonline.cn'],
  ])('in the cloud %s', async (cloud, host, authority) => {
    const { plan } = await request({ ...TENANT, 'oauth-cloud': cloud });
    expect(plan.visit).toMatchObject({ to: host, port: 995, connectionType: 'ssl' });
    expect(plan.visit.login).toMatchObject({ kind: 'bearer', userName: 'probe@contoso.com', method: 'auto' });
    expect(plan.tokens?.login).toMatchObject({
      url: `https://${authority}/contoso.onmicrosoft.com/oauth2/v2.0/token`,
      clientId: 'app',
      scope: `https://${host}/.default`,
      grant: { kind: 'client-credentials', proof: { kind: 'secret' } },
    });
    expect(plan.tokens?.send).toBe(null);
  });

  test('a server that was named stands, and its port with it', async () => {
    const { plan } = await request({ ...TENANT, 'client-access-server': 'pop.example.com' });
    expect(plan.visit).toMatchObject({ to: 'pop.example.com', port: 110, connectionType: 'tls' });
  });

  test('the full test sends with the same token, by Graph with one of its own', async () => {
    const full = { ...TENANT, 'light-mode': undefined };
    const smtp = await request(full);
    expect(smtp.plan.tokens?.send).toBe(smtp.plan.tokens?.login);
    expect(smtp.plan.fullTest?.send).toMatchObject({ via: 'smtp', server: 'outlook.office365.com', port: 587 });
    const graph = await request({ ...full, 'send-via': 'graph' });
    expect(graph.plan.tokens?.send?.scope).toBe('https://graph.microsoft.com/.default');
    const ews = await request({ ...full, 'send-via': 'ews' });
    expect(ews.plan.fullTest?.send).toMatchObject({ impersonating: 'probe@contoso.com' });
  });

  test('with a password beside it the token is for sending alone', async () => {
    const { plan } = await request({ ...TENANT, 'light-mode': undefined, 'password-file': 'pw' });
    expect(plan.visit.login.kind).toBe('password');
    expect(plan.tokens).toMatchObject({ login: null, send: { clientId: 'app' } });
  });
});

describe('who proves who asks for a token', () => {
  const without = { ...TENANT, 'oauth-client-secret-file': undefined };
  test.each<[string, Settings, object]>([
    ['a secret in the environment', { 'oauth-client-secret-env': 'SECRET' }, { kind: 'secret' }],
    ['a secret on the command line', { 'oauth-client-secret': 'x' }, { kind: 'secret' }],
    ['a certificate', { 'oauth-client-certificate': 'cert' }, { kind: 'certificate', certificate: 'CERTIFICATE' }],
  ])('%s', async (_, settings, proof) => {
    const { plan } = await request({ ...without, ...settings });
    expect(plan.tokens?.login?.grant).toMatchObject({ kind: 'client-credentials', proof });
  });

  test('a secret of systemd, where no option has one', async () => {
    const { plan } = await request(without, sources({ CREDENTIALS_DIRECTORY: '/run/credentials' }));
    const grant = plan.tokens?.login?.grant;
    expect(grant?.proof?.kind === 'secret' && grant.proof.secret.reveal()).toBe('from-systemd');
  });

  test('a refresh token, with a secret and without', async () => {
    const refreshing = { 'oauth-refresh-token-file': 'refresh', 'oauth-token-url': 'https://oauth2.example.com/token' };
    const { plan } = await request({ ...TENANT, ...refreshing });
    expect(plan.tokens?.login).toMatchObject({
      url: 'https://oauth2.example.com/token',
      grant: { kind: 'refresh-token' },
    });
    const alone = await request({ ...without, ...refreshing });
    expect(alone.plan.tokens?.login?.grant).toMatchObject({ kind: 'refresh-token', proof: null });
  });

  test('a secret that everyone can see is remarked on', async () => {
    expect((await request({ ...without, 'oauth-client-secret': 'x' })).policy.remarks).toHaveLength(1);
    expect((await request(TENANT)).policy.remarks).toHaveLength(0);
  });
});

describe('a token that somebody else keeps fresh', () => {
  test('logs on, and sends', async () => {
    const { plan } = await request({
      'client-access-server': 'mail.example.com',
      'mailbox-credential': 'probe@example.com',
      'oauth-token-file': 'token',
    });
    expect(secretOf(plan.visit.login)?.reveal()).toBe('the.access.token');
    expect(plan.tokens).toBe(null);
    expect(plan.fullTest?.send.credential?.kind).toBe('bearer');
  });
});

describe('what cannot be', () => {
  test.each<[string, Settings, string]>([
    ['no tenant, no URL', { 'oauth-tenant': undefined, 'client-access-server': 'h.example.com' }, '--oauth-tenant'],
    ['a tenant that is none', { 'oauth-tenant': 'a/b' }, '--oauth-tenant'],
    ['a URL in clear', { 'oauth-token-url': 'http://example.com/token' }, 'https://'],
    ['a URL with a password', { 'oauth-token-url': 'https://u:p@example.com/token' }, 'https://'],
    ['nothing that proves it', { 'oauth-client-secret-file': undefined }, '--oauth-client-secret-file'],
    ['a secret and a certificate', { 'oauth-client-certificate': 'cert' }, 'contradict'],
    ['two secrets', { 'oauth-client-secret-env': 'SECRET' }, 'contradict'],
    ['a token, and how to get one', { 'oauth-token-file': 'token' }, 'give one of them'],
    ['a mechanism for passwords', { auth: 'plain' }, '--auth plain takes a password'],
    ['a cloud there is not', { 'oauth-cloud': 'mars' }, '--oauth-cloud takes worldwide'],
    ['a proxy and every address', { proxy: 'socks5://p.example.com', 'all-addresses': true }, 'contradict'],
    ['a proxy that is none', { proxy: 'ftp://p.example.com' }, '--proxy'],
  ])('%s', async (_, settings, words) => {
    const { reason, message } = await refusal({ ...TENANT, ...settings });
    expect(reason).toBe('usage');
    expect(message).toContain(words);
    expect(message).not.toContain('the~client~secret');
  });
});

describe('a proxy', () => {
  test('is on the way of every connection', async () => {
    const { plan, policy } = await request({ ...TENANT, 'light-mode': undefined, proxy: '@proxy' });
    const found = { kind: 'socks5', to: 'proxy.example.com', port: 1080 };
    expect(plan.visit.viaProxy).toBe(true);
    expect(plan.link.proxy).toMatchObject(found);
    expect(plan.tokens?.login?.http.proxy).toMatchObject(found);
    const { send } = plan.fullTest ?? {};
    expect(send?.via === 'smtp' && send.link.proxy).toMatchObject(found);
    expect(policy.remarks).toEqual([]);
  });

  test('of the environment is for the identity provider alone', async () => {
    const environment = { HTTPS_PROXY: 'http://proxy.example.com:3128' };
    const { plan } = await request(TENANT, sources(environment));
    expect(plan.link.proxy).toBe(null);
    expect(plan.visit.viaProxy).toBe(false);
    expect(plan.tokens?.login?.http.proxy).toMatchObject({ kind: 'http', to: 'proxy.example.com', port: 3128 });
    const excepted = await request(TENANT, sources({ ...environment, NO_PROXY: 'login.microsoftonline.com' }));
    expect(excepted.plan.tokens?.login?.http.proxy).toBe(null);
  });

  test('with a password in plain sight is remarked on', async () => {
    const { policy } = await request({ ...TENANT, proxy: 'http://us:pw@proxy.example.com' });
    expect(policy.remarks).toHaveLength(1);
  });
});

test('nothing of all that shows in the request', async () => {
  const shown = JSON.stringify(await request({ ...TENANT, proxy: '@proxy', 'oauth-refresh-token-file': 'refresh' }));
  for (const secret of ['the~client~secret', 'the-refresh-token', 'us:pw']) expect(shown).not.toContain(secret);
});

import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { CHECK_POP3, type Ended, keepSecret, privateFolder, run } from '../../support/run.ts';
import { tokenFor, VERIFYING_TOKENS } from '../../support/tokens.ts';

const USER = 'probe@example.com';
const SECRET = keepSecret('the-client-secret-of-this-test');

describe.skipIf(missing(DOVECOT))('check_pop3 with a token of an identity provider, at a real Dovecot', () => {
  const folder = privateFolder();
  const caFile = join(folder.path, 'ca.pem');
  const secretFile = folder.file('client-secret', `${SECRET}\n`);
  let dovecot: Dovecot;
  let provider: Server;
  let port = 0;
  const asked: URLSearchParams[] = [];
  let answer: { readonly status: number; readonly body: object };

  beforeAll(async () => {
    const authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    const identity = await authority.issue({ names: ['localhost'] });
    dovecot = await startDovecot({ users: { [USER]: 'not used' }, ...VERIFYING_TOKENS, identity });
    provider = createServer({ cert: identity.certificate, key: identity.key }, (request, response) => {
      let form = '';
      request.on('data', (octets) => {
        form += octets;
      });
      request.on('end', () => {
        asked.push(new URLSearchParams(form));
        response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer.body));
      });
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    port = (provider.address() as AddressInfo).port;
  });
  afterAll(async () => {
    provider.closeAllConnections();
    provider.close();
    await dovecot.stop();
  });
  beforeEach(() => {
    asked.length = 0;
    answer = granted(tokenFor(USER, { validFromS: -10, validToS: 3600 }));
  });

  const granted = (token: string) => ({
    status: 200,
    body: { token_type: 'Bearer', expires_in: 3599, access_token: keepSecret(token) },
  });

  const check = (state: string, more: readonly string[] = []): Promise<Ended> =>
    run(
      CHECK_POP3,
      [
        ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(dovecot.tlsPort), '-S', '--ca-file', caFile, '-u', USER],
        ...['--oauth-token-url', `https://localhost:${port}/token`, '--oauth-client-id', 'app', '--light-mode'],
        ...['--oauth-client-secret-file', secretFile, '--oauth-scope', 'mail', '--state-dir', state, ...more],
      ],
      // The provider's authority is the system's affair: --ca-file is for the mail server.
      { env: { SSL_CERT_FILE: caFile } },
    );

  test('a new token logs on, and its time is told apart', async () => {
    const { code, line } = await check(folder.state());
    expect(line).toMatch(/^POP3 OK - localhost: logon /);
    expect(line).toMatch(/ time_token=0\.\d{3}s/);
    expect(code).toBe(0);
    const form = { client_id: 'app', client_secret: SECRET, grant_type: 'client_credentials', scope: 'mail' };
    expect(asked.map((each) => Object.fromEntries(each))).toEqual([form]);
  });

  test('it is kept, and the provider is not asked again', async () => {
    const state = folder.state();
    await check(state);
    expect((await check(state)).code).toBe(0);
    expect(asked).toHaveLength(1);
  });

  test('one that the mail server refuses is not kept: the next run asks for another', async () => {
    const state = folder.state();
    answer = granted(tokenFor('somebody.else@example.com', { validFromS: -10, validToS: 3600 }));
    const refused = await check(state);
    expect(refused.line).toContain('login-refused');
    expect(refused.line).toContain(`check the right of the token to the mailbox of ${USER}`);
    expect(refused.code).toBe(2);
    answer = granted(tokenFor(USER, { validFromS: -10, validToS: 3600 }));
    expect((await check(state)).code).toBe(0);
    expect(asked).toHaveLength(2);
  });

  test('a provider that refuses is not the mail server\u2019s fault, and is heard', async () => {
    answer = {
      status: 401,
      body: { error: 'invalid_client', error_description: `AADSTS7000215: Invalid client secret provided: ${SECRET}` },
    };
    const { code, line } = await check(folder.state());
    expect(line).toMatch(/^POP3 UNKNOWN - localhost: token-refused(?: in token)?, /);
    expect(line).toContain('AADSTS7000215');
    expect(code).toBe(3);
  });

  test('a provider that is down is unknown too', async () => {
    const { code, line } = await check(folder.state(), ['--oauth-token-url', 'https://localhost:1/token']);
    expect(line).toMatch(/^POP3 UNKNOWN - localhost: token-unavailable/);
    expect(code).toBe(3);
  });

  test('a provider whose certificate is nobody\u2019s gets no secret', async () => {
    const { code, line } = await run(CHECK_POP3, [
      ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(dovecot.tlsPort), '-S', '--ca-file', caFile, '-u', USER],
      ...['--oauth-token-url', `https://localhost:${port}/token`, '--oauth-client-id', 'app', '--light-mode'],
      ...['--oauth-client-secret-file', secretFile, '--state-dir', folder.state()],
    ]);
    expect(line).toContain('in token');
    expect(code).toBe(3);
    expect(asked).toEqual([]);
  });

  test('a token that somebody else keeps fresh logs on without a provider', async () => {
    const token = folder.file('token', `${keepSecret(tokenFor(USER, { validFromS: -10, validToS: 600 }))}\n`);
    const { code, line } = await run(CHECK_POP3, [
      ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(dovecot.tlsPort), '-S', '--ca-file', caFile, '-u', USER],
      ...['--oauth-token-file', token, '--light-mode'],
    ]);
    expect(line).toMatch(/^POP3 OK/);
    expect(line).not.toContain('time_token');
    expect(code).toBe(0);
    expect(asked).toEqual([]);
  });
});

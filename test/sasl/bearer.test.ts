import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/dialogue/secret.ts';
import { oauthbearer } from '../../src/sasl/oauthbearer.ts';
import { xoauth2 } from '../../src/sasl/xoauth2.ts';
import { challenge, exchanged, OK, REFUSED, type Turn } from '../support/sasl-server.ts';

const TOKEN = 'eyJhbGciOiJub25lIn0.e30.';
const CREDENTIAL = { kind: 'bearer', userName: 'alice@example.com', token: new Secret(TOKEN) } as const;

describe.each([
  [xoauth2, ''],
  [oauthbearer, '\u0001'],
] as const)('$name', (mechanism, acknowledgement) => {
  test.each([
    ['{"status":"401","schemes":"bearer","scope":"mail"}', '-ERR [AUTH] no (status 401)'],
    ['{"status" : "invalid_token"}', '-ERR [AUTH] no (status invalid_token)'],
    ['{"schemes":"bearer"}', '-ERR [AUTH] no'],
    ['{"status":401}', '-ERR [AUTH] no'],
    ['no JSON at all', '-ERR [AUTH] no'],
    ['', '-ERR [AUTH] no'],
    [`{"status":"${'x'.repeat(5000)}"}`, '-ERR [AUTH] no'],
  ])('a refusal that tells %s', async (why, said) => {
    const { result, failure, heard } = await exchanged(mechanism, CREDENTIAL, [challenge(why), REFUSED]);
    expect(result).toBe('login-refused');
    expect(failure?.said).toBe(said);
    expect(heard[1]).toBe(acknowledgement);
  });

  test.each<[string, readonly Turn[], string, boolean]>([
    ['refused without a reason', [REFUSED], 'login-refused', false],
    ['refused, and then accepted', [challenge('{"status":"401"}'), OK], 'protocol-violation', false],
    ['never settled', [challenge('{"status":"401"}'), challenge('{"status":"401"}')], 'protocol-violation', true],
  ])('a token that is %s', async (_, server, reason, cancelled) => {
    expect(await exchanged(mechanism, CREDENTIAL, server)).toMatchObject({ result: reason, cancelled });
  });

  test.each(['a b', 'a\u0001b', 'a\nb', 'ü', ''])('a token no token can be is not sent: %j', async (token) => {
    const exchange = await exchanged(mechanism, { ...CREDENTIAL, token: new Secret(token) }, []);
    expect(exchange).toMatchObject({ result: 'configuration', heard: [] });
    if (token !== '') expect(exchange.failure?.message).not.toContain(token);
  });

  test('a user name cannot add a field', async () => {
    const userName = 'alice\u0001auth=Bearer other';
    expect(await exchanged(mechanism, { ...CREDENTIAL, userName }, [])).toMatchObject({ result: 'configuration' });
  });
});

test.each([
  ['a=b,c', 'n,a=a=3Db=2Cc,\u0001'],
  ['', 'n,,\u0001'],
  ['übung', 'n,a=Ã¼bung,\u0001'],
])('OAUTHBEARER has a user name "%s" as %j', async (userName, expected) => {
  const { heard } = await exchanged(oauthbearer, { ...CREDENTIAL, userName }, [OK]);
  expect(heard[0]?.startsWith(expected)).toBe(true);
});

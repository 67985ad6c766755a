import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/dialogue/secret.ts';
import { MECHANISMS, SASL_METHODS } from '../../src/sasl/index.ts';
import type { Credential } from '../../src/sasl/mechanism.ts';
import { exchanged, OK, REFUSED, type Says } from '../support/sasl-server.ts';

const PASSWORD = 'correct horse battery';
const CREDENTIALS: Readonly<Record<Credential['kind'], Credential>> = {
  password: { kind: 'password', userName: 'alice', password: new Secret(PASSWORD) },
  bearer: { kind: 'bearer', userName: 'alice', token: new Secret('eyJhbGciOiJub25lIn0.e30.') },
  certificate: { kind: 'certificate', userName: 'alice' },
};

const RANDOM = Buffer.alloc(18, 1);
const BINDINGS = new Map([['tls-exporter', Buffer.from('exported')]]);
const REASONS = ['success', 'login-refused', 'protocol-violation', 'server-not-authenticated'];

/** A first message of SCRAM's that goes on. */
const GOOD_NONCE = Buffer.from(`r=${RANDOM.toString('base64')}server,s=c2FsdA==,i=4096`);

/** What a mechanism may be told: any octets, such as begin like what it waits for, and either end. */
const challenges = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(
      fc.constantFrom('NTLMSSP\0\u0002\0\0\0', 'r=', 'v=', 'e=', 'm=', '{"status":"'),
      fc.uint8Array({ maxLength: 200 }),
    )
    .map(([beginning, rest]) => Buffer.concat([Buffer.from(beginning), rest])),
);
const says: fc.Arbitrary<Says> = fc.oneof(
  { arbitrary: challenges, weight: 8 },
  { arbitrary: fc.constant(GOOD_NONCE), weight: 2 },
  fc.constantFrom(OK, REFUSED),
);

describe.each(SASL_METHODS.map((method) => MECHANISMS[method]))('$name', (mechanism) => {
  test('ends in a reason, after four answers at the most, whatever the server says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(says, { minLength: 5, maxLength: 5 }), async (server) => {
        // The first thing a server says to a mechanism in which it begins is always a challenge.
        const script = [
          ...server.slice(0, 1).map((each) => (typeof each === 'string' ? Buffer.alloc(0) : each)),
          ...server,
        ];
        const { result, heard, failure, iterations } = await exchanged(
          mechanism,
          CREDENTIALS[mechanism.takes],
          script,
          {
            bindings: BINDINGS,
            random: RANDOM,
            mayLeave: true,
          },
        );
        expect(REASONS).toContain(result);
        expect(heard.length).toBeLessThanOrEqual(4);
        expect(failure?.message ?? '').not.toContain(PASSWORD);
        for (const each of iterations) expect(each).toBeLessThanOrEqual(1_000_000);
      }),
      { numRuns: 500 },
    );
  });
});

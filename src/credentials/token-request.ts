import { utf8 } from '../dialogue/bytes.ts';
import type { Secret } from '../dialogue/secret.ts';
import type { ClientProof, TokenGrant, TokenPlan } from '../probe/world.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { clientAssertion } from './client-assertion.ts';

/** What is posted to a token end point. */
export interface TokenRequest {
  /** `application/x-www-form-urlencoded` */
  readonly body: Uint8Array;
  /** What of it an answer must not be quoted with. */
  readonly secrets: readonly Secret[];
}

/**
 * The request for a token: client credentials (RFC 6749 §4.4.2) or a refresh token (§6).
 *
 * A client shows its secret in the form (§2.3.1), not by Basic: so Microsoft and Google document it, and others accept
 * it. An assertion is new in each request, for it may be used only once.
 *
 * @param now seconds since 1970
 * @throws ProbeFailure `configuration`
 */
export function requestFor({ url, clientId, scope }: TokenPlan, grant: TokenGrant, now: number): TokenRequest {
  const fields: (readonly [string, string | Secret])[] = [
    ['grant_type', GRANT_TYPES[grant.kind]],
    ['client_id', clientId],
  ];
  if (grant.kind === 'refresh-token') fields.push(['refresh_token', grant.refreshToken]);
  if (grant.proof !== null) fields.push(...proofOf(grant.proof, clientId, url, now));
  if (scope !== null) fields.push(['scope', scope]);
  return {
    body: utf8(formOf(fields)),
    secrets: fields.map(([, value]) => value).filter((value) => typeof value !== 'string'),
  };
}

const GRANT_TYPES: Readonly<Record<TokenGrant['kind'], string>> = {
  'client-credentials': 'client_credentials',
  'refresh-token': 'refresh_token',
};

/** RFC 7523 §2.2. */
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

const proofOf = (
  proof: ClientProof,
  clientId: string,
  audience: string,
  now: number,
): readonly (readonly [string, string | Secret])[] =>
  proof.kind === 'secret'
    ? [['client_secret', proof.secret]]
    : [
        ['client_assertion_type', JWT_BEARER],
        ['client_assertion', clientAssertion(proof.certificate, proof.key, { clientId, audience, now })],
      ];

/** RFC 6749 appendix B. */
function formOf(fields: readonly (readonly [string, string | Secret])[]): string {
  const { URLSearchParams } = builtin.url();
  const form = new URLSearchParams();
  for (const [name, value] of fields) form.append(name, typeof value === 'string' ? value : value.reveal());
  return form.toString();
}

import { usage } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import type { ClientProof, HttpTerms, TokenGrant, TokenPlan } from '../probe/world.ts';
import { CLOUD_NAMES, CLOUDS, type Cloud, tokenUrl } from './clouds.ts';
import { readSecret } from './secret.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';
import { oneOf } from './values.ts';

/** What a token is asked for: the mail server, or Microsoft Graph. */
export type Audience = 'mail' | 'graph';

/** How an HTTPS server is reached, by its URL. */
export type HttpFor = (url: string) => HttpTerms;

/** Whether tokens are to be had from an identity provider. */
export const wantsOauth = (settings: Settings): boolean => settings['oauth-client-id'] !== undefined;

/** The cloud whose mail server is meant where none was named; null where there is no tenant. */
export function cloudOf(settings: Settings): Cloud | null {
  const cloud = oneOf('--oauth-cloud', settings['oauth-cloud'], CLOUD_NAMES, 'worldwide');
  return settings['oauth-tenant'] === undefined ? null : cloud;
}

/**
 * How tokens are to be had, by audience: with `--oauth-tenant` from Microsoft's identity platform, with
 * `--oauth-token-url` from any other.
 *
 * @throws ProbeFailure `usage` or `configuration`, naming the option and never the secret
 */
export async function parseOauth(
  settings: Settings,
  httpFor: HttpFor,
  sources: Sources,
): Promise<(audience: Audience) => TokenPlan> {
  const tenant = settings['oauth-tenant'] as string | undefined;
  const given = settings['oauth-token-url'] as string | undefined;
  const cloud = cloudOf(settings);
  if (tenant !== undefined && !/^[A-Za-z0-9.-]{1,253}$/.test(tenant)) {
    throw usage(`--oauth-tenant takes the id of a tenant or one of its domains, not ${JSON.stringify(tenant)}`);
  }
  if (given !== undefined && !/^https:\/\/[^\s/@?#]+(?:\/[^\s]*)?$/.test(given)) {
    throw usage('--oauth-token-url takes a URL that begins with https://');
  }
  const url = given ?? (cloud === null || tenant === undefined ? null : tokenUrl(cloud, tenant));
  if (url === null) throw usage('--oauth-client-id needs --oauth-tenant, or --oauth-token-url');
  const grant = await parseGrant(settings, sources);
  const scope = settings['oauth-scope'] as string | undefined;
  return (audience) => ({
    url,
    clientId: settings['oauth-client-id'] as string,
    scope: scope ?? (cloud === null ? null : CLOUDS[cloud][SCOPES[audience]]),
    grant,
    http: httpFor(url),
    stateDir: (settings['state-dir'] as string | undefined) ?? null,
  });
}

const SCOPES = { mail: 'mailScope', graph: 'graphScope' } as const;

async function parseGrant(settings: Settings, sources: Sources): Promise<TokenGrant> {
  const proof = await parseProof(settings, sources);
  const refreshToken = await readSecret('oauth-refresh-token', settings, sources);
  if (refreshToken !== null) return { kind: 'refresh-token', refreshToken, proof };
  if (proof !== null) return { kind: 'client-credentials', proof };
  throw usage(
    'nothing proves who asks for a token: give --oauth-client-secret-file, --oauth-client-certificate or ' +
      '--oauth-refresh-token-file',
  );
}

async function parseProof(settings: Settings, sources: Sources): Promise<ClientProof | null> {
  const path = settings['oauth-client-certificate'] as string | undefined;
  const keyPath = (settings['oauth-client-key'] as string | undefined) ?? path;
  const secret = await readSecret('oauth-client-secret', settings, sources);
  if (path === undefined && keyPath !== undefined) throw usage('--oauth-client-key needs --oauth-client-certificate');
  if (path === undefined) return secret === null ? null : { kind: 'secret', secret };
  if (secret !== null) throw usage('--oauth-client-secret and --oauth-client-certificate contradict each other');
  const certificate = sources.certificates('--oauth-client-certificate', path);
  const key = sources.privateKey('--oauth-client-key', keyPath as string, certificate);
  return { kind: 'certificate', certificate, key: new Secret(key) };
}

import { constants, createHash, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { Identity } from '../../../src/sandbox/authority.ts';
import { startDovecot } from '../../support/dovecot.ts';
import { keepSecret } from '../../support/run.ts';
import { tokenFor, VERIFYING_TOKENS } from '../../support/tokens.ts';

/** An application, and its mailbox, as an administrator has set them up; each may be set up otherwise. */
export interface Tenant {
  readonly domain: string;
  readonly clientId: string;
  readonly mailbox: string;
  /** What was uploaded, PEM. */
  certificate: string | null;
  /** A secret that has run out is known, and refused. */
  secret: { readonly value: string; readonly hasRunOut: boolean } | null;
  /** The application has FullAccess to the mailbox. */
  isPermitted: boolean;
  /** SMTP AUTH is on for it. */
  takesMail: boolean;
}

export interface Microsoft365 {
  /** Where its servers listen on 127.0.0.1, by the name and the port that they have in the world. */
  readonly ports: Readonly<Record<Place, number>>;
  /** How the application proved who it is: a word for each token that was given. */
  readonly proofs: readonly ('certificate' | 'secret')[];
  /** How many messages are in the mailbox. */
  messages(): Promise<number>;
  stop(): Promise<void>;
}

export type Place = 'login.microsoftonline.com:443' | 'outlook.office365.com:995' | 'smtp.office365.com:587';

/** An identity provider, a Dovecot that takes its tokens by XOAUTH2, and a server that sends mail by them. */
export async function startMicrosoft365(identity: Identity, tenant: Tenant): Promise<Microsoft365> {
  const { mailbox } = tenant;
  const dovecot = await startDovecot({ users: { [mailbox]: 'not used' }, ...VERIFYING_TOKENS, identity });
  const proofs: Microsoft365['proofs'][number][] = [];
  const tokens = new Set<string>();
  const provider = startProvider(identity, tenant, (proof) => {
    // A token is good for all mailboxes that the application has a right to, and Dovecot's for one user.
    const user = tenant.isPermitted ? mailbox : 'somebody.else@contoso.com';
    const token = keepSecret(tokenFor(user, { validFromS: -10, validToS: 3600 }));
    if (tenant.isPermitted) tokens.add(token);
    proofs.push(proof);
    return token;
  });
  const smtp = new SMTPServer({
    ...{ name: 'smtp.office365.com', cert: identity.certificate, key: identity.key, logger: false },
    ...{ authMethods: ['XOAUTH2'], disableReverseLookup: true },
    onAuth({ username, accessToken = '' }, _session, done) {
      const isGood = tenant.takesMail && username === mailbox && tokens.has(accessToken);
      if (isGood) return done(null, { user: username });
      return done(Object.assign(new Error('5.7.3 Authentication unsuccessful'), { responseCode: 535 }));
    },
    onData(stream, _session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.on('end', () => dovecot.deliver(Buffer.concat(chunks)).then(() => done(), done));
    },
  });
  smtp.on('error', () => undefined); // a client that breaks off is the client's business
  smtp.listen(0, '127.0.0.1');
  await Promise.all([provider, smtp.server].map((server) => server.listening || once(server, 'listening')));
  const portOf = (server: Pick<Server, 'address'>): number => (server.address() as AddressInfo).port;
  return {
    proofs,
    ports: {
      'login.microsoftonline.com:443': portOf(provider),
      'outlook.office365.com:995': dovecot.tlsPort,
      'smtp.office365.com:587': portOf(smtp.server as Server),
    },
    messages: () => dovecot.messages(),
    async stop() {
      provider.closeAllConnections();
      provider.close();
      smtp.close(() => undefined);
      await dovecot.stop();
    },
  };
}

/** The token end point of the tenant (RFC 6749 §4.4.2), with the refusals of Microsoft's. */
function startProvider(identity: Identity, tenant: Tenant, give: (proof: 'certificate' | 'secret') => string): Server {
  const url = `https://login.microsoftonline.com/${tenant.domain}/oauth2/v2.0/token`;
  return createServer({ cert: identity.certificate, key: identity.key }, (request, response) => {
    let octets = '';
    request.on('data', (some) => {
      octets += some;
    });
    request.on('end', () => {
      const form = Object.fromEntries(new URLSearchParams(octets));
      const isAsked =
        `${request.method} https://${request.headers.host?.replace(/:443$/, '')}${request.url}` === `POST ${url}` &&
        form.grant_type === 'client_credentials' &&
        form.scope === 'https://outlook.office365.com/.default' &&
        form.client_id === tenant.clientId;
      const refusal = isAsked ? refusalOf(tenant, form, url) : 'AADSTS900144: this was not to be asked.';
      const proof = form.client_assertion === undefined ? 'secret' : 'certificate';
      const [status, body] =
        refusal === null
          ? [200, { token_type: 'Bearer', expires_in: 3599, access_token: give(proof) }]
          : [401, { error: 'invalid_client', error_description: refusal }];
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    });
  }).listen(0, '127.0.0.1');
}

function refusalOf(
  { certificate, secret }: Tenant,
  form: Readonly<Record<string, string>>,
  url: string,
): string | null {
  if (form.client_assertion === undefined) {
    if (secret === null || form.client_secret !== secret.value) return 'AADSTS7000215: Invalid client secret provided.';
    return secret.hasRunOut ? 'AADSTS7000222: The provided client secret keys are expired.' : null;
  }
  const isGood =
    form.client_assertion_type === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' &&
    certificate !== null &&
    isSignedBy(new X509Certificate(certificate), form.client_assertion, form.client_id as string, url);
  return isGood ? null : 'AADSTS700027: The certificate is not registered on the application.';
}

/** RFC 7523 §3, with the signature and the fingerprint that Microsoft documents. */
function isSignedBy(certificate: X509Certificate, assertion: string, clientId: string, audience: string): boolean {
  const [header = '', claims = '', signature = ''] = assertion.split('.');
  const decoded = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  const { alg, 'x5t#S256': fingerprint } = decoded(header);
  const { aud, iss, sub, exp } = decoded(claims);
  const key = { key: certificate.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return (
    alg === 'PS256' &&
    fingerprint === createHash('sha256').update(certificate.raw).digest('base64url') &&
    [aud, iss, sub].join() === [audience, clientId, clientId].join() &&
    exp > Date.now() / 1000 &&
    verify('sha256', Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, 'base64url'))
  );
}

import { utf8 } from '../dialogue/bytes.ts';
import { present, SEPARATOR, tokenField } from './bearer.ts';
import { saslName } from './gs2.ts';
import type { BearerCredential, Mechanism } from './mechanism.ts';

/** OAUTHBEARER (RFC 7628): whom to log on, the server as we know it, and a token. */
export const oauthbearer: Mechanism<BearerCredential> = {
  name: 'OAUTHBEARER',
  takes: 'bearer',
  rank: 'clear',
  *authenticate(credential, exchange) {
    const { userName } = credential;
    const header = userName === '' ? 'n,,' : `n,a=${saslName(userName)},`;
    const server = [`host=${exchange.host}`, `port=${exchange.port}`];
    const message = [header, ...server, tokenField(credential)].join(SEPARATOR);
    yield* present(exchange, utf8(message), utf8(SEPARATOR));
  },
};

import { utf8 } from '../dialogue/bytes.ts';
import { present, SEPARATOR, tokenField } from './bearer.ts';
import type { BearerCredential, Mechanism } from './mechanism.ts';

/** XOAUTH2, of Google and Microsoft: a user name and a token. The reason for a refusal is answered by nothing. */
export const xoauth2: Mechanism<BearerCredential> = {
  name: 'XOAUTH2',
  takes: 'bearer',
  rank: 'clear',
  inTwoLines: true,
  *authenticate(credential, exchange) {
    const message = `user=${credential.userName}${SEPARATOR}${tokenField(credential)}`;
    yield* present(exchange, utf8(message), utf8(''));
  },
};

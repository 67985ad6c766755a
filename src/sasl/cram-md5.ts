import { hex, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { conclude, type Mechanism, type PasswordCredential } from './mechanism.ts';

/** CRAM-MD5 (RFC 2195): the server's challenge keyed with the password, in hexadecimal. */
export const cramMd5: Mechanism<PasswordCredential> = {
  name: 'CRAM-MD5',
  takes: 'password',
  rank: 'digest',
  *authenticate({ userName, password }, exchange) {
    const challenge = yield* exchange.start();
    // The digest of nothing is the same on every day: whoever has heard it once could log on with it.
    if (challenge.length === 0)
      return yield* exchange.cancel(new ProbeFailure('protocol-violation', 'the challenge of CRAM-MD5 is empty'));
    const key = utf8(password.reveal());
    const digest = yield* exchange.compute({ compute: 'hmac', algorithm: 'md5', key, octets: challenge });
    yield* conclude(exchange, utf8(`${userName} ${hex(digest)}`));
  },
};

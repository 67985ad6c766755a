import { utf8 } from '../dialogue/bytes.ts';
import { type CertificateCredential, conclude, type Mechanism } from './mechanism.ts';

/** EXTERNAL (RFC 4422 appendix A): TLS has shown who we are; at most the server is told as whom to treat us. */
export const external: Mechanism<CertificateCredential> = {
  name: 'EXTERNAL',
  takes: 'certificate',
  rank: 'proof',
  *authenticate({ userName }, exchange) {
    yield* conclude(exchange, utf8(userName));
  },
};

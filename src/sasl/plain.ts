import { utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { conclude, type Mechanism, type PasswordCredential } from './mechanism.ts';

/** PLAIN (RFC 4616): an empty authorization identity, the user name and the password, parted by NUL. */
export const plain: Mechanism<PasswordCredential> = {
  name: 'PLAIN',
  takes: 'password',
  rank: 'clear',
  *authenticate({ userName, password }, exchange) {
    if (userName.includes('\0') || password.reveal().includes('\0')) {
      throw new ProbeFailure('configuration', 'PLAIN cannot carry a NUL in a user name or password (RFC 4616 §2)');
    }
    yield* conclude(exchange, utf8(`\0${userName}\0${password.reveal()}`));
  },
};

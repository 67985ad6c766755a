import { utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { Mechanism } from './mechanism.ts';

/** PLAIN (RFC 4616): an empty authorization identity, the user name and the password, parted by NUL. */
export const plain: Mechanism = {
  name: 'PLAIN',
  *authenticate({ userName, password }, exchange) {
    if (userName.includes('\0') || password.reveal().includes('\0')) {
      throw new ProbeFailure('configuration', 'PLAIN cannot carry a NUL in a user name or password (RFC 4616 §2)');
    }
    const more = yield* exchange.respond(utf8(`\0${userName}\0${password.reveal()}`));
    if (more !== null)
      throw new ProbeFailure('protocol-violation', 'the server wants more after the one answer of PLAIN');
  },
};

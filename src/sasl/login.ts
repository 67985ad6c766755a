import { utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { conclude, type Mechanism, type PasswordCredential } from './mechanism.ts';

/** LOGIN (draft-murchison-sasl-login): two prompts, whatever their words, for the user name and the password. */
export const login: Mechanism<PasswordCredential> = {
  name: 'LOGIN',
  takes: 'password',
  rank: 'clear',
  *authenticate({ userName, password }, exchange) {
    yield* exchange.start();
    const prompt = yield* exchange.respond(utf8(userName));
    if (prompt === null) throw new ProbeFailure('protocol-violation', 'the server accepted LOGIN without a password');
    yield* conclude(exchange, utf8(password.reveal()));
  },
};

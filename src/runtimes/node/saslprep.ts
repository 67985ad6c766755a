import { utf8 } from '../../dialogue/bytes.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { Secret } from '../../dialogue/secret.ts';

/**
 * SASLprep (RFC 4013) of a user name or a password, as UTF-8. Printable ASCII is its own; for anything else the
 * library is loaded, with the tables of Unicode 3.2.
 *
 * @throws ProbeFailure `configuration` for what SASLprep prohibits, and never with the text
 */
export async function prepared(text: Secret): Promise<Uint8Array> {
  const spelt = text.reveal();
  if (/^[\x20-\x7e]*$/.test(spelt)) return utf8(spelt);
  const { default: saslprep } = await import('@mongodb-js/saslprep');
  try {
    return utf8(saslprep(spelt));
  } catch {
    const why = 'the user name or the password has characters that SASLprep prohibits (RFC 4013 §2.3)';
    throw new ProbeFailure('configuration', why, { phase: 'login' });
  }
}

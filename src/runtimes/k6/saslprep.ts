import saslprep from '@mongodb-js/saslprep';
import { utf8 } from '../../dialogue/bytes.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { Secret } from '../../dialogue/secret.ts';

/**
 * SASLprep (RFC 4013) of a user name or a password, as UTF-8. The library keeps its tables in a Buffer: the build
 * gives it the same tables as ranges (tools/k6-bundles.mjs).
 *
 * @throws ProbeFailure `configuration` for what SASLprep prohibits, and never with the text
 */
export function prepared(text: Secret): Uint8Array {
  const spelt = text.reveal();
  if (/^[\x20-\x7e]*$/.test(spelt)) return utf8(spelt);
  try {
    return utf8(saslprep(spelt));
  } catch {
    const why = 'the user name or the password has characters that SASLprep prohibits (RFC 4013 §2.3)';
    throw new ProbeFailure('configuration', why, { phase: 'login' });
  }
}

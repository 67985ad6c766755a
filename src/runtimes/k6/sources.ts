import { fromBase64 } from '../../dialogue/bytes.ts';
import { ProbeFailure, usage } from '../../dialogue/failure.ts';
import type { Sources } from '../../request/sources.ts';
import { familyOf } from './address.ts';

/**
 * What a request takes from k6. In the test there are no files: what would be the name of one is its content, which
 * `open()` gives in the init context.
 */
export const k6Sources: Sources = {
  file: (option) => {
    throw usage(`${option}: inside k6 there are no files`);
  },
  environment: (name) => (Object.hasOwn(__ENV, name) ? __ENV[name] : undefined),
  standardInput: () => Promise.reject(new TypeError('standard input inside k6')),
  exists: () => false,
  askOnTerminal: async () => null,
  confirmOnTerminal: async () => null,
  certificates: (option, pem) => pemOf(option, pem, /CERTIFICATE/, 'certificate'),
  // Whether it is the certificate's key, the handshake tells.
  privateKey: (option, pem) => pemOf(option, pem, /(?:RSA |EC )?PRIVATE KEY/, 'unencrypted private key'),
  family: familyOf,
  ascii(name) {
    throw usage(`${JSON.stringify(name)} is an international name: inside k6 give it as DNS has it (xn--…)`);
  },
};

/** The blocks of one kind in a PEM text (RFC 7468 §3), every one of them whole. */
function pemOf(option: string, pem: string, label: RegExp, what: string): string {
  const block = new RegExp(`-----BEGIN (${label.source})-----([\\s\\S]*?)-----END \\1-----`, 'g');
  const blocks = pem.match(block) ?? [];
  if (blocks.length === 0) {
    const found = pem.includes('-----BEGIN ') ? '' : '; give what open() read, not the name of a file';
    throw new ProbeFailure('configuration', `${option}: no ${what} in PEM${found}`);
  }
  const isWhole = (each: string): boolean => {
    const octets = fromBase64(each.replace(/-----[^\n]*-----/g, '').replace(/\s/g, ''));
    return octets !== null && octets.length > 0;
  };
  if (!blocks.every(isWhole)) throw new ProbeFailure('configuration', `${option}: a ${what} that cannot be read`);
  return `${blocks.join('\n')}\n`;
}

/** What a domain controller answers to an LDAP ping, as far as it matters here. */
export interface LdapPing {
  /** The site of the domain controller. */
  readonly controllerSite: string;
  /** The site of whoever asks; '' where its address is in no subnet the directory knows. */
  readonly clientSite: string;
}

/** NETLOGON_NT_VERSION_5 and 5EX (MS-ADTS §6.3.1.1), the least significant octet first: the answer that names sites. */
export const NT_VERSION = new Uint8Array([0x06, 0x00, 0x00, 0x00]);

/** LOGON_SAM_LOGON_RESPONSE_EX and the one for an unknown user (MS-ADTS §6.3.1.3). */
const OPCODES: readonly number[] = [0x17, 0x19];

/**
 * Reads NETLOGON_SAM_LOGON_RESPONSE_EX (MS-ADTS §6.3.1.9): opcode, reserved, flags and the GUID of the domain, then names
 * compressed as in DNS.
 *
 * @returns null for what is no such answer
 */
export function readPing(octets: Uint8Array): LdapPing | null {
  const [low = 0, high = 0] = octets;
  if (!OPCODES.includes(low | (high << 8))) return null;
  const names: string[] = [];
  let at = FIRST_NAME;
  while (names.length < NAMES) {
    const read = readName(octets, at);
    if (read === null) return null;
    names.push(read.name);
    at = read.end;
  }
  return { controllerSite: names[CONTROLLER_SITE] ?? '', clientSite: names[CLIENT_SITE] ?? '' };
}

const FIRST_NAME = 24;
/** Forest, domain, host, NetBIOS domain and computer, user, and the two sites. */
const NAMES = 8;
const CONTROLLER_SITE = 6;
const CLIENT_SITE = 7;

/** RFC 1035 §4.1.4: labels with their lengths, or a pointer to where the rest of the name has been written before. */
function readName(octets: Uint8Array, start: number): { readonly name: string; readonly end: number } | null {
  const labels: string[] = [];
  let at = start;
  let end: number | null = null;
  let seen = 0;
  for (;;) {
    const length = octets[at];
    if (length === undefined || labels.length > MOST_LABELS || seen > MOST_LABELS) return null;
    if (length === 0) return { name: labels.join('.'), end: end ?? at + 1 };
    if ((length & 0xc0) === 0xc0) {
      const low = octets[at + 1];
      if (low === undefined) return null;
      end ??= at + 2;
      at = ((length & 0x3f) << 8) | low;
      seen++;
      continue;
    }
    const label = octets.subarray(at + 1, at + 1 + length);
    if (length > 0x3f || label.length < length) return null;
    labels.push(new TextDecoder().decode(label));
    at += 1 + length;
  }
}

const MOST_LABELS = 128;

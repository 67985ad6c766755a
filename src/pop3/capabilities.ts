import { text } from '../dialogue/bytes.ts';
import type { Dialogue } from '../dialogue/dialogue.ts';
import { line } from './line.ts';
import { meaningOf, refusal } from './reply.ts';
import type { Wire } from './wire.ts';

/** What CAPA told: tags in upper case with their arguments as written, or null where the server does not know CAPA. */
export type Capabilities = ReadonlyMap<string, readonly string[]> | null;

/** A listing is a dozen lines of at most 512 octets (RFC 2449 §5); beyond this it is no listing. */
const LONGEST_LISTING = 64 * 1024;

/**
 * Asks what the server can do (RFC 2449 §5). `-ERR` only means that it does not know the command. A malformed line
 * is kept as it stands: real servers send `30` for `LOGIN-DELAY 30`.
 */
export function* askCapabilities(wire: Wire): Dialogue<Capabilities> {
  const reply = yield* wire.ask(line`CAPA`);
  // A server in trouble is another matter than one that does not know CAPA.
  if (!reply.ok && meaningOf(reply) !== null) throw refusal(reply, 'server-permanent');
  if (!reply.ok) return null;
  const lines: Uint8Array[] = [];
  yield* wire.body(LONGEST_LISTING, lines);
  const told = lines.map(text).filter((each) => each.trim() !== '');
  yield { want: 'note', phase: 'capabilities', note: { learnt: 'capabilities', capabilities: told } };
  const capabilities = new Map<string, readonly string[]>();
  for (const each of told) {
    const [tag, ...rest] = each.split(' ').filter((word) => word !== '');
    // A server may split a long list over several lines of one tag.
    if (tag !== undefined)
      capabilities.set(tag.toUpperCase(), [...(capabilities.get(tag.toUpperCase()) ?? []), ...rest]);
  }
  return capabilities;
}

import { ProbeFailure } from '../dialogue/failure.ts';
import { printable } from '../probe/printable.ts';
import { isSame, partsOf } from './entry.ts';
import type { ExchangeServer } from './exchange-server.ts';
import { parseGuid } from './guid.ts';

/**
 * Finds the server somebody means, by any value that identifies one, as the cmdlet takes them: name, host name,
 * distinguished name, ExchangeLegacyDN, GUID. The servers were read before; nothing that was given reaches a filter.
 *
 * @param option what a refusal names
 * @throws ProbeFailure `configuration`: there is none, with those that are called alike, or more than one
 */
export function serverBy(option: string, given: string, servers: readonly ExchangeServer[]): ExchangeServer {
  for (const is of FORMS) {
    const found = servers.filter((server) => is(server, given));
    if (found.length > 1) throw refused(option, given, `is more than one: ${listed(found.map(({ dn }) => dn))}`);
    if (found[0] !== undefined) return found[0];
  }
  const alike = servers.filter((server) => isAlike(server, given)).map(({ name }) => name);
  const near = alike.length === 0 ? '' : `; there is ${listed(alike)}`;
  throw refused(option, given, `is no server of the Exchange organisation${near}`);
}

type Form = (server: ExchangeServer, given: string) => boolean;

const isEqual = (one: string | null, other: string): boolean => one !== null && fold(one) === fold(other);

/** Names know no case; a dot that ends a host name is not part of it. */
const fold = (text: string): string => text.toLowerCase().replace(/\.$/, '');

/** One after the other: what is the name of one is not looked for among the host names of others. */
const FORMS: readonly Form[] = [
  ({ name }, given) => isEqual(name, given),
  ({ fqdn }, given) => isEqual(fqdn, given),
  ({ guid }, given) => guid !== null && guid === parseGuid(given),
  ({ legacyDn }, given) => isEqual(legacyDn, given),
  ({ dn }, given) => given.includes('=') && isSame(dn, given),
];

/** Whether somebody may have meant it: a part of the name, or one letter off. */
function isAlike({ name, fqdn }: ExchangeServer, given: string): boolean {
  const wanted = fold(partsOf(given)[0]?.value ?? given).replace(/\..*$/, '');
  const own = fold(name);
  return (
    wanted.length > 1 &&
    (own.includes(wanted) || wanted.includes(own) || isOneOff(own, wanted) || fold(fqdn).startsWith(wanted))
  );
}

/** One letter more, less or another. */
function isOneOff(one: string, other: string): boolean {
  if (Math.abs(one.length - other.length) > 1) return false;
  let from = 0;
  while (from < one.length && one[from] === other[from]) from++;
  const rests = [one.slice(from), other.slice(from)] as const;
  return rests[0].slice(1) === rests[1].slice(1) || rests[0] === rests[1].slice(1) || rests[0].slice(1) === rests[1];
}

const MOST_LISTED = 5;
const listed = (names: readonly string[]): string =>
  `${names.slice(0, MOST_LISTED).join(', ')}${names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : ''}`;

const LONGEST_SHOWN = 80;
const refused = (option: string, given: string, why: string): ProbeFailure =>
  new ProbeFailure('configuration', `${option}: ${printable(given, LONGEST_SHOWN)} ${why}`);

import { text } from '../../src/dialogue/bytes.ts';
import type { Errand } from '../../src/pop3/visit.ts';
import { arrivalsSince, type Findings, inventory, type Search, survivors } from '../../src/probe/errands.ts';
import type { Stock } from '../../src/probe/stock.ts';
import { UidSet } from '../../src/probe/uid-set.ts';
import { bounceOf, LETTERS, type Letter, letterWith, linesOf, NOW, nameOfRun, SENDER, signed } from './letters.ts';

/**
 * The errands of the full test, as a transcript names them in its plan:
 *
 *   errand=inventory, seen=u1 u2, remembered=u3, deleted=u4, latest=50
 *   errand=arrivals, stock=u1 u2 (or stock=2, without identifiers), gone=0, seen=u3
 *   errand=survivors, stock=u1 u2, gone=0, deleted=u3, left=u4, whole
 *
 * Each with keep-stale, and with ours=u5 for what was proved to be ours before. The run under way awaits the letter
 * `ours`, and remembers the run of `ended`. What comes of it is told in words, for a transcript's `found:`.
 */
export function fullTestErrand(settings: ReadonlyMap<string, string>): Errand<unknown> | null {
  const list = (name: string): string[] => (settings.get(name) ?? '').split(' ').filter((word) => word !== '');
  const set = (name: string): Set<string> => new Set(list(name));
  const search: Search = {
    sender: SENDER,
    awaited: new Set([LETTERS.ours.marker.run]),
    over: new Set([LETTERS.ended.marker.run]),
    ours: set('ours'),
    now: NOW,
    keepStale: settings.has('keep-stale'),
    octets: octetsOf('ours'),
  };
  const gone = Number(settings.get('gone') ?? 0);
  switch (settings.get('errand')) {
    case 'inventory': {
      const knowledge = { seen: set('seen'), remembered: set('remembered'), deleted: set('deleted') };
      const errand = inventory(search, knowledge, Number(settings.get('latest') ?? 50));
      return function* (wire, capabilities) {
        const { stock, findings, undead } = yield* errand(wire, capabilities);
        return { messages: stock.size.messages, known: stock.known?.size ?? null, undead, ...told(findings) };
      };
    }
    case 'arrivals': {
      const errand = arrivalsSince(stockOf(list('stock')), gone, search, set('seen'));
      return function* (wire, capabilities) {
        return told(yield* errand(wire, capabilities));
      };
    }
    case 'survivors': {
      const suspicion = { deleted: set('deleted'), left: set('left'), whole: settings.has('whole') };
      const errand = survivors(stockOf(list('stock')), gone, suspicion, search);
      return function* (wire, capabilities) {
        const { undead, findings } = yield* errand(wire, capabilities);
        return { undead, ...told(findings) };
      };
    }
    default:
      return null;
  }
}

/** What was there: identifiers, or where the server has none, how many. */
function stockOf(words: readonly string[]): Stock {
  const [count] = words.map(Number);
  const isCount = words.length === 1 && Number.isInteger(count);
  const known = new UidSet();
  for (const uid of words) known.add(uid);
  const messages = isCount ? (count as number) : words.length;
  return { size: { messages, octets: 100 * messages }, known: isCount ? null : known, newest: [], remembered: [] };
}

function told({ arrivals, reports, stale, seen }: Findings): Readonly<Record<string, readonly string[]>> {
  const became = (what: { readonly isRetrieved?: boolean; readonly isDeleted: boolean }): string =>
    [what.isRetrieved === false ? ' not retrieved' : '', what.isDeleted ? ' deleted' : ' left'].join('');
  const list = {
    arrivals: arrivals.map(
      (each) =>
        `${each.uid} ${nameOfRun(each.marker.run)}${became(each)}${each.changes.map((it) => `, ${it}`).join('')}`,
    ),
    reports: reports.map(({ about, action, diagnostic }) => `${nameOfRun(about.marker.run)} ${action}: ${diagnostic}`),
    stale: stale.map((each) => `${each.uid} ${nameOfRun(each.marker.run)}${became(each)}`),
    seen,
  };
  // What is empty goes without saying.
  return Object.fromEntries(Object.entries(list).filter(([, each]) => each.length > 0));
}

const letter = (name: string): Uint8Array => {
  const { marker, seal } = LETTERS[name as Letter];
  return letterWith(marker, seal);
};
const octetsOf = (name: string): number => letter(name).length;

/** A line of a transcript with what its placeholders stand for. */
export const filledIn = (line: string): string =>
  line
    .replace(/\{marker (\w+)\}/g, (_, name: Letter) => signed(LETTERS[name].marker, LETTERS[name].seal))
    .replace(/\{octets (\w+)\}/g, (_, name: Letter) => String(octetsOf(name)));

/** A message, or its header alone, as a server sends it: CRLF, dots stuffed, the last line not yet. */
export function wireForm(what: string, name: string): string {
  const octets =
    what === 'bounce' ? bounceOf(letter(name)) : what === 'delay' ? bounceOf(letter(name), 'delayed') : letter(name);
  const lines = linesOf(octets);
  const sent = what === 'header' ? lines.slice(0, lines.indexOf('') + 1) : lines;
  return text(Buffer.from(sent.map((line) => `${line.replace(/^\./, '..')}\r\n`).join('')));
}

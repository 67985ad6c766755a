import type { Dialogue } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { type MailboxSize, stat, uidl, uidlOne } from '../pop3/mailbox.ts';
import type { Wire } from '../pop3/wire.ts';
import { UidSet } from './uid-set.ts';

/** One message of a session: its number, which holds for that session, and its identifier, which holds for ever. */
export interface Entry {
  readonly message: number;
  /** Null where the server has no UIDL. */
  readonly uid: string | null;
}

/** The identifiers of some messages, those that have one. */
export const uidsOf = (entries: readonly { readonly uid: string | null }[]): readonly string[] =>
  entries.map(({ uid }) => uid).filter((uid): uid is string => uid !== null);

/** What was in the mailbox at a moment: everything that is not in it has come since. */
export interface Stock {
  readonly size: MailboxSize;
  /** Null where the server has no UIDL: then numbers must do. */
  readonly known: UidSet | null;
  /** The latest of them by number, the newest first. */
  readonly newest: readonly Entry[];
  /** Those of the identifiers asked for that were there. */
  readonly remembered: readonly Entry[];
}

/**
 * Takes stock of the mailbox by STAT and one UIDL, and keeps little of it however much that is.
 *
 * @param latest how many of the newest to keep by name
 * @param asked identifiers to look out for
 */
export function* takeStock(wire: Wire, latest: number, asked: ReadonlySet<string>): Dialogue<Stock> {
  const size = yield* stat(wire);
  const known = new UidSet();
  const newest: Entry[] = [];
  const remembered: Entry[] = [];
  let count = 0;
  const has = yield* uidl(wire, (entry) => {
    count++;
    known.add(entry.uid);
    if (latest > 0) newest.push(entry);
    if (newest.length > latest * 2) newest.splice(0, latest);
    if (asked.has(entry.uid)) remembered.push(entry);
  });
  if (!has) {
    const numbers = Array.from({ length: Math.min(latest, size.messages) }, (_, at) => size.messages - at);
    return { size, known: null, newest: numbers.map((message) => ({ message, uid: null })), remembered };
  }
  if (count !== size.messages) {
    const told = `STAT tells of ${size.messages} messages, UIDL of ${count}`;
    yield* wire.remark(new ProbeFailure('protocol-violation', told));
  }
  return { size, known, newest: latest === 0 ? [] : newest.slice(-latest).reverse(), remembered };
}

/** As many as are asked for one by one before a whole listing is the cheaper question. */
const ONE_BY_ONE = 100;

/**
 * What has come since stock was taken, the newest first. New messages stand at the end of nearly every mailbox, so
 * STAT and one UIDL n tell an unchanged one; where that does not add up, one listing does.
 *
 * @param stock what was there
 * @param gone how many of that we have deleted since
 */
export function* newSince(wire: Wire, stock: Stock, gone: number): Dialogue<readonly Entry[]> {
  const { messages } = yield* stat(wire);
  const before = stock.size.messages - gone;
  const { known } = stock;
  if (known === null) {
    const count = Math.max(0, messages - before);
    return Array.from({ length: count }, (_, at) => ({ message: messages - at, uid: null }));
  }
  if (messages === 0) return [];
  const found: Entry[] = [];
  // Some servers have the newest first (Exchange, by a setting): then it is the other end that grows.
  for (const [from, step] of [
    [messages, -1],
    [1, 1],
  ] as const) {
    for (let message = from; message >= 1 && message <= messages && found.length < ONE_BY_ONE; message += step) {
      const entry = yield* uidlOne(wire, message);
      if (entry === null) return yield* listedSince(wire, known);
      if (known.has(entry.uid) || found.some(({ uid }) => uid === entry.uid)) break;
      found.push(entry);
    }
    if (found.length > 0 && found.length >= messages - before) return found;
  }
  return messages === before && found.length === 0 ? [] : yield* listedSince(wire, known);
}

function* listedSince(wire: Wire, known: UidSet): Dialogue<readonly Entry[]> {
  const found: Entry[] = [];
  const has = yield* uidl(wire, (entry) => {
    if (!known.has(entry.uid)) found.push(entry);
  });
  // It had identifiers when stock was taken: that it will not tell them now is no sign that nothing has come.
  if (!has) throw new ProbeFailure('server-permanent', 'UIDL is refused, and was not before');
  return found.reverse();
}

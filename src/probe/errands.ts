import { text } from '../dialogue/bytes.ts';
import type { Dialogue, Phase } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { Capabilities } from '../pop3/capabilities.ts';
import { dele, listOne, retr, top } from '../pop3/mailbox.ts';
import type { Errand } from '../pop3/visit.ts';
import type { Wire } from '../pop3/wire.ts';
import { carries, changesIn, type Hop, hopsIn, parsed } from './message.ts';
import { type Recognised, recognised, type Sender } from './recognise.ts';
import { type DeliveryReport, isReport, reported } from './report.ts';
import { type Entry, newSince, type Stock, takeStock, uidsOf } from './stock.ts';

/** What the full test does in the mailbox: take stock, look for its message, see that it is gone. */

/** What is looked for, and what may be done with what is found. */
export interface Search {
  readonly sender: Sender;
  /** Runs whose messages are what this run waits for. */
  readonly awaited: ReadonlySet<string>;
  /** Runs of this machine that have ended: what is left of them is ours to remove at once. */
  readonly over: ReadonlySet<string>;
  /** Identifiers of messages that were proved to be ours before, and that nobody waits for. */
  readonly ours: ReadonlySet<string>;
  /** Seconds since 1970: what expired before may be removed, whoever sent it. */
  readonly now: number;
  readonly keepStale: boolean;
  /** Octets of the message as it was sent. */
  readonly octets: number;
}

/** A message that was awaited, and has come. */
export interface Arrival extends Recognised {
  readonly uid: string | null;
  readonly changes: readonly string[];
  readonly hops: readonly Hop[];
  readonly isRetrieved: boolean;
  readonly isDeleted: boolean;
}

/** What looking through some messages brought. */
export interface Findings {
  readonly arrivals: readonly Arrival[];
  readonly reports: readonly DeliveryReport[];
  /** Messages of runs that are over, and reports about them. */
  readonly stale: readonly Leftover[];
  /** What need not be looked at again. */
  readonly seen: readonly string[];
}

export interface Leftover extends Recognised {
  readonly uid: string | null;
  readonly isDeleted: boolean;
  /** Null for the message itself. */
  readonly report: DeliveryReport | null;
}

export interface Inventory {
  readonly stock: Stock;
  readonly findings: Findings;
  /** Identifiers that an earlier session deleted, and that are there all the same. */
  readonly undead: readonly string[];
}

/** What earlier runs know of the mailbox. */
export interface Knowledge {
  /** Looked at before, and not ours. */
  readonly seen: ReadonlySet<string>;
  /** Messages of ours that were left, or whose deletion nobody saw. */
  readonly remembered: ReadonlySet<string>;
  readonly deleted: ReadonlySet<string>;
}

/**
 * The first visit: what is there, and among the latest of it what earlier runs left. It costs one listing, and the
 * headers of what has come since the run before.
 *
 * @param latest how many older messages are looked at at the most
 */
export const inventory =
  (search: Search, knowledge: Knowledge, latest: number): Errand<Inventory> =>
  (wire, capabilities) =>
    wire.during('mailbox', takeInventory(wire, capabilities, search, knowledge, latest));

function* takeInventory(
  wire: Wire,
  capabilities: Capabilities,
  search: Search,
  { seen, remembered, deleted }: Knowledge,
  latest: number,
): Dialogue<Inventory> {
  const stock = yield* takeStock(wire, latest, new Set([...remembered, ...deleted]));
  const fresh = stock.newest.filter(({ uid }) => uid === null || !seen.has(uid));
  const old = stock.remembered.filter((entry) => !fresh.some(({ uid }) => uid === entry.uid));
  // Without TOP what is not known to be ours is left alone: RETR is no way to look at other people's mail.
  const suspects = canLook(capabilities) ? [...fresh, ...old] : stock.remembered;
  const findings = yield* examine(wire, suspects, search, canLook(capabilities) ? ['by header'] : ['whole'], 'mailbox');
  const undead = uidsOf(stock.remembered).filter((uid) => deleted.has(uid));
  return { stock, findings, undead };
}

/**
 * A later visit: what has come since stock was taken, if it was not looked at before.
 *
 * @param gone how many messages of the stock were deleted since
 */
export const arrivalsSince =
  (stock: Stock, gone: number, search: Search, seen: ReadonlySet<string>): Errand<Findings> =>
  (wire, capabilities) =>
    wire.during('delivery', lookForArrivals(wire, capabilities, stock, gone, search, seen));

function* lookForArrivals(
  wire: Wire,
  capabilities: Capabilities,
  stock: Stock,
  gone: number,
  search: Search,
  seen: ReadonlySet<string>,
): Dialogue<Findings> {
  const fresh = (yield* newSince(wire, stock, gone)).filter(({ uid }) => uid === null || !seen.has(uid));
  return yield* examine(wire, fresh, search, mannersFor(capabilities), 'delivery');
}

/** RFC 2449 §6.1: TOP is named in CAPA; a server without CAPA is asked. */
const canLook = (capabilities: Capabilities): boolean => capabilities === null || capabilities.has('TOP');

/** How new messages are looked at: those a server lets nobody look at by their header are told by their size. */
const mannersFor = (capabilities: Capabilities): readonly Manner[] =>
  capabilities === null ? ['by header', 'by size'] : [capabilities.has('TOP') ? 'by header' : 'by size'];

/**
 * The last visit: which of the messages we deleted are there all the same, and what came late.
 */
export const survivors =
  (stock: Stock, gone: number, { deleted, left, whole }: Suspicion, search: Search): Errand<Survivors> =>
  (wire, capabilities) =>
    wire.during('verify', lookForSurvivors(wire, capabilities, stock, gone, { deleted, left, whole }, search));

/** What the last visit is to look out for. */
export interface Suspicion {
  /** Identifiers of messages that were deleted. */
  readonly deleted: ReadonlySet<string>;
  /** Identifiers of messages that were looked at before, or left on purpose. */
  readonly left: ReadonlySet<string>;
  /** Whether some of the deleted ones stood anywhere in the mailbox: then everything is listed. */
  readonly whole: boolean;
}

export interface Survivors {
  readonly undead: readonly string[];
  readonly findings: Findings;
}

function* lookForSurvivors(
  wire: Wire,
  capabilities: Capabilities,
  stock: Stock,
  gone: number,
  { deleted, left, whole }: Suspicion,
  search: Search,
): Dialogue<Survivors> {
  const fresh = yield* newSince(wire, stock, gone);
  const found = whole ? (yield* takeStock(wire, 0, deleted)).remembered : [];
  const undead = new Set(uidsOf([...fresh, ...found]).filter((uid) => deleted.has(uid)));
  const others = fresh.filter(({ uid }) => uid === null || !(undead.has(uid) || left.has(uid)));
  const findings = yield* examine(wire, others, search, mannersFor(capabilities), 'verify');
  return { undead: Array.from(undead), findings };
}

/** How a message may be looked at: TOP alone; RETR where its size may be that of ours; RETR, for it is known as ours. */
type Manner = 'by header' | 'by size' | 'whole';

/** A header longer than this is no header. */
const LONGEST_HEADER = 512 * 1024;
/** A delivery report's lines; what it quotes of our message stands well within. */
const REPORT_LINES = 200;
/** What mail systems may add to our message: trace fields, filters' verdicts, a disclaimer. */
const MOST_ADDED = 64 * 1024;
/** What is retrieved of a message at the most: signatures with pictures in them do come, and must not look like a fault. */
const LARGEST_MESSAGE = 16 * 1024 * 1024;

/** Looks at messages one by one, takes what was awaited, and deletes what is ours to delete. */
function* examine(
  wire: Wire,
  entries: readonly Entry[],
  search: Search,
  manners: readonly Manner[],
  phase: Phase,
): Dialogue<Findings> {
  const arrivals: Arrival[] = [];
  const reports: DeliveryReport[] = [];
  const stale: Leftover[] = [];
  const seen: string[] = [];
  for (const entry of entries) {
    let lines: readonly string[] | null = null;
    for (const manner of manners) lines = lines ?? (yield* look(wire, entry, search, manner));
    if (lines === null) continue;
    const { header } = parsed(lines);
    const ours = yield* recognised(header, search.sender, phase);
    if (ours !== null && search.awaited.has(ours.marker.run)) {
      arrivals.push(yield* take(wire, entry, ours));
    } else if (ours !== null && (isOver(ours, search) || (entry.uid !== null && search.ours.has(entry.uid)))) {
      const isDeleted = !search.keepStale && (yield* take(wire, entry, ours)).isDeleted;
      stale.push({ ...ours, uid: entry.uid, isDeleted, report: null });
    } else if (ours === null && isReport(header) && manners[0] === 'by header') {
      const report = yield* readReport(wire, entry, search, phase);
      if (report === null) seen.push(...uidsOf([entry]));
      else if (search.awaited.has(report.about.marker.run)) {
        reports.push(report);
        yield* remove(wire, entry);
      } else if (isOver(report.about, search)) {
        const isDeleted = !search.keepStale && (yield* remove(wire, entry));
        stale.push({ ...report.about, uid: entry.uid, isDeleted, report });
      }
    } else if (ours === null) seen.push(...uidsOf([entry]));
  }
  return { arrivals, reports, stale, seen };
}

/** Whether nobody waits for a message any more: its run is over, or its time is. */
const isOver = ({ marker }: Recognised, { over, now }: Search): boolean =>
  over.has(marker.run) || marker.expiresAt < now;

/** The lines of a message that tell whose it is; null where it is none of our business, or not there any more. */
function* look(wire: Wire, { message }: Entry, search: Search, manner: Manner): Dialogue<readonly string[] | null> {
  if (manner === 'by header') return texts(yield* top(wire, message, 0, LONGEST_HEADER));
  const listed = manner === 'by size' ? yield* listOne(wire, message) : null;
  if (manner === 'by size' && !(listed !== null && couldBe(listed.octets, search.octets))) return null;
  return texts(yield* retr(wire, message, LARGEST_MESSAGE));
}

/** Servers estimate: some count an LF for each CRLF (RFC 1939 §11). */
const couldBe = (octets: number, sent: number): boolean => octets > sent * 0.9 && octets < sent + MOST_ADDED;

/** A message of ours: retrieved, compared with what was sent, deleted. */
function* take(wire: Wire, entry: Entry, ours: Recognised): Dialogue<Arrival> {
  const lines = texts(yield* wire.during('retrieve', retr(wire, entry.message, LARGEST_MESSAGE)));
  if (lines === null) {
    // Another client was quicker: then it is not ours to delete.
    return { ...ours, uid: entry.uid, changes: [], hops: [], isRetrieved: false, isDeleted: false };
  }
  const { header, body } = parsed(lines);
  const { uid } = entry;
  const told = {
    ...ours,
    uid,
    changes: changesIn(header, body, ours.spelt),
    hops: hopsIn(header, ours.marker.sentAt),
    isRetrieved: true,
  };
  // The header proves who wrote it; only the body proves that this is what was written.
  if (carries(header, body, ours.spelt)) return { ...told, isDeleted: yield* remove(wire, entry) };
  const left = 'a message with our marker in its header has another body, and is left in the mailbox';
  yield* wire.remark(new ProbeFailure('not-deleted', left, { phase: 'delete' }));
  return { ...told, isDeleted: false };
}

function* readReport(wire: Wire, { message }: Entry, search: Search, phase: Phase): Dialogue<DeliveryReport | null> {
  const lines = texts(yield* top(wire, message, REPORT_LINES, LARGEST_MESSAGE));
  return lines === null ? null : yield* reported(lines, search.sender, phase);
}

/** DELE, unless the server broke the protocol before: then nobody knows which message a number stands for. */
function* remove(wire: Wire, { message }: Entry): Dialogue<boolean> {
  if (wire.isInDoubt) {
    const why = 'nothing is deleted where the server breaks the protocol';
    yield* wire.remark(new ProbeFailure('not-deleted', why, { phase: 'delete' }));
    return false;
  }
  const reply = yield* wire.during('delete', dele(wire, message));
  // Not even QUIT, which would make it final.
  if (wire.isInDoubt) {
    const why = 'the answer to DELE breaks the protocol: nothing is deleted';
    throw new ProbeFailure('protocol-violation', why, { said: reply.said, phase: 'delete' });
  }
  if (!reply.ok) yield* wire.remark(new ProbeFailure('not-deleted', '', { said: reply.said, phase: 'delete' }));
  return reply.ok;
}

const texts = (lines: readonly Uint8Array[] | null): readonly string[] | null => lines?.map(text) ?? null;

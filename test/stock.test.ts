import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../src/dialogue/bytes.ts';
import type { Dialogue } from '../src/dialogue/dialogue.ts';
import { Wire } from '../src/pop3/wire.ts';
import { newSince, type Stock, takeStock } from '../src/probe/stock.ts';

/** A mailbox by its identifiers, in the order of its numbers. */
type Mailbox = readonly string[];

interface Asked<T> {
  readonly value: T;
  readonly commands: readonly string[];
  readonly faults: number;
}

/** Lets a dialogue ask a server that has that mailbox and does all that it is asked correctly. */
function asked<T>(dialogue: Dialogue<T>, mailbox: Mailbox, { uidl = true } = {}): Asked<T> {
  const commands: string[] = [];
  let faults = 0;
  let answer = '';
  const answerTo = (command: string): string => {
    const [verb, number] = command.split(' ');
    if (verb === 'STAT') return `+OK ${mailbox.length} ${mailbox.length * 100}\r\n`;
    if (verb !== 'UIDL' || !uidl) return '-ERR\r\n';
    if (number === undefined) return `+OK\r\n${mailbox.map((uid, at) => `${at + 1} ${uid}\r\n`).join('')}.\r\n`;
    const uid = mailbox[Number(number) - 1];
    return uid === undefined ? '-ERR\r\n' : `+OK ${number} ${uid}\r\n`;
  };
  for (let step = dialogue.next(); ; step = dialogue.next()) {
    if (step.done) return { value: step.value, commands, faults };
    const want = step.value;
    if (want.want === 'write') {
      commands.push(want.shown);
      answer = answerTo(want.shown);
    } else if (want.want === 'read') want.slot.put(utf8(answer));
    else if (want.want === 'note') faults += want.note.learnt === 'fault' ? 1 : 0;
    else throw new Error(`a ${want.want} is not for a mailbox`);
  }
}

const NOBODY: ReadonlySet<string> = new Set();
const stockOf = (mailbox: Mailbox, latest = 50, looked: ReadonlySet<string> = NOBODY, server = {}): Asked<Stock> =>
  asked(takeStock(new Wire(), latest, looked), mailbox, server);
const since = (stock: Stock, mailbox: Mailbox, gone = 0, server = {}) =>
  asked(newSince(new Wire(), stock, gone), mailbox, server);

const named = (count: number, from = 1): string[] => Array.from({ length: count }, (_, at) => `u${from + at}`);

describe('taking stock', () => {
  test('asks twice, however much there is', () => {
    for (const count of [0, 1, 1000]) expect(stockOf(named(count)).commands).toEqual(['STAT', 'UIDL']);
  });

  test('keeps the latest by name, the newest first, whatever there is', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.nat(20), (count, latest) => {
        const { value } = stockOf(named(count), latest);
        const expected = named(count).map((uid, at) => ({ message: at + 1, uid }));
        expect(value.newest).toEqual(expected.reverse().slice(0, latest));
        expect(value.size.messages).toBe(count);
        expect(named(count).every((uid) => value.known?.has(uid))).toBe(true);
        expect(value.known?.size).toBe(count);
      }),
    );
  });

  test('finds what it was asked to look out for, wherever it stands', () => {
    const { value } = stockOf(named(500), 10, new Set(['u1', 'u250', 'u500', 'u501']));
    expect(value.remembered).toEqual([
      { message: 1, uid: 'u1' },
      { message: 250, uid: 'u250' },
      { message: 500, uid: 'u500' },
    ]);
  });

  test('keeps no more names of 50,000 messages than of a hundred', () => {
    const { value } = stockOf(named(50_000), 50);
    expect(value.newest).toHaveLength(50);
    expect(value.newest[0]).toEqual({ message: 50_000, uid: 'u50000' });
    expect(stockOf(named(50_000), 0).value.newest).toEqual([]);
  });

  test('numbers the latest where the server has no identifiers', () => {
    const { value } = stockOf(named(3), 2, NOBODY, { uidl: false });
    expect(value.known).toBeNull();
    expect(value.newest).toEqual([
      { message: 3, uid: null },
      { message: 2, uid: null },
    ]);
    expect(stockOf([], 2, NOBODY, { uidl: false }).value.newest).toEqual([]);
  });

  test('has nothing against messages that share an identifier (RFC 1939 §7)', () => {
    const { value, faults } = stockOf(['a', 'a', 'b']);
    expect([value.known?.size, faults]).toEqual([2, 0]);
  });
});

describe('what has come since', () => {
  const uid = fc.constantFrom(...named(12));
  const mailboxes = fc
    .uniqueArray(uid, { maxLength: 12 })
    .chain((before) => fc.tuple(fc.constant(before), fc.subarray(before), fc.uniqueArray(uid, { maxLength: 6 })));
  const fresh = (before: Mailbox, came: Mailbox): string[] => came.filter((each) => !before.includes(each));

  test('is what a whole listing would tell, where new messages come last and others may be deleted', () => {
    fc.assert(
      fc.property(mailboxes, ([before, kept, came]) => {
        const now = [...kept, ...fresh(before, came)];
        const found = since(stockOf(before).value, now, before.length - kept.length).value;
        const expected = now
          .map((each, at) => ({ message: at + 1, uid: each }))
          .filter((entry) => !before.includes(entry.uid));
        expect(found).toEqual(expected.reverse());
      }),
      { numRuns: 2000 },
    );
  });

  test('is the same where the newest come first, and where somebody else deletes as well', () => {
    fc.assert(
      fc.property(mailboxes, fc.boolean(), ([before, kept, came], isReverse) => {
        const now = [...kept, ...fresh(before, came)];
        if (isReverse) now.reverse();
        const found = since(stockOf(isReverse ? [...before].reverse() : before).value, now).value;
        expect(new Set(found.map((entry) => entry.uid))).toEqual(new Set(fresh(before, came)));
        for (const entry of found) expect(now[entry.message - 1]).toBe(entry.uid);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['nothing, in any number of messages', 50_000, 0, 3],
    ['one message', 50_000, 1, 3],
    ['five messages', 50_000, 5, 7],
    ['one message in an empty mailbox', 0, 1, 2],
  ])('costs no listing: %s', (_, before, came, most) => {
    const { value, commands } = since(stockOf(named(before)).value, named(before + came));
    expect(value).toHaveLength(came);
    expect(commands.length).toBeLessThanOrEqual(most);
    expect(commands).not.toContain('UIDL');
  });

  test('is listed at once where more has come than is worth asking for one by one', () => {
    const { value, commands } = since(stockOf(named(10)).value, named(400));
    expect(value).toHaveLength(390);
    expect(commands.filter((command) => command === 'UIDL')).toHaveLength(1);
    expect(commands.length).toBeLessThan(110);
  });

  test('is what stands after the old numbers where there are no identifiers', () => {
    const without = { uidl: false };
    const { value: stock } = stockOf(named(3), 50, NOBODY, without);
    expect(since(stock, named(5), 0, without).value).toEqual([
      { message: 5, uid: null },
      { message: 4, uid: null },
    ]);
    expect(since(stock, named(3), 1, without).value).toEqual([{ message: 3, uid: null }]);
    expect(since(stock, named(2), 0, without).value).toEqual([]);
  });

  test('is not asked for by more than STAT of a mailbox that is empty', () => {
    expect(since(stockOf(named(3)).value, []).commands).toEqual(['STAT']);
  });
});

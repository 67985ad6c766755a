import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Marker, runName, type Seal, verified } from '../src/probe/marker.ts';
import { computed, KEY, markerOf, NOW, PROBE, SEAL, signed } from './support/letters.ts';

const RUN = '0123456789abcdef';
const ours = (foreign: string, seal: Seal = SEAL): Marker | null => computed(verified(foreign, seal, 'delivery')).value;

describe('a marker', () => {
  test('is read back as it was written', () => {
    expect(ours(signed(markerOf(RUN)))).toEqual(markerOf(RUN));
  });

  test('is one word that no mail system has a reason to rewrite', () => {
    expect(signed(markerOf(RUN))).toMatch(/^[0-9a-z-]{63}$/);
  });

  test('counts for the mailbox it is for, however that is capitalised', () => {
    expect(ours(signed(markerOf(RUN)), { key: KEY, recipient: 'Probe@Example.COM' })).toEqual(markerOf(RUN));
  });

  test('that has expired is ours all the same: when it may be removed is for others to say', () => {
    const expired = markerOf(RUN, NOW - 90_000, NOW - 86_400);
    expect(ours(signed(expired))).toEqual(expired);
  });

  const spelt = signed(markerOf(RUN));
  const cut = (at: number, what: string): string => spelt.slice(0, at) + what + spelt.slice(at + what.length);
  test.each([
    ['of another key', signed(markerOf(RUN), { key: KEY.map((octet) => octet ^ 1), recipient: PROBE })],
    ['for another mailbox', signed(markerOf(RUN), { key: KEY, recipient: 'alice@example.com' })],
    ['for a mailbox of the same name elsewhere', signed(markerOf(RUN), { key: KEY, recipient: 'probe@example.net' })],
    ['with another run', `f${spelt.slice(1)}`],
    ['with another time', cut(17, 'zzzzzz')],
    ['that lives longer than it was signed for', cut(24, 'zzzzzz')],
    ['with a nought before its time, which means the same number', spelt.replace(/^(.{16}-)/, '$10')],
    ['in capitals', spelt.toUpperCase()],
    ['without its last digit', spelt.slice(0, -1)],
    ['with a digit more', `${spelt}0`],
    ['with a line end', `${spelt}\n`],
    ['with a blank before it', ` ${spelt}`],
    ['twice', `${spelt}${spelt}`],
    ['without its signature', spelt.slice(0, -33)],
    ['with an empty signature', spelt.slice(0, -32)],
    ['nothing at all', ''],
  ])('%s is none of ours', (_, foreign) => {
    expect(ours(foreign)).toBeNull();
  });

  test('with any one digit altered is none of ours', () => {
    for (let at = 0; at < spelt.length; at++) {
      for (const digit of ['0', '1', 'a', '-']) {
        if (spelt[at] !== digit) expect(ours(cut(at, digit)), `digit ${at}`).toBeNull();
      }
    }
  });

  test('means what it says, and nothing else is signed by the same words', () => {
    const run = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(runName);
    const time = fc.integer({ min: 1_600_000_000, max: 4_000_000_000 });
    fc.assert(
      fc.property(run, time, time, run, time, (name, sentAt, expiresAt, otherName, otherTime) => {
        const marker = { run: name, sentAt, expiresAt };
        expect(ours(signed(marker))).toEqual(marker);
        const signature = signed(marker).slice(-32);
        const others = [
          { ...marker, run: otherName },
          { ...marker, sentAt: otherTime },
          { ...marker, expiresAt: otherTime },
          { ...marker, sentAt: expiresAt, expiresAt: sentAt },
        ].filter((other) => JSON.stringify(other) !== JSON.stringify(marker));
        for (const other of others) expect(ours(signed(other).slice(0, -32) + signature)).toBeNull();
      }),
    );
  });

  test('of the run is its octets, noughts and all', () => {
    expect(runName(Uint8Array.of(0, 1, 15, 16, 127, 128, 254, 255))).toBe('00010f107f80feff');
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPing } from '../../src/directory/netlogon.ts';

/** What a domain controller of Samba 4 answered; the last name is a pointer to the one before. */
const SAMBA = Buffer.from(
  'FwAAAL0RAAAEuD9HIxIUSIWtA72/2Ui/B2V4YW1wbGUEdGVzdADAGARkYzAxwBgHRVhBTVBMRQAEREMwMQAABlNpdGUtQQDAPwUAAAD/////',
  'base64',
);

const label = (text: string): Buffer => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
const name = (...labels: readonly string[]): Buffer => Buffer.concat([...labels.map(label), Buffer.from([0])]);
const pointer = (to: number): Buffer => Buffer.from([0xc0 | (to >> 8), to & 0xff]);
/** Opcode, reserved, flags and a GUID stand before the names. */
const answer = (names: readonly Buffer[], opcode = 0x17): Buffer =>
  Buffer.concat([Buffer.from([opcode, 0, 0, 0]), Buffer.alloc(20), ...names]);

/** Forest, domain, host, both short names, user. */
const SIX = [name('example', 'com'), pointer(24), name('dc01'), name('EXAMPLE'), name('DC01'), name()];
const sites = (controller: Buffer, client: Buffer): Buffer => answer([...SIX, controller, client]);

describe('the answer to an LDAP ping', () => {
  test('of a real domain controller names both sites', () => {
    expect(readPing(SAMBA)).toEqual({ controllerSite: 'Site-A', clientSite: 'Site-A' });
  });

  test.each<[string, Buffer, string, string]>([
    ['of a client at another site', sites(name('Site-A'), name('Site-B')), 'Site-A', 'Site-B'],
    ['of a client in no subnet', sites(name('Site-A'), name()), 'Site-A', ''],
    ['about a user it does not know', answer([...SIX, name('A'), name('B')], 0x19), 'A', 'B'],
    ['with a site in another script', sites(name('Zürich'), name('東京')), 'Zürich', '東京'],
    // Where the end of one name is written before: `b.example.com`, as RFC 1035 has it.
    [
      'with a name whose end is a pointer',
      sites(name('Site-A'), Buffer.concat([label('b'), pointer(24)])),
      'Site-A',
      'b.example.com',
    ],
    ['with a pointer to a pointer', sites(name('Site-A'), pointer(37)), 'Site-A', 'example.com'],
    [
      'and what comes after the sites does not matter',
      Buffer.concat([sites(name('A'), name('B')), Buffer.from('05000000ffffffff', 'hex')]),
      'A',
      'B',
    ],
  ])('%s', (_, octets, controllerSite, clientSite) => {
    expect(readPing(octets)).toEqual({ controllerSite, clientSite });
  });

  test.each<[string, Buffer]>([
    ['empty', Buffer.alloc(0)],
    ['that of an older kind, which names no sites', answer([...SIX, name('A'), name('B')], 0x13)],
    ['with an opcode of two octets', Buffer.concat([Buffer.from([0x17, 1]), SAMBA.subarray(2)])],
    ['without its names', answer([])],
    ['with a pointer to itself', sites(name('A'), pointer(24 + Buffer.concat([...SIX, name('A')]).length))],
    ['with two pointers to each other', answer([pointer(26), pointer(24), ...SIX.slice(2), name('A'), name('B')])],
    ['with a label that leads to its own beginning', answer([Buffer.concat([label('a'), pointer(24)]), ...SIX])],
    ['with a pointer past its end', sites(name('A'), pointer(0x3fff))],
    ['with half a pointer', Buffer.concat([sites(name('A'), Buffer.alloc(0)), Buffer.from([0xc0])])],
    ['with a label longer than the rest', sites(name('A'), Buffer.from([63, 0x61]))],
    ['with a length of a kind RFC 1035 reserves', sites(name('A'), Buffer.from([0x41, ...Buffer.alloc(70, 0x61), 0]))],
  ])('%s, says nothing', (_, octets) => {
    expect(readPing(octets)).toBe(null);
  });

  test('that is cut says nothing until the last name is whole', () => {
    const whole = SAMBA.length - 8;
    for (let length = 0; length < SAMBA.length; length++) {
      const read = readPing(SAMBA.subarray(0, length));
      expect(read, `${length} octets`).toEqual(
        length < whole ? null : { controllerSite: 'Site-A', clientSite: 'Site-A' },
      );
    }
  });

  test('may be any octets: it is read or it is not, and that at once', () => {
    const random = fc.uint8Array({ maxLength: 600 });
    // Mostly what tempts a reader: pointers, small lengths, zeros.
    const tempting = fc.array(fc.constantFrom(0xc0, 0xc0, 24, 25, 26, 0, 1, 2, 0x3f, 0xff), { maxLength: 600 });
    const began = performance.now();
    fc.assert(
      fc.property(fc.oneof(random, tempting), (some) => {
        const read = readPing(answer([Buffer.from(some)]));
        if (read !== null) expect(typeof read.clientSite).toBe('string');
        readPing(Uint8Array.from(some));
      }),
      { numRuns: 2000 },
    );
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test('is given up at once where every label leads back to the first', () => {
    const many = answer(Array.from({ length: 8192 }, () => Buffer.concat([label('a'), pointer(24)])));
    const began = performance.now();
    expect(readPing(many)).toBe(null);
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

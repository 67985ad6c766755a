import { BlockList, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Subnet, siteOf } from '../../src/directory/subnets.ts';

const subnets = (...names: readonly string[]): readonly Subnet[] => names.map((name) => ({ name, site: name }));

const KNOWN = subnets(
  ...['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.128/25', '10.1.2.200/32', '192.0.2.64/26'],
  ...['2001:db8::/32', '2001:db8:1::/48', '2001:db8:1:2::/64', '2001:db8:1:2::25/128', 'fe80::/10'],
);

describe('an address is at the site of the smallest subnet it is in', () => {
  test.each<[string, string | null]>([
    ['10.9.9.9', '10.0.0.0/8'],
    ['10.0.0.0', '10.0.0.0/8'],
    ['10.255.255.255', '10.0.0.0/8'],
    ['11.0.0.0', null],
    ['10.1.9.9', '10.1.0.0/16'],
    ['10.1.2.127', '10.1.2.0/24'],
    ['10.1.2.128', '10.1.2.128/25'],
    ['10.1.2.200', '10.1.2.200/32'],
    ['192.0.2.63', null],
    ['192.0.2.64', '192.0.2.64/26'],
    ['192.0.2.127', '192.0.2.64/26'],
    ['192.0.2.128', null],
    ['2001:db8:ffff::1', '2001:db8::/32'],
    ['2001:db8:1::1', '2001:db8:1::/48'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::25', '2001:db8:1:2::25/128'],
    ['2001:db8:1:2:0:0:0:25', '2001:db8:1:2::25/128'],
    ['2001:db8:1:2::0.0.0.37', '2001:db8:1:2::25/128'],
    ['2001:db9::', null],
    ['febf::1', 'fe80::/10'],
    ['fec0::1', null],
    ['::1', null],
  ])('%s: %s', (address, site) => {
    expect(siteOf(address, KNOWN)).toBe(site);
    expect(siteOf(address, [...KNOWN].reverse())).toBe(site);
  });

  test.each<[string, string, string, boolean]>([
    ['all of IPv4', '0.0.0.0/0', '192.0.2.1', true],
    ['all of IPv4, and IPv6 is not', '0.0.0.0/0', '2001:db8::1', false],
    ['all of IPv6', '::/0', '2001:db8::1', true],
    ['all of IPv6, and IPv4 is not', '::/0', '192.0.2.1', false],
    ['a network whose address has bits of a host', '10.1.2.3/16', '10.1.200.200', true],
    ['a network of IPv6 that has them too', '2001:db8:1::25/48', '2001:db8:1:ffff::', true],
    ['IPv4 inside IPv6', '::ffff:192.0.2.0/120', '::ffff:192.0.2.1', true],
  ])('%s', (_, name, address, isIn) => {
    expect(siteOf(address, subnets(name))).toBe(isIn ? name : null);
  });
});

describe('what is no subnet is nobody’s site:', () => {
  test.each([
    ...['', '/', '/8', '10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0/8', '10/8'],
    ...['10.0.0.0.0/8', '10.0.0.256/8', '10.0.0.0/eight', '010.0.0.0x/8', ' 10.0.0.0/8', '10.0.0.0/8 ', '10.0.0.0/0x8'],
    ...['::/129', ':::/8', '::1::/8', '1:2:3:4:5:6:7/16', '1:2:3:4:5:6:7:8:9/16', '1:2:3:4:5:6:7:8::/16', 'g::/16'],
    ...['12345::/16', '::10.0.0.256/120', '::10.0.0/120', 'Site-A', '10.0.0.0\\0ACNF:4ca5fda1/8'],
  ])('%j', (name) => {
    const some = ['10.0.0.1', '10.0.0.0', '::1', '::', '1:2:3:4:5:6:7:8', '1234::', '::10.0.0.1'];
    for (const address of some) expect(siteOf(address, subnets(name)), address).toBe(null);
  });

  test.each([
    '',
    'mail.example.com',
    '10.0.0',
    '10.0.0.1.',
    '10.0.0.1/8',
    'fe80::1%eth0',
    '::1::',
    '1:2',
    ':',
    '[::1]',
  ])('nor has what is no address a site: %j', (address) => {
    expect(siteOf(address, subnets('0.0.0.0/0', '::/0'))).toBe(null);
  });
});

describe('addresses and subnets of any kind', () => {
  const v4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }));
  const v6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }));

  test('are held against each other as Node itself does it, and the longest prefix wins', () => {
    // Near each other: else no address would ever be in a subnet.
    const near = fc.array(
      fc.constantFrom(
        '10.1.2.3',
        '10.1.2.4',
        '10.1.130.4',
        '10.129.2.3',
        '2001:db8::1',
        '2001:db8:8000::1',
        '2001:db8::8000:1',
      ),
    );
    const networks = fc.array(
      fc.oneof(
        v4,
        v6,
        near.chain((all) =>
          fc.tuple(fc.constantFrom('10.1.2.3', '2001:db8::1', ...all), fc.integer({ min: 0, max: 32 })),
        ),
      ),
      { maxLength: 12 },
    );
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('10.1.2.3', '10.1.2.4', '10.1.130.4', '2001:db8::1', '2001:db8::8000:1'),
    );
    fc.assert(
      fc.property(networks, address, (all, own) => {
        const family = isIPv6(own) ? 'ipv6' : 'ipv4';
        const holds = ([network, length]: readonly [string, number]): boolean => {
          if (isIPv6(network) !== isIPv6(own)) return false;
          const list = new BlockList();
          // Its smallest prefix is one; everything is in the empty one.
          if (length === 0) return true;
          list.addSubnet(network, length, family);
          return list.check(own, family);
        };
        const lengths = all.filter(holds).map(([, length]) => length);
        const known = all.map(([network, length]) => ({ name: `${network}/${length}`, site: String(length) }));
        expect(siteOf(own, known)).toBe(lengths.length === 0 ? null : String(Math.max(...lengths)));
      }),
      { numRuns: 1000 },
    );
  });

  test('never throw, whatever text they are', () => {
    const text = fc.string({ unit: fc.constantFrom('1', '2', 'f', ':', '.', '/', '%', ' ', 'g'), maxLength: 24 });
    fc.assert(
      fc.property(text, text, (address, name) => {
        expect([null, name]).toContain(siteOf(address, subnets(name)));
      }),
      { numRuns: 2000 },
    );
  });
});

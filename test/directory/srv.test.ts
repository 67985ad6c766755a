import { afterEach, describe, expect, test, vi } from 'vitest';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { controllersOf } from '../../src/directory/controllers.ts';
import { builtin } from '../../src/runtimes/node/builtin.ts';
import { servicesOf } from '../../src/runtimes/node/srv.ts';

interface Record {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

const asked: string[] = [];

/** A resolver that has these records, whatever it is asked for, or fails with a code. */
function answering(answer: readonly Record[] | string): void {
  class Resolver {
    async resolveSrv(name: string): Promise<readonly Record[]> {
      asked.push(name);
      if (typeof answer === 'string') throw Object.assign(new Error(`querySrv ${answer} ${name}`), { code: answer });
      return answer;
    }
  }
  vi.spyOn(builtin, 'dns').mockReturnValue({ promises: { Resolver } } as unknown as typeof import('node:dns'));
}

afterEach(() => {
  vi.restoreAllMocks();
  asked.length = 0;
});

const record = (name: string, priority: number, weight: number, port = 995): Record => ({
  name,
  port,
  priority,
  weight,
});

describe('the places of a service', () => {
  test.each<[string, readonly Record[], readonly string[]]>([
    ['none', [], []],
    ['by priority, the lowest first', [record('b', 20, 100), record('a', 10, 1)], ['a', 'b']],
    [
      'by weight within one priority, the heaviest first',
      [record('c', 10, 0), record('a', 10, 60), record('b', 10, 40)],
      ['a', 'b', 'c'],
    ],
    ['as they come where they are equal', [record('b', 0, 0), record('a', 0, 0)], ['b', 'a']],
    ['none where the target is the root: the service is decidedly not there', [record('', 0, 0, 0)], []],
    ['none where the resolver writes the root as a dot', [record('.', 0, 0, 0)], []],
  ])('%s', async (_, records, hosts) => {
    answering(records);
    expect((await servicesOf('_pop3s._tcp.example.com')).map(({ host }) => host)).toEqual(hosts);
    expect(asked).toEqual(['_pop3s._tcp.example.com']);
  });

  test('are at the ports that DNS says', async () => {
    answering([record('a', 0, 0, 1995)]);
    expect(await servicesOf('_pop3s._tcp.example.com')).toEqual([{ host: 'a', port: 1995 }]);
  });

  test.each([
    ['ENOTFOUND', 'there is no such name'],
    ['ENODATA', 'there is no SRV record'],
    ['ETIMEOUT', 'no name server answers'],
    ['ECONNREFUSED', 'no name server answers'],
    ['ESERVFAIL', 'the name server failed'],
    ['EREFUSED', 'the resolver said EREFUSED'],
  ])('are not known after %s', async (code, why) => {
    answering(code);
    await expect(servicesOf('_pop3s._tcp.example.com')).rejects.toMatchObject({ message: why, code });
  });
});

describe('the domain controllers of a domain', () => {
  test('are looked for in all of it, or at a site', async () => {
    answering([record('dc02.example.com', 0, 100, 389), record('dc01.example.com', 0, 200, 389)]);
    expect(await controllersOf('example.com', null)).toEqual(['dc01.example.com', 'dc02.example.com']);
    await controllersOf('example.com', 'Site-A');
    expect(asked).toEqual(['_ldap._tcp.dc._msdcs.example.com', '_ldap._tcp.Site-A._sites.dc._msdcs.example.com']);
  });

  test.each<[readonly Record[] | string, string]>([
    ['ENOTFOUND', 'there is no such name'],
    ['ESERVFAIL', 'the name server failed'],
    [[], 'there is none'],
  ])('that are not in DNS leave the directory unreachable (%j)', async (answer, why) => {
    answering(answer);
    const failure = await controllersOf('example.com', null).catch((problem) => problem);
    expect(failure).toBeInstanceOf(ProbeFailure);
    expect([failure.reason, failure.phase, failure.message]).toEqual([
      'directory-unreachable',
      'directory',
      `no domain controller of example.com: _ldap._tcp.dc._msdcs.example.com in DNS: ${why}`,
    ]);
  });
});

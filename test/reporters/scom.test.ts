import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProbeResult } from '../../src/probe/result.ts';
import { propertyOf, scomBag, scomJson, scomServers, scomWord } from '../../src/reporters/scom.ts';
import { gather, judge, refuse, remark, testsIn, type Verdict } from '../../src/verdict/judge.ts';
import { METRIC_NAMES } from '../../src/verdict/metric.ts';
import { REASONS } from '../../src/verdict/severity.ts';
import {
  failed,
  GOOD,
  HOSTILE,
  hostile,
  made,
  PIPED,
  policy,
  REFUSED,
  SWEEP,
  seconds,
  skipped,
} from '../support/people.ts';
import { readXml } from '../support/xml-tree.ts';

const NOW = new Date('2026-01-16T12:00:05.123Z');
const REFUSAL = refuse({ phase: null, reason: 'usage', message: 'there is no option --bogus', hint: 'see --help' });
const SAID = hostile('two\r\nlines & <b> "x" \u0000\ufffe\uffff\ud800 📧');

type Bag = Readonly<Record<string, string | number | boolean>>;
type Typed = Readonly<Record<string, { readonly type: string; readonly value: string | number | boolean }>>;

/** What a PowerShell script gets. */
function readJson(verdict: Verdict): readonly Typed[] {
  const { bags } = JSON.parse(scomJson(verdict, PIPED).stdout);
  return bags.map(({ properties }: { properties: readonly { name: string; type: string; value: string }[] }) => {
    expect(new Set(properties.map(({ name }) => name)).size).toBe(properties.length);
    return Object.fromEntries(properties.map(({ name, type, value }) => [name, { type, value }]));
  });
}

const valuesOf = (bag: Typed): Bag => Object.fromEntries(Object.entries(bag).map(([name, { value }]) => [name, value]));
const json = (verdict: Verdict): readonly Bag[] => readJson(verdict).map(valuesOf);

/** The types of values, by the numbers that are documented for them, and how a value of each is written. */
const DOCUMENTED: Readonly<Record<string, readonly [name: string, read: (text: string) => string | number | boolean]>> =
  {
    3: ['Integer', (text) => (/^-?\d+$/.test(text) ? Number(text) : Number.NaN)],
    5: ['Double', (text) => (/^-?\d+\.\d+$/.test(text) ? Number(text) : Number.NaN)],
    8: ['String', (text) => text],
    11: ['Boolean', (text) => (/^(true|false)$/.test(text) ? text === 'true' : Number.NaN)],
  };

/** What SCOM gets, read by a strict parser of XML. */
function readBags(verdict: Verdict): readonly Typed[] {
  const { stdout, exitCode } = scomBag(verdict, NOW);
  expect(exitCode).toBe(testsIn(verdict).length === 0 ? 3 : 0);
  const collection = readXml(stdout);
  expect([collection.name, collection.attributes]).toEqual(['Collection', {}]);
  return collection.children.map((item) => {
    expect(item.name).toBe('DataItem');
    expect(item.attributes).toEqual({
      type: 'System.PropertyBagData',
      time: '2026-01-16T12:00:05.1230000+00:00',
      sourceHealthServiceId: '00000000-0000-0000-0000-000000000000',
    });
    return Object.fromEntries(
      item.children.map(({ name, attributes, text }) => {
        expect(name).toBe('Property');
        const [type = '', read = String] = DOCUMENTED[attributes.VariantType ?? ''] ?? [];
        return [attributes.Name, { type, value: read(text) }];
      }),
    );
  });
}

describe('whole', () => {
  test.each<[string, Verdict, number?]>([
    ['ok', judge(GOOD, policy())],
    ['failure', judge(failed(REFUSED), policy())],
    ['skipped', judge(skipped('ex03.contoso.com'), policy())],
    ['sweep', SWEEP],
    ['hostile', SAID],
    ['refusal', REFUSAL, 3],
  ])('%s', (name, verdict, exitCode = 0) => {
    const golden = (ending: string): string =>
      readFileSync(new URL(`../golden/scom/${name}.${ending}`, import.meta.url), 'utf8');
    expect(scomJson(verdict, PIPED)).toEqual({ stdout: golden('json'), exitCode });
    expect(scomBag(verdict, NOW)).toEqual({ stdout: golden('xml'), exitCode });
    expect(scomWord(verdict, { ...PIPED, verbosity: 1 }).stdout).toBe(golden('txt'));
  });
});

describe('a bag', () => {
  test.each<[string, Verdict]>([
    ['of a good test', judge(GOOD, policy())],
    ['of a failed one', judge(failed(REFUSED), policy())],
    ['of a sweep', SWEEP],
    ['of hostile words', SAID],
    ['of a refusal', REFUSAL],
  ])('%s has the same as the JSON, value for value and type for type', (_, verdict) => {
    expect(readBags(verdict)).toEqual(readJson(verdict));
  });

  test('gives back what the result has', () => {
    const [bag = {}] = readBags(judge(GOOD, policy())).map(valuesOf);
    const { phases, mailbox, roundTrip, tls } = GOOD;
    expect(bag).toMatchObject({
      ...{ State: 'OK', Server: GOOD.casServer, Result: GOOD.result, UserName: GOOD.userName, Port: GOOD.port },
      ...{ Address: GOOD.address, ConnectionType: GOOD.connectionType, StartTime: GOOD.startTime },
      ...{ TlsProtocol: tls?.protocol, Messages: mailbox?.messages, Octets: mailbox?.octets },
      ...{ LatencyMs: GOOD.latencyMs, DeliveryMs: roundTrip?.deliveryMs, Polls: roundTrip?.polls, Stale: 0 },
      ...{ Retrieved: true, Deleted: true, Verified: true, Phase: 'none', Reason: 'none' },
      ...{ EventId: 1000, EventLevel: 4, CounterInstance: 'ex01.contoso.com|Berlin' },
    });
    for (const { name, ms } of phases) expect(bag[propertyOf(name)]).toBe(ms);
    expect(bag.Text).toMatch(/^POP3 OK - ex01\.contoso\.com: round trip 2\.31 s/);
  });

  test('tells phase, reason, message and hint of a failure', () => {
    const [bag = {}] = json(judge(failed(REFUSED), policy()));
    expect(bag).toMatchObject({
      ...{ State: 'CRITICAL', Result: 'Failure', Phase: 'login', Reason: 'login-refused', Message: REFUSED.message },
      ...{ Hint: REFUSED.hint, EventId: 1001, EventLevel: 1 },
    });
    expect(bag.EventMessage).toBe(`ex01.contoso.com: login-refused, ${REFUSED.message} - ${REFUSED.hint}`);
  });

  test('tells of a warning where nothing failed', () => {
    const [, bag = {}] = json(SWEEP);
    expect(bag).toMatchObject({
      State: 'WARNING',
      Result: 'Success',
      Reason: 'altered',
      Phase: 'retrieve',
      EventId: 1002,
    });
  });

  test('tells of a value beyond its range, which has no reason', () => {
    const [bag = {}] = json(judge(GOOD, policy({ critical: seconds('2') })));
    expect(bag).toMatchObject({ State: 'CRITICAL', Reason: 'none', Result: 'Success', EventId: 1002 });
    expect(bag.Text).toMatch(/round trip 2\.31 s \(critical /);
  });

  test.each<[string, Partial<ProbeResult>, readonly string[]]>([
    ['a failure has no latency', failed(REFUSED), ['LatencyMs', 'Messages', 'DeliveryMs', 'Retrieved']],
    ['a phase that was not reached has no time', { phases: [] }, ['PhaseDnsMs', 'PhaseLoginMs', 'PhaseVerifyMs']],
    ['without TLS there are no days', { tls: null }, ['CertificateDays']],
    ['without a message there is no delivery', { roundTrip: null }, ['DeliveryMs', 'Polls', 'Stale', 'Verified']],
  ])('what was not measured is not there, and never 0: %s', (_, more, absent) => {
    const [bag = {}] = json(judge(made(more), policy()));
    for (const name of absent) expect(bag).not.toHaveProperty(name);
  });

  test('has a property of its own for each phase', () => {
    const phases = METRIC_NAMES.filter((name) => name.startsWith('time_')).map((name) => name.slice('time_'.length));
    const [bag = {}] = json(
      judge(made({ phases: phases.map((name, at) => ({ name: name as 'dns', ms: at + 0.5 })) }), policy()),
    );
    expect(phases.map((name) => bag[propertyOf(name)])).toEqual(phases.map((_, at) => at + 0.5));
  });

  test('has numbers without an exponent', () => {
    const [bag = {}] = readBags(judge(made({ latencyMs: 1e-7, mailbox: { messages: 1, octets: 1e15 } }), policy())).map(
      valuesOf,
    );
    expect(bag).toMatchObject({ LatencyMs: 0, Octets: 1e15 });
    expect(scomBag(judge(made({ latencyMs: 1e-7 }), policy()), NOW).stdout).toContain('VariantType="5">0.000<');
  });
});

describe('a sweep', () => {
  test('has a bag for each test, in its order, under its name', () => {
    const bags = readBags(SWEEP).map(valuesOf);
    expect(bags.map(({ Server, State, EventId }) => [Server, State, EventId])).toEqual([
      ['ex01.contoso.com', 'OK', 1000],
      ['ex02.contoso.com', 'WARNING', 1002],
      ['192.0.2.7', 'CRITICAL', 1001],
      ['ex03.contoso.com', 'UNKNOWN', 1002],
    ]);
  });

  test('calls its servers as discovery does', () => {
    const names = testsIn(SWEEP).map(({ text }) => text);
    expect(JSON.parse(scomServers(names))).toEqual({ servers: json(SWEEP).map(({ Server }) => Server) });
    expect(scomServers(['mäil\u0000'])).toBe('{"servers":["m\\u00e4il\\\\x00"]}');
  });

  test('of which a part is no test, and bad, has a bag for that too', () => {
    const verdict = gather('', [
      judge(GOOD, policy()),
      remark('unknown', 'proxy-failed in proxy, x - check the proxy'),
    ]);
    expect(json(verdict).map(({ Server, State, Reason }) => [Server, State, Reason])).toEqual([
      ['ex01.contoso.com', 'OK', 'none'],
      ['', 'UNKNOWN', 'proxy-failed'],
    ]);
    expect(json(verdict)[1]?.Text).toBe('POP3 UNKNOWN - proxy-failed in proxy, x - check the proxy');
  });
});

describe('a refusal', () => {
  test('is a bag that names no server: it is about all of them', () => {
    expect(json(REFUSAL)).toEqual([
      {
        ...{ State: 'UNKNOWN', Server: '', Result: 'Skipped' },
        Text: 'POP3 UNKNOWN - usage, there is no option --bogus - see --help',
        ...{ EventSource: 'MSExchange Monitoring POPConnectivity', EventId: 1002, EventLevel: 2 },
        EventMessage: 'not tested: usage, there is no option --bogus - see --help',
        ...{ Phase: 'none', Reason: 'usage', Message: 'there is no option --bogus', Hint: 'see --help' },
      },
    ]);
  });

  test.each(REASONS)('tells the reason, the phase and the hint: %s', (reason) => {
    const [bag] = json(refuse({ phase: 'token', reason, message: 'a, b - c', hint: 'look there' }));
    expect(bag).toMatchObject({ Reason: reason, Phase: 'token', Message: 'a, b - c', Hint: 'look there' });
  });

  test('without a message has a reason all the same', () => {
    const [bag] = json(refuse({ phase: null, reason: 'interrupted', message: '', hint: 'run it again' }));
    expect(bag).toMatchObject({ Reason: 'interrupted', Phase: 'none', Message: 'none', Hint: 'run it again' });
  });
});

describe('what servers say', () => {
  test.each(HOSTILE)('%j does no harm', (words) => {
    const verdict = hostile(words);
    for (const { stdout } of [scomBag(verdict, NOW), scomJson(verdict, PIPED)]) expect(stdout).toMatch(/^[ -~]+\n$/);
    expect(scomWord(verdict, { ...PIPED, verbosity: 1 }).stdout).toMatch(/^CRITICAL\n[^\p{Cc}\p{Cs}\ufffe\uffff]+\n$/u);
    const [bag = {}] = readBags(verdict).map(valuesOf);
    for (const value of Object.values(bag)) expect(String(value)).not.toMatch(/[\p{Cc}\p{Cs}\u2028-\u202e]/u);
  });

  test('whatever they say, the bag can be read, and has nothing that XML has no place for', () => {
    const anyText = fc.array(fc.nat(0x10ffff), { maxLength: 12 }).map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(anyText, (words) => {
        for (const bag of readBags(hostile(words))) {
          for (const { value } of Object.values(bag))
            expect(String(value)).toMatch(/^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]*$/u);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a word', () => {
  test.each<[string, Verdict, number]>([
    ['OK', judge(GOOD, policy()), 0],
    ['WARNING', judge(GOOD, policy({ warning: seconds('1') })), 1],
    ['CRITICAL', judge(failed(REFUSED), policy()), 2],
    ['CRITICAL', SWEEP, 2],
    ['UNKNOWN', judge(skipped('a'), policy()), 3],
    ['UNKNOWN', REFUSAL, 3],
  ])('is %s and nothing else', (word, verdict, exitCode) => {
    expect(scomWord(verdict, PIPED)).toEqual({ stdout: `${word}\n`, exitCode });
  });

  test('has the lines of a plugin behind it where -v asks for them', () => {
    const [word, ...lines] = scomWord(SWEEP, { ...PIPED, verbosity: 1 }).stdout.split('\n');
    expect(word).toBe('CRITICAL');
    expect(lines[0]).toMatch(/^POP3 CRITICAL - sweep: 4 addresses, 1 critical/);
    expect(lines[1]).toMatch(/^\[CRITICAL\] 192\.0\.2\.7: login-refused/);
  });
});

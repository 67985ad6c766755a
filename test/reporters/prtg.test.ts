import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prtgJson, prtgXml } from '../../src/reporters/prtg.ts';
import { gather, judge, type Policy, refuse, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { METRIC_NAMES } from '../../src/verdict/metric.ts';
import { parseRange, type Range } from '../../src/verdict/range.ts';
import { missing } from '../support/installed.ts';
import { failed, GOOD, HOSTILE, hostile, made, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';
import { PYTHON } from '../support/python.ts';

const write = (verdict: Verdict, format: 'json' | 'xml' = 'json'): string => {
  const { stdout, stderr, exitCode } = (format === 'json' ? prtgJson : prtgXml)(verdict, PIPED);
  expect([exitCode, stderr]).toEqual([0, undefined]);
  return stdout;
};

const ranges = (set: Readonly<Record<string, string>>): Policy['warning'] =>
  new Map(Object.entries(set).map(([name, text]) => [name, parseRange(text) as Range])) as Policy['warning'];

const FARM: Verdict = { ...SWEEP, text: '' };
const NO_SERVER = refuse({ phase: null, reason: 'usage', message: 'no server', hint: 'see --help' });

/** Halves of a character as what stands for them in UTF-8. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

/** A document as PRTG's manual describes it ("Custom Sensors", Advanced sensors), or an error that says why it is none. */
interface Document {
  readonly channels: readonly Readonly<Record<string, string>>[];
  readonly error: boolean;
  readonly text: string;
}

/** What may stand in a channel, and what it may be. */
const ELEMENTS: Readonly<Record<string, RegExp>> = {
  channel: /^\P{Cc}+$/u,
  value: /^-?\d+(\.\d+)?$/,
  float: /^[01]$/,
  unit: /^(BytesBandwidth|BytesDisk|Temperature|Percent|TimeResponse|TimeSeconds|TimeHours|Custom|Count|CPU|BytesFile|SpeedDisk|SpeedNet)$/,
  customunit: /^\P{Cc}+$/u,
  valuelookup: /^[a-z.]+$/,
  limitmode: /^[01]$/,
  limitmaxerror: /^-?\d+(\.\d+)?$/,
  limitmaxwarning: /^-?\d+(\.\d+)?$/,
  limitminwarning: /^-?\d+(\.\d+)?$/,
  limitminerror: /^-?\d+(\.\d+)?$/,
};

function checked(document: Document): Document {
  const { channels, error, text } = document;
  expect(error).toBe(channels.length === 0);
  expect(text).not.toBe('');
  expect(text.length).toBeLessThanOrEqual(2000);
  // PRTG clips a message at a number sign.
  expect(text).toMatch(/^[^#\p{Cc}]*$/u);
  expect(channels.length).toBeLessThanOrEqual(50);
  expect(new Set(channels.map(({ channel }) => channel)).size).toBe(channels.length);
  for (const channel of channels) {
    for (const [name, value] of Object.entries(channel))
      expect(value, name).toMatch(ELEMENTS[name] ?? /no such element/);
    expect(Object.keys(channel)).toEqual(expect.arrayContaining(['channel', 'value']));
    // A value with a point is an error of the sensor without `float`; a limit is nothing without `limitmode`.
    if (channel.value?.includes('.') === true) expect(channel.float).toBe('1');
    if (Object.keys(channel).some((name) => /^limitm(ax|in)/.test(name))) expect(channel.limitmode).toBe('1');
    if (channel.customunit !== undefined) expect(channel.unit).toBe('Custom');
  }
  return document;
}

function readJson(document: string): Document {
  const { prtg, ...others } = JSON.parse(document);
  expect(others).toEqual({});
  const { result = [], error, text, ...more } = prtg;
  expect(more).toEqual({});
  const channels = result.map((channel: object) =>
    Object.fromEntries(Object.entries(channel).map(([name, value]) => [name, String(value)])),
  );
  return checked({ channels, error: error === 1, text });
}

/** Python's XML parser, strict: whole documents in, what stands in them out. */
function readXml(documents: readonly string[]): readonly Document[] {
  const program = `
import json, sys, xml.etree.ElementTree as tree
def read(document):
    root = tree.fromstring(document.encode('utf-8'))
    assert root.tag == 'prtg' and not root.attrib, root.tag
    assert all(each.tag in ('result', 'error', 'text') for each in root)
    channels = [[(element.tag, element.text) for element in result] for result in root.findall('result')]
    assert all(len(set(name for name, _ in channel)) == len(channel) for channel in channels)
    [text] = root.findall('text')
    return {'channels': channels, 'error': [each.text for each in root.findall('error')] == ['1'], 'text': text.text}
print(json.dumps([read(each) for each in json.loads(sys.stdin.buffer.read().decode('utf-8'))]))`;
  const input = JSON.stringify(documents.map((document) => wellFormed(document)));
  const read = JSON.parse(execFileSync('python3', ['-c', program], { encoding: 'utf8', input, maxBuffer: 1 << 28 }));
  return read.map(({ channels, ...rest }: { channels: readonly (readonly [string, string])[][] }) =>
    checked({ ...rest, channels: channels.map((channel) => Object.fromEntries(channel)) } as unknown as Document),
  );
}

const channelsOf = (verdict: Verdict): Readonly<Record<string, Readonly<Record<string, string>>>> =>
  Object.fromEntries(readJson(write(verdict)).channels.map((channel) => [channel.channel, channel]));

/** Golden files were written by hand, by PRTG's manual. Times are in milliseconds, and so are their limits. */
describe('what PRTG reads, whole', () => {
  const words = failed(
    { ...REFUSED, message: 'server said "</text><error>1& #1"', hint: ']]>' },
    { latencyMs: 0.1, phases: [], tls: null },
  );
  const good = judge(GOOD, policy({ warning: ranges({ time: '5' }), critical: ranges({ time: '10' }) }));
  const CASES: readonly [file: string, verdict: Verdict][] = [
    ['success.json', good],
    ['success.xml', good],
    ['failure.json', judge(failed(REFUSED), policy())],
    ['skip.json', judge(skipped('ex03.contoso.com'), policy())],
    ['refusal.json', NO_SERVER],
    ['refusal.xml', NO_SERVER],
    ['hostile.json', judge(words, policy())],
    ['hostile.xml', judge(words, policy())],
    ['sweep.json', FARM],
  ];
  test.each(CASES)('%s', (file, verdict) => {
    expect(write(verdict, file.endsWith('.xml') ? 'xml' : 'json')).toBe(
      readFileSync(new URL(`../golden/prtg/${file}`, import.meta.url), 'utf8'),
    );
  });
  test('no golden file is left over', () => {
    const files = readdirSync(new URL('../golden/prtg/', import.meta.url));
    expect(files.sort()).toEqual(CASES.map(([file]) => file).sort());
  });
});

describe('limits are those of the thresholds', () => {
  test.each<[metric: string, channel: string, range: string, limits: Readonly<Record<string, string>>]>([
    ['time', 'Time', '5', { limitmaxerror: '5000' }],
    ['time', 'Time', '~:0.25', { limitmaxerror: '250' }],
    ['time', 'Time', '1:5', { limitmaxerror: '5000', limitminerror: '1000' }],
    ['time', 'Time', '@1:5', {}],
    ['time_login', 'Phase login', '0:1', { limitmaxerror: '1000' }],
    ['delivery', 'Delivery', '30', { limitmaxerror: '30000' }],
    ['messages', 'Messages', '1:', { limitminerror: '1' }],
    ['certificate', 'Certificate', '0:', { limitminerror: '0' }],
    ['certificate', 'Certificate', '30:', { limitminerror: '30' }],
  ])('-c %s is on the channel %s: %s', (metric, channel, range, limits) => {
    const found = channelsOf(judge(GOOD, policy({ critical: ranges({ [metric]: range }) })))[channel] ?? {};
    expect(Object.fromEntries(Object.entries(found).filter(([name]) => /^limitm(ax|in)/.test(name)))).toEqual(limits);
  });

  test('a failure has them too: PRTG reads them once, when it first sees the channel', () => {
    const set = policy({ warning: ranges({ time: '2' }) });
    const limits = (verdict: Verdict): unknown => channelsOf(verdict).Time?.limitmaxwarning;
    expect(limits(judge(failed(REFUSED), set))).toBe('2000');
    expect(limits(judge(GOOD, set))).toBe('2000');
  });
});

describe('the state', () => {
  const lookup = readFileSync(new URL('../../plugins/prtg/popconnectivity.state.ovl', import.meta.url), 'utf8');

  test.each([
    ['0', 'Ok', judge(GOOD, policy())],
    ['1', 'Warning', judge(GOOD, policy({ warning: ranges({ time: '1' }) }))],
    ['2', 'Error', judge(failed(REFUSED), policy())],
    ['3', 'Warning', judge(failed(REFUSED), policy({ severity: new Map([['login-refused', 'unknown']]) }))],
  ])('%s is %s to PRTG, by the lookup file of that name', (value, state, verdict) => {
    const channel = channelsOf(verdict).State;
    expect(channel).toMatchObject({ value, valuelookup: 'popconnectivity.state' });
    expect(lookup).toContain(`<ValueLookup id="popconnectivity.state" desiredValue="0"`);
    expect(lookup).toContain(`<SingleInt state="${state}" value="${value}">`);
  });

  test('where nothing was measured there is an error, and no channel', () => {
    const dns = { ...REFUSED, reason: 'dns-unavailable', phase: 'dns', message: '' } as const;
    for (const verdict of [
      NO_SERVER,
      judge(skipped('a'), policy()),
      judge(failed(dns), policy()),
      gather('', [judge(skipped('a'), policy()), judge(skipped('b'), policy())]),
    ]) {
      expect(readJson(write(verdict)).error).toBe(true);
    }
  });
});

test('no channel is ever called otherwise', () => {
  const names = METRIC_NAMES.map((name) => {
    const metrics = [{ name, value: 1, unit: '', warning: null, critical: null, least: 0 }] as const;
    return Object.keys(channelsOf({ ...judge(GOOD, policy()), metrics } as TestVerdict))[1];
  });
  expect(names).toEqual(
    [
      'Time',
      ...['directory', 'token', 'proxy', 'dns', 'connect', 'tls', 'greeting', 'capabilities', 'stls'],
      ...['login', 'mailbox', 'send', 'delivery', 'retrieve', 'delete', 'quit', 'verify'],
      ...['Delivery', 'Polls', 'Messages', 'Octets', 'Certificate', 'Stale'],
    ].map((name) => (/^[a-z]/.test(name) ? `Phase ${name}` : name)),
  );
});

describe('many servers', () => {
  const named = (text: string): TestVerdict => ({ ...judge(GOOD, policy()), text });
  const farm = (count: number, bad = 0): Verdict =>
    gather('', [
      ...Array.from({ length: count - bad }, (_, at) => named(`pop${at}.example.com`)),
      ...Array.from({ length: bad }, (_, at) => ({
        ...judge(failed(REFUSED), policy()),
        text: `bad${at}.example.com`,
      })),
    ]);

  test.each([
    [2, 10],
    [22, 50],
    [23, 29],
    [44, 50],
    [45, 6],
    [1000, 6],
  ])('%d of them have %d channels', (count, channels) => {
    expect(Object.keys(channelsOf(farm(count)))).toHaveLength(channels);
    // Whatever their state.
    expect(Object.keys(channelsOf(farm(count, 2)))).toHaveLength(channels);
  });

  test('counts say how many are in which state, and the text names the worst', () => {
    const document = readJson(write(farm(100, 3)));
    const values = Object.fromEntries(document.channels.map(({ channel, value }) => [channel, value]));
    expect(values).toEqual({ State: '2', Servers: '100', OK: '97', Warning: '0', Unknown: '0', Critical: '3' });
    expect(document.text).toContain('[CRITICAL] bad2.example.com: login-refused');
  });

  test('an address that was not reached in time has its state', () => {
    const verdict = gather('farm.example.com', [named('192.0.2.1'), remark('unknown', '192.0.2.2: not tested')]);
    expect(channelsOf(verdict)).toMatchObject({
      'farm.example.com 192.0.2.1 state': { value: '0' },
      'farm.example.com 192.0.2.2 state': { value: '3' },
    });
  });
});

describe.skipIf(missing(PYTHON))('read back by a parser that is not ours', () => {
  const same = (verdicts: readonly Verdict[]): void => {
    const xml = readXml(verdicts.map((verdict) => write(verdict, 'xml')));
    for (const [at, verdict] of verdicts.entries()) {
      const json = readJson(write(verdict));
      const bare = (document: Document): unknown =>
        JSON.parse(
          // What XML cannot say at all is a mark in it.
          wellFormed(JSON.stringify(document)).replace(/[\ufffe\uffff]/g, '\ufffd'),
          (_, value) => (typeof value === 'string' ? wellFormed(value) : value),
        );
      expect(xml[at]).toEqual(bare(json));
    }
  };

  test('XML says what JSON says', () => {
    same([judge(GOOD, policy()), judge(failed(REFUSED), policy()), FARM, NO_SERVER, judge(skipped('a'), policy())]);
  });

  test('whatever a server says', () => {
    same(HOSTILE.map(hostile));
    same(HOSTILE.filter((words) => words !== '').map((words) => gather('', [judge(GOOD, policy()), hostile(words)])));
  });

  test('any characters at all', () => {
    const text = fc
      .array(fc.nat(0x10ffff), { minLength: 1, maxLength: 60 })
      .map((points) => String.fromCodePoint(...points));
    same(fc.sample(text, 300).map(hostile));
  });
});

test('values are plain numbers, however small or large', () => {
  const value = fc.oneof(fc.double({ min: 0, max: 1e-6, noNaN: true }), fc.double({ min: 0, max: 3.6e6, noNaN: true }));
  fc.assert(
    fc.property(value, (latencyMs) => {
      const read = Number(channelsOf(judge(made({ latencyMs }), policy())).Time?.value);
      expect(Math.abs(read - latencyMs)).toBeLessThanOrEqual(0.00051);
    }),
    { numRuns: 500 },
  );
});

test('a text that is too long is cut where PRTG would, and not within a character', () => {
  const { text } = readJson(write(judge(failed({ ...REFUSED, message: '📧'.repeat(2000) }), policy())));
  expect(text.length).toBeGreaterThan(1990);
  expect(wellFormed(text)).toBe(text);
  expect(text.endsWith('…')).toBe(true);
});

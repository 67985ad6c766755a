import { createHash } from 'node:crypto';
import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse, html as spec } from 'parse5';
import { describe, expect, test } from 'vitest';
import type { ProbeResult } from '../../src/probe/result.ts';
import { COLUMNS, cmdletRow } from '../../src/reporters/cmdlet.ts';
import { html } from '../../src/reporters/html/markup.ts';
import { STYLE } from '../../src/reporters/html/style.ts';
import { htmlReport } from '../../src/reporters/html.ts';
import { eventsOf, performanceCountersOf } from '../../src/reporters/monitoring-context.ts';
import { type Manner, PLAIN_MANNER } from '../../src/reporters/reporter.ts';
import { gather, judge, refuse, testsIn, type Verdict } from '../../src/verdict/judge.ts';
import { GOOD, POLICY, problem, sweep, TALK } from '../support/report-samples.ts';
import { GOOD_TLS } from '../support/samples.ts';

type Element = DefaultTreeAdapterTypes.Element;
type Node = DefaultTreeAdapterTypes.Node;

const FULL_MANNER: Manner = { ...PLAIN_MANNER, monitoringContext: true };
const written = (verdict: Verdict): string => htmlReport(verdict, FULL_MANNER).stdout;

/** The page as a browser reads it; what no valid page has fails. */
function read(page: string): readonly Element[] {
  const faults: string[] = [];
  const document = parse(page, { onParseError: ({ code, startLine }) => faults.push(`${code} in line ${startLine}`) });
  expect(faults).toEqual([]);
  return elementsIn(document);
}

function elementsIn(node: Node): readonly Element[] {
  const below = 'childNodes' in node ? node.childNodes.flatMap(elementsIn) : [];
  return defaultTreeAdapter.isElementNode(node) ? [node, ...below] : below;
}

const named = (elements: readonly Element[], name: string): readonly Element[] =>
  elements.filter(({ tagName }) => tagName === name);
const attribute = ({ attrs }: Element, wanted: string): string | undefined =>
  attrs.find(({ name }) => name === wanted)?.value;
function textOf(node: Node): string {
  if (defaultTreeAdapter.isTextNode(node)) return node.value;
  return 'childNodes' in node ? node.childNodes.map(textOf).join('') : '';
}
const classed = (elements: readonly Element[], name: string): readonly Element[] =>
  elements.filter((element) => attribute(element, 'class')?.split(' ').includes(name));

/** The rows of the table of servers, head first, as whoever reads it back sees them. */
function table(page: string): readonly (readonly string[])[] {
  const servers = classed(named(read(page), 'table'), 'servers')[0] as Element;
  return named(elementsIn(servers), 'tr').map((row) =>
    elementsIn(row)
      .filter(({ tagName }) => tagName === 'td' || tagName === 'th')
      .map(textOf),
  );
}

const HOSTILE = [
  '<script>alert(1)</script>',
  '</style><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  `' onfocus='alert(1)' autofocus x='`,
  '` onfocus=alert(1) `',
  ']]><svg onload=alert(1)>',
  '<!-- --!> <!--',
  '&lt;b&gt; &amp; &#60; &nbsp; &copy',
  '</title></pre></details></textarea><h1>',
  '{{7*7}} <%= 1 %>',
  'javascript:alert(1)',
];
const UNSEEN = ['\u202Eevil\u202C', 'a\u0000b\u0007c\u001B[31m', 'one\r\ntwo', 'zero\u200Bwidth', '\uD800 half'];

/** Everything in a verdict that somebody outside may have written is these words. */
function everywhere(words: string): Verdict {
  const wrong = { ...problem({ reason: 'login-refused', phase: 'login', message: words }), hint: words };
  const result = {
    ...GOOD,
    ...{ casServer: words, localSite: words, address: words, userName: words, startTime: words },
    ...{ result: 'Failure', error: wrong, warnings: [wrong], capabilities: [words, words] },
    deadAddresses: [{ address: words, problem: words }],
    tls: { ...GOOD_TLS, protocol: words, cipher: words, subject: words, issuer: words, names: [words] },
    roundTrip: { ...GOOD.roundTrip, hops: [{ by: words, seconds: 1 }] },
  } as unknown as ProbeResult;
  const talk = (['C', 'S', '*'] as const).map((who) => ({ atMs: 1, who, words }));
  return gather(words, [judge(result, { ...POLICY, remarks: [words] }, talk), { state: 'ok', text: words, parts: [] }]);
}

const shapeOf = (page: string): readonly string[] =>
  read(page).map(({ tagName, attrs }) => [tagName, ...attrs.map(({ name }) => name)].join(' '));

describe('what comes from outside never becomes markup', () => {
  test.each(HOSTILE)('in an attribute as in a text %s is itself', (words) => {
    const [paragraph] = named(read(`<!doctype html>${html`<p title="${words}">${words}</p>`.source}`), 'p');
    expect(paragraph?.attrs).toEqual([{ name: 'title', value: words }]);
    expect(textOf(paragraph as Element)).toBe(words);
  });

  const harmless = shapeOf(written(everywhere('words')));

  test.each([...HOSTILE, ...UNSEEN, '<"&\'>'.repeat(2000)])('%s', (words) => {
    expect(shapeOf(written(everywhere(words)))).toEqual(harmless);
  });

  test.each(HOSTILE)('and %s is shown as it is', (words) => {
    const spoken = classed(read(written(everywhere(words))), 'said-server');
    expect(spoken.map(textOf)).toEqual([`      1.0 ms S ${words}`]);
  });

  test('what drives a terminal or reorders text is shown as an escape', () => {
    expect(written(everywhere('a\u202Eb\u0007c'))).toContain('a\\u{202e}b\\x07c');
    expect(written(everywhere(UNSEEN.join('')))).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}]/u);
  });
});

describe('the page asks for nothing', () => {
  const page = written(sweep());
  const elements = read(page);

  test('its policy lets in its own style alone', () => {
    const hash = createHash('sha256').update(STYLE).digest('base64');
    expect(textOf(named(elements, 'style')[0] as Element)).toBe(STYLE);
    expect(attribute(named(elements, 'meta')[1] as Element, 'content')).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
    );
  });

  test('it has no script, no inline style and no handler', () => {
    expect(named(elements, 'script')).toEqual([]);
    expect(
      elements.flatMap(({ attrs }) => attrs.map(({ name }) => name)).filter((name) => /^(style|on.*)$/.test(name)),
    ).toEqual([]);
  });

  test('nothing refers to anywhere but the page itself, and what it refers to is there', () => {
    expect(page).not.toMatch(/https?:|url\(|@import|\bsrc=/);
    const ids = elements.map((element) => attribute(element, 'id')).filter((id) => id !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
    const links = elements.map((element) => attribute(element, 'href')).filter((href) => href !== undefined);
    expect(links).toHaveLength(testsIn(sweep()).length);
    for (const link of links) expect(ids).toContain(link.slice(1));
  });

  test('every element is HTML or SVG', () => {
    const spaces = new Set(elements.map(({ namespaceURI }) => namespaceURI));
    expect(spaces).toEqual(new Set([spec.NS.HTML, spec.NS.SVG]));
  });
});

describe('the table', () => {
  const rows = table(written(sweep()));

  test("has the cmdlet's columns, and the state after them", () => {
    expect(rows[0]).toEqual([...COLUMNS, 'State']);
  });

  test("has the cmdlet's values, the failed first, then the skipped, then those that worry", () => {
    const byName = new Map(testsIn(sweep()).map(({ result }) => [result.casServer, Object.values(cmdletRow(result))]));
    const order = ['pop.example.net', '2001:db8::110', 'edge.example.org', 'mx1.example.org', 'mail.example.com'];
    expect(rows.slice(1).map((row) => row.slice(0, -1))).toEqual(order.map((name) => byName.get(name)));
    expect(rows.slice(1).map((row) => row.at(-1))).toEqual(['CRITICAL', 'CRITICAL', 'UNKNOWN', 'WARNING', 'OK']);
  });

  test('has a caption, and heads with a scope', () => {
    const elements = read(written(sweep()));
    for (const each of named(elements, 'table')) expect(named(elementsIn(each), 'caption')).toHaveLength(1);
    for (const head of named(elements, 'th')) expect(attribute(head, 'scope')).toMatch(/^(row|col)$/);
  });
});

describe('the whole is summed up', () => {
  test('the title has the counts and the time', () => {
    const [title] = named(read(written(sweep())), 'title');
    expect(textOf(title as Element)).toBe('POP3 connectivity, 2 Failure 1 Skipped 2 Success, 2026-01-16 12:00:00 UTC');
  });

  test('what belongs to no server is told', () => {
    expect(written(sweep())).toContain('a target stood there twice and was tested once');
  });

  test('where nothing was tested the page says why', () => {
    const why = problem({ reason: 'usage', phase: null, message: 'unknown option --frobnicate' });
    const { stdout, stderr, exitCode } = htmlReport(refuse(why), PLAIN_MANNER);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/^ERROR: usage, unknown option --frobnicate/);
    expect(read(stdout).some((element) => textOf(element).includes('unknown option --frobnicate'))).toBe(true);
    expect(textOf(named(read(stdout), 'title')[0] as Element)).toBe('POP3 connectivity, nothing was tested');
  });

  test('nothing at all is a page as well', () => {
    expect(named(read(written(gather('', []))), 'table')).toEqual([]);
  });
});

describe('each server', () => {
  const judged = (more: Partial<ProbeResult>): readonly Element[] =>
    read(written(judge({ ...GOOD, ...more } as ProbeResult, POLICY, TALK)));

  test('is open where there is something to see, folded where it is well', () => {
    const servers = classed(named(read(written(sweep())), 'details'), 'server');
    expect(servers.map((each) => attribute(each, 'open') !== undefined)).toEqual([true, true, true, true, false]);
  });

  test('is open where it is the only one', () => {
    const [only] = classed(judged({}), 'server') as readonly [Element];
    expect(attribute(only, 'open')).toBe('');
  });

  test('has its phases as bars that begin where the one before ended', () => {
    const page = judged({
      latencyMs: 100,
      phases: [
        { name: 'dns', ms: 10 },
        { name: 'connect', ms: 30 },
        { name: 'login', ms: 60 },
      ],
    });
    const bars = classed(elementsIn(classed(page, 'bars')[0] as Element), 'bar');
    expect(bars.map((bar) => [attribute(bar, 'x'), attribute(bar, 'width')].map(Number))).toEqual([
      [0, 100],
      [100, 300],
      [400, 600],
    ]);
    const told = classed(page, 'waterfall').flatMap((each) => named(elementsIn(each), 'tr'));
    expect(
      told.slice(1).map((row) =>
        elementsIn(row)
          .filter(({ tagName }) => /^t[hd]$/.test(tagName))
          .slice(0, 3)
          .map(textOf),
      ),
    ).toEqual([
      ['dns', '0.0', '10.0'],
      ['connect', '10.0', '30.0'],
      ['login', '40.0', '60.0'],
    ]);
  });

  test.each([
    ['no time at all', [0, 0, 0], 0],
    ['one phase of a minute among short ones', [0.01, 60_000, 0.01], 60_000],
    ['phases longer than the whole', [10, 10, 10], 5],
  ])('a bar is to be seen, and in the picture: %s', (_, times, latencyMs) => {
    const phases = times.map((ms, at) => ({ name: (['dns', 'connect', 'login'] as const)[at as 0 | 1 | 2], ms }));
    for (const bar of classed(elementsIn(classed(judged({ latencyMs, phases }), 'bars')[0] as Element), 'bar')) {
      const [x, width] = [Number(attribute(bar, 'x')), Number(attribute(bar, 'width'))] as const;
      expect(width).toBeGreaterThan(0);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(1000.1);
    }
  });

  test('the phase that failed is named, not only coloured', () => {
    const failed = classed(read(written(sweep())), 'failed').filter(({ tagName }) => tagName === 'tr');
    expect(failed.map((row) => textOf(named(elementsIn(row), 'th')[0] as Element))).toEqual([
      'login failed',
      'greeting failed',
    ]);
  });

  test.each([
    [74.5, 827.8, 'certificate expires in 74 days, of 90; warning below 21; critical below 7'],
    [-3, 0, 'certificate expired 3 days ago, of 90; warning below 21; critical below 7'],
    [200, 1000, 'certificate expires in 200 days, of 90; warning below 21; critical below 7'],
  ])('a certificate with %d of 90 days left is a bar of %d in 1000, and words', (daysLeft, width, told) => {
    const figure = classed(judged({ tls: { ...GOOD_TLS, daysLeft } }), 'certificate')[0] as Element;
    expect(Number(attribute(classed(elementsIn(figure), 'bar')[0] as Element, 'width'))).toBe(width);
    expect(textOf(named(elementsIn(figure), 'p')[0] as Element)).toBe(told);
    expect(classed(elementsIn(figure), 'mark').map((mark) => attribute(mark, 'd'))).toEqual([
      'M233.3 0V14',
      'M77.8 0V14',
    ]);
  });

  test('every picture has a name', () => {
    for (const picture of named(read(written(sweep())), 'svg')) {
      expect(attribute(picture, 'role')).toBe('img');
      expect(attribute(picture, 'aria-label')).toMatch(/\d/);
    }
  });

  test('the conversation is folded away, and whole', () => {
    const [said] = classed(judged({}), 'conversation') as readonly [Element];
    expect(attribute(said, 'open')).toBeUndefined();
    expect(
      textOf(named(elementsIn(said), 'pre')[0] as Element)
        .trimEnd()
        .split('\n'),
    ).toEqual(TALK.map(({ atMs, who, words }) => `${atMs.toFixed(1).padStart(9)} ms ${who} ${words}`));
  });
});

describe('-MonitoringContext', () => {
  const judged = judge(GOOD, POLICY);

  test('adds the events and the performance counters', () => {
    const tables = classed(read(written(judged)), 'context');
    const [events, counters] = tables.map((each) =>
      named(elementsIn(each), 'tr')
        .slice(1)
        .map((row) => named(elementsIn(row), 'td').map(textOf)),
    );
    expect(events).toEqual(eventsOf(judged).map(({ id, type, message }) => [String(id), type, message]));
    expect(counters).toEqual(performanceCountersOf(judged).map(({ counter, value }) => [counter, value.toFixed(2)]));
    expect(tables.map((each) => textOf(named(elementsIn(each), 'caption')[0] as Element))).toEqual([
      'Events of MSExchange Monitoring POPConnectivity',
      'Performance counters of MSExchange Monitoring POPConnectivity(mail.example.com|Example-Site)',
    ]);
    expect(counters).toHaveLength(GOOD.phases.length + 1);
  });

  test('is left out where nobody asked for it', () => {
    expect(classed(read(htmlReport(judged, PLAIN_MANNER).stdout), 'context')).toEqual([]);
  });
});

test('five hundred servers are no matter of seconds', () => {
  const tests = Array.from({ length: 500 }, (_, at) =>
    judge({ ...GOOD, casServer: `mail${at}.example.com` } as ProbeResult, POLICY, TALK),
  );
  const before = performance.now();
  const page = written(gather('sweep', tests));
  expect(performance.now() - before).toBeLessThan(1000);
  expect(table(page)).toHaveLength(501);
});

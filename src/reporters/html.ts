import type { ProbeResult } from '../probe/result.ts';
import { type TestVerdict, testsIn, type Verdict } from '../verdict/judge.ts';
import { aside } from './aside.ts';
import { COLUMNS, cmdletRow, notesOn, type Outcome, outcomeOf, peopleExit } from './cmdlet.ts';
import { html, Markup } from './html/markup.ts';
import { anchor, badge, findings, moment, server, timeOf } from './html/server.ts';
import { STYLE, STYLE_HASH } from './html/style.ts';
import type { Manner, Reporter } from './reporter.ts';

/**
 * A report as one file that asks for nothing else: no script, no request, and but the one style that its own policy
 * names. What the cmdlet's `| ConvertTo-Html` was for.
 */
export const htmlReport: Reporter = (verdict, manner) => {
  const tests = failedFirst(testsIn(verdict));
  return {
    stdout: page(verdict, tests, manner).source,
    // Whoever wrote the page to a file would take it for a report.
    ...(tests.length === 0 ? aside(verdict) : {}),
    exitCode: peopleExit(verdict),
  };
};

const GRAVEST: readonly Outcome[] = ['failed', 'skipped', 'warned', 'succeeded'];

/** Those of one outcome stay in their order. */
function failedFirst(tests: readonly TestVerdict[]): readonly TestVerdict[] {
  const told = tests.map((test) => [outcomeOf(test), test] as const);
  return GRAVEST.flatMap((wanted) => told.filter(([outcome]) => outcome === wanted)).map(([, test]) => test);
}

const POLICY = `default-src 'none'; style-src '${STYLE_HASH}'; base-uri 'none'; form-action 'none'`;

function page(verdict: Verdict, tests: readonly TestVerdict[], manner: Manner): Markup {
  const times = tests.map(({ result }) => result.startTime).sort();
  const counts = RESULTS.map(
    (wanted) => [wanted, tests.filter(({ result }) => result.result === wanted).length] as const,
  );
  const met = counts.filter(([, count]) => count > 0).map(([result, count]) => `${count} ${result}`);
  const title = [
    'POP3 connectivity',
    met.length === 0 ? 'nothing was tested' : met.join(' '),
    ...times.slice(0, 1).map(moment),
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title.join(', ')}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<h1>POP3 connectivity ${badge(verdict.state)}</h1>
<p class="about">${about(tests, times)}</p>
</header>
<main>
<ul class="counts">
${counts.map(([result, count]) => html`<li class="${count === 0 ? 'none' : result}"><b>${count}</b> ${result}</li>\n`)}</ul>
${findings(notesOn(verdict))}${tests.length === 0 ? null : html`${overview(tests)}<h2>Each server</h2>\n${tests.map((test, at) => server(test, test.state !== 'ok' || tests.length === 1, at, manner))}`}</main>
</body>
</html>
`;
}

const RESULTS: readonly ProbeResult['result'][] = ['Failure', 'Skipped', 'Success'];

/** What was tested, when, and how. */
function about(tests: readonly TestVerdict[], times: readonly string[]): Markup {
  const [first] = times;
  if (first === undefined) return html`Nothing was tested.`;
  const last = times[times.length - 1] as string;
  const kinds = distinct(tests.map(({ result }) => (result.roundTrip === null ? 'log on' : 'send, receive, delete')));
  const ways = distinct(tests.map(({ result }) => `${result.connectionType} on port ${result.port}`));
  const users = distinct(tests.map(({ result }) => result.userName));
  const who = users.length === 1 ? `as ${users[0]}` : `as ${users.length} users`;
  const what = `${tests.length} ${tests.length === 1 ? 'test' : 'tests'}: ${kinds.join('; ')}; ${ways.join(', ')}; ${who}`;
  return html`${timeOf(first)}${last === first ? null : html` to ${timeOf(last)}`}. ${what}.`;
}

const distinct = (words: readonly string[]): readonly string[] => Array.from(new Set(words));

/** The cmdlet's table; a narrow screen leaves out what is the same in nearly every row. */
function overview(tests: readonly TestVerdict[]): Markup {
  const heads = COLUMNS.map((column) => html`<th scope="col"${CLASS[column]}>${column}</th>`);
  const rows = tests.map((test, at) => {
    const row = cmdletRow(test.result);
    const [name, ...others] = COLUMNS;
    const cells = others.map((column) => html`<td${CLASS[column]}>${row[column]}</td>`);
    return html`<tr class="${row.Result}">
<th scope="row"><a href="#${anchor(at)}">${row[name]}</a></th>${cells}<td>${badge(test.state)}</td>
</tr>
`;
  });
  return html`<div class="scroll" role="region" aria-labelledby="servers" tabindex="0">
<table class="servers">
<caption id="servers">Results, the failed ones first</caption>
<thead><tr>${heads}<th scope="col">State</th></tr></thead>
<tbody>
${rows}</tbody>
</table>
</div>
`;
}

const CLASS: Readonly<Record<(typeof COLUMNS)[number], Markup | null>> = {
  CasServer: null,
  LocalSite: html` class="constant"`,
  Scenario: html` class="constant scenario"`,
  Result: html` class="result"`,
  'Latency(MS)': html` class="number"`,
  Error: html` class="error"`,
};

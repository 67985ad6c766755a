import type { TestVerdict } from '../../verdict/judge.ts';
import { eventsOf, MONITORING_SOURCE, performanceCountersOf } from '../monitoring-context.ts';
import { html, type Markup } from './markup.ts';

/** What -MonitoringContext adds to a test: its events and its performance counters. */
export function context(test: TestVerdict): Markup {
  const events = eventsOf(test).map(({ id, type, message }) => [String(id), type, message]);
  const counters = performanceCountersOf(test);
  const values = counters.map(({ counter, value }) => [counter, value.toFixed(2)]);
  // All of them are the same server's: said once it leaves room for the rest.
  const of = counters.slice(0, 1).map(({ object, instance }) => `Performance counters of ${object}(${instance})`);
  return html`${table(`Events of ${MONITORING_SOURCE}`, ['Id', 'Type', 'Message'], events)}${table(of.join(), ['Counter', 'Value (ms)'], values)}`;
}

function table(caption: string, heads: readonly string[], rows: readonly (readonly string[])[]): Markup | null {
  if (rows.length === 0) return null;
  return html`<table class="context">
<caption>${caption}</caption>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map((value) => html`<td>${value}</td>`)}</tr>\n`)}</tbody>
</table>
`;
}

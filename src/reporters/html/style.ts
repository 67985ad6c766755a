/** The one style of a report. Changing it changes its hash; a test says which it is then. */
export const STYLE = `
:root {
  color-scheme: light;
  --page: #f6f7f9; --sheet: #fff; --text: #1b1f24; --muted: #545d68; --line: #d5dae0; --link: #0b57a4;
  --bar: #3d74ad; --track: #e3e7ec; --grid: #e3e7ec;
  --critical: #a4201a; --critical-tint: #fcebea; --warning: #7a4a00; --warning-tint: #fdf1d7;
  --unknown: #5b458c; --unknown-tint: #f0ecf9; --ok: #1b6437; --ok-tint: #e7f4ec;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --page: #121518; --sheet: #1a1e23; --text: #e4e7eb; --muted: #a3acb7; --line: #343b44; --link: #85bdf7;
    --bar: #6ba3dc; --track: #2c333b; --grid: #2c333b;
    --critical: #ff9d94; --critical-tint: #3c1f1e; --warning: #f0c35a; --warning-tint: #37290f;
    --unknown: #c6b5f7; --unknown-tint: #2a2440; --ok: #82d6a0; --ok-tint: #172c20;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--page); color: var(--text);
  font: 0.875rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
code, pre { font: 0.8125rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
h1 { margin: 0; font-size: 1.375rem; line-height: 1.25; }
h2 { margin: 1.75rem 0 0.5rem; font-size: 1.0625rem; }
h3 { display: inline; font-size: 1rem; }
h4, caption, figcaption { margin: 0 0 0.25rem; font-size: 0.8125rem; font-weight: 600; color: var(--muted); text-align: left; }
p { margin: 0.25rem 0; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
.about { color: var(--muted); }
.counts { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0.75rem 0; padding: 0; list-style: none; }
.counts li { min-width: 6.5rem; padding: 0.375rem 0.75rem; border: 1px solid var(--line); border-radius: 6px; background: var(--sheet); }
.counts b { display: block; font-size: 1.375rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.counts .Failure b { color: var(--critical); }
.counts .Skipped b { color: var(--unknown); }
.counts .Success b { color: var(--ok); }
.counts .none b { color: var(--muted); font-weight: 400; }
.badge {
  display: inline-block; padding: 0 0.375rem; border: 1px solid; border-radius: 4px;
  font-size: 0.75rem; line-height: 1.375rem; white-space: nowrap; letter-spacing: 0.02em;
}
.badge.critical, .failed b { color: var(--critical); background: var(--critical-tint); }
.badge.warning { color: var(--warning); background: var(--warning-tint); }
.badge.unknown { color: var(--unknown); background: var(--unknown-tint); }
.badge.ok { color: var(--ok); background: var(--ok-tint); }
.badge::before, .result::before { display: inline-block; min-width: 1.1em; }
.badge.critical::before, .Failure .result::before { content: "\\2715"; content: "\\2715" / ""; }
.badge.warning::before { content: "!"; content: "!" / ""; }
.badge.unknown::before { content: "?"; content: "?" / ""; }
.badge.ok::before, .Success .result::before { content: "\\2713"; content: "\\2713" / ""; }
.Skipped .result::before { content: "\\2013"; content: "\\2013" / ""; }
.findings { margin: 0 0 1rem; padding: 0; list-style: none; }
.findings li { display: flex; gap: 0.5rem; align-items: baseline; margin: 0.25rem 0; }
.findings .badge { flex: none; }
.scroll { position: relative; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--sheet); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.3125rem 0.625rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); font-weight: 400; }
thead th { border-top: 0; color: var(--muted); font-size: 0.8125rem; font-weight: 600; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.servers caption { padding: 0.5rem 0.625rem 0.25rem; }
.servers tbody th { font-weight: 600; min-width: 8.5rem; }
.servers .scenario { white-space: nowrap; }
.servers .result { font-weight: 600; white-space: nowrap; }
.servers .error { min-width: 12rem; }
.Failure .result { color: var(--critical); }
.Skipped .result { color: var(--unknown); }
.Success .result { color: var(--ok); }
.server { margin: 0.5rem 0; border: 1px solid var(--line); border-radius: 6px; background: var(--sheet); }
summary { cursor: pointer; }
.server > summary { padding: 0.5rem 0.75rem; }
.brief { color: var(--muted); }
.inside { padding: 0.5rem 0.75rem 0.75rem; border-top: 1px solid var(--line); scroll-margin-top: 3.5rem; }
.waterfall { margin: 0 0 1rem; }
.waterfall th, .waterfall td { padding: 0 0.625rem 0 0; height: 1.5rem; line-height: 1.5rem; white-space: nowrap; }
.waterfall tbody th, .waterfall .number { width: 1%; }
.waterfall .number { padding-left: 0.625rem; }
.waterfall .axis { padding: 0; text-align: right; font-weight: 400; }
.waterfall .axis span:first-child { float: left; }
.waterfall .bars { position: relative; padding: 0; }
.waterfall .failed b { margin-left: 0.25rem; padding: 0 0.25rem; border-radius: 3px; font-size: 0.75rem; }
svg { display: block; width: 100%; }
.bars svg { position: absolute; inset: 0; height: 100%; }
svg .bar { fill: var(--bar); }
svg .bar.failed { fill: var(--critical); }
svg .track { fill: var(--track); }
svg .grid { stroke: var(--grid); vector-effect: non-scaling-stroke; }
svg .halo { stroke: var(--sheet); stroke-width: 6; vector-effect: non-scaling-stroke; }
svg .mark { stroke-width: 2; vector-effect: non-scaling-stroke; }
svg .mark.warning { stroke: var(--warning); stroke-dasharray: 3 2; }
svg .mark.critical { stroke: var(--critical); }
.certificate { margin: 0 0 1rem; }
.certificate svg { height: 0.875rem; }
.facts { margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 0 1.5rem; margin: 0; }
dl div { display: grid; grid-template-columns: 7.5rem 1fr; gap: 0.5rem; padding: 0.125rem 0; border-top: 1px solid var(--line); }
dt { color: var(--muted); }
dd { margin: 0; }
.words { display: flex; flex-wrap: wrap; gap: 0.25rem 0.375rem; margin: 0; padding: 0; list-style: none; }
.words li { padding: 0 0.375rem; border: 1px solid var(--line); border-radius: 4px; }
.context { margin: 0 0 1rem; }
.context td { overflow-wrap: break-word; }
.context td:last-child { overflow-wrap: anywhere; }
.context th, .context td { padding: 0.125rem 0.625rem 0.125rem 0; }
.conversation > summary { color: var(--link); }
pre { margin: 0.5rem 0 0; padding: 0.5rem 0.75rem; border: 1px solid var(--line); border-radius: 4px; background: var(--page); white-space: pre-wrap; }
pre .said-note { color: var(--muted); }
pre .said-client { font-weight: 600; }
@media (max-width: 40rem) {
  body { padding: 0.75rem; }
  .servers thead { position: absolute; display: block; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .servers tbody tr { display: grid; grid-template-columns: 1fr auto auto; align-items: center; border-top: 1px solid var(--line); }
  .servers tbody th, .servers tbody td { padding: 0.3125rem 0.5rem; border: 0; min-width: 0; }
  .servers td.error, .servers td.number { grid-area: 2 / 1 / 3 / 4; padding-top: 0; text-align: left; }
  .servers .constant, .servers td:empty { display: none; }
  .servers td.number::after { content: " ms"; }
  .waterfall .start { display: none; }
}
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; background: none; font-size: 9pt; }
  a { color: inherit; text-decoration: none; }
  .scroll { overflow: visible; }
  .server::details-content { content-visibility: visible; block-size: auto; }
  h2, h4, summary, caption { break-after: avoid; }
  tr, li, dl div, figure, .waterfall { break-inside: avoid; }
  thead { display: table-header-group; }
}
`;

/** What the policy of the page lets in: SHA-256 of exactly that text. */
export const STYLE_HASH = 'sha256-dMtyBCaQYTvjD3VHDOJjVJypyIVnamb/6YQiZTGus4s=';

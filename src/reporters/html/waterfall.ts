import type { ProbeResult } from '../../probe/result.ts';
import { html, type Markup } from './markup.ts';

/**
 * Where the time of a test went: a table of its phases, and beside it one picture of them, each bar beginning where
 * the one before ended.
 *
 * @returns null where no phase was reached
 */
export function waterfall({ phases, latencyMs, error }: ProbeResult): Markup | null {
  if (phases.length === 0) return null;
  const ends = phases.map((_, at) => phases.slice(0, at + 1).reduce((sum, { ms }) => sum + ms, 0));
  const bars = phases.map(({ name, ms }, at): Bar => {
    return { name, ms, startMs: at === 0 ? 0 : (ends[at - 1] as number), isFailed: name === error?.phase };
  });
  const totalMs = Math.max(latencyMs, ends[ends.length - 1] as number);
  const rows = bars.map(
    ({ name, ms, startMs, isFailed }, at) => html`<tr${isFailed ? FAILED : null}>
<th scope="row">${name}${isFailed ? html` <b>failed</b>` : null}</th>
<td class="number start">${startMs.toFixed(1)}</td>
<td class="number">${ms.toFixed(1)}</td>
${at === 0 ? html`<td class="bars" rowspan="${bars.length}">${picture(bars, totalMs)}</td>` : null}
</tr>
`,
  );
  return html`<table class="waterfall">
<caption>Where ${latencyMs.toFixed(2)} ms went</caption>
<thead><tr><th scope="col">Phase</th><th scope="col" class="number start">Start (ms)</th><th scope="col" class="number">Took (ms)</th><th scope="col" class="axis"><span>0</span> <span>${totalMs.toFixed(0)} ms</span></th></tr></thead>
<tbody>
${rows}</tbody>
</table>
`;
}

interface Bar {
  readonly name: string;
  readonly ms: number;
  readonly startMs: number;
  readonly isFailed: boolean;
}

const FAILED = html` class="failed"`;

/** The picture is stretched to the rows beside it, of which it has as many. */
const WIDTH = 1000;
/** What is over at once is still to be seen. */
const LEAST = 4;

function picture(bars: readonly Bar[], totalMs: number): Markup {
  const scale = totalMs === 0 ? 0 : WIDTH / totalMs;
  const rects = bars.map(({ ms, startMs, isFailed }, at) => {
    const width = Math.max(LEAST, ms * scale);
    const x = Math.min(startMs * scale, WIDTH - width);
    const kind = isFailed ? 'bar failed' : 'bar';
    return html`<rect class="${kind}" x="${x.toFixed(1)}" y="${at * 10 + 2}" width="${width.toFixed(1)}" height="6"/>`;
  });
  const told = bars.map(({ name, ms, isFailed }) => `${name} ${ms.toFixed(1)} ms${isFailed ? ', failed' : ''}`);
  const lines = [0, 1, 2, 3, 4].map((quarter) => {
    const x = (WIDTH / 4) * quarter;
    return html`<path class="grid" d="M${x} 0V${bars.length * 10}"/>`;
  });
  return html`<svg role="img" aria-label="Waterfall: ${told.join('; ')}" viewBox="0 0 ${WIDTH} ${bars.length * 10}" preserveAspectRatio="none">${lines}${rects}</svg>`;
}

import type { TlsFacts } from '../../dialogue/dialogue.ts';
import { describeValue, type Metric } from '../../verdict/metric.ts';
import type { Range } from '../../verdict/range.ts';
import { html, type Markup } from './markup.ts';

/**
 * How much of its lifetime a certificate has left, as a gauge that runs down, with the marks it is judged by.
 *
 * @param metrics what was measured, for those marks
 */
export function certificate(tls: TlsFacts, metrics: readonly Metric[]): Markup {
  const metric = metrics.find(({ name }) => name === 'certificate');
  const bounds = BOUNDS.map((state) => [state, metric?.[state] ?? null] as const).filter(isSet);
  const left = metric ?? { name: 'certificate', value: Math.floor(tls.daysLeft) };
  const judged = bounds.map(([state, range]) => `${state} ${describeBound(range)}`);
  const told = `${describeValue(left)}, of ${Math.round(tls.lifetimeDays)}${judged.map((each) => `; ${each}`).join('')}`;
  const share = (days: number): number => Math.max(0, Math.min(1, days / tls.lifetimeDays || 0)) * WIDTH;
  const marks = bounds
    .filter(([, { start }]) => Number.isFinite(start))
    .map(([state, { start }]) => {
      const line = `M${share(start).toFixed(1)} 0V14`;
      return html`<path class="halo" d="${line}"/><path class="mark ${state}" d="${line}"/>`;
    });
  return html`<figure class="certificate">
<figcaption>Certificate</figcaption>
<svg role="img" aria-label="${told}" viewBox="0 0 ${WIDTH} 14" preserveAspectRatio="none"><rect class="track" x="0" y="2" width="${WIDTH}" height="10"/><rect class="bar" x="0" y="2" width="${share(tls.daysLeft).toFixed(1)}" height="10"/>${marks}</svg>
<p>${told}</p>
</figure>
`;
}

const WIDTH = 1000;
const BOUNDS = ['warning', 'critical'] as const;
type Bound = (typeof BOUNDS)[number];
const isSet = (bound: readonly [Bound, Range | null]): bound is readonly [Bound, Range] => bound[1] !== null;

/** `below 21`; what is not as plain stands as it was written. */
const describeBound = ({ start, end, alertInside, text }: Range): string =>
  !alertInside && end === Number.POSITIVE_INFINITY ? `below ${start}` : `by ${text}`;

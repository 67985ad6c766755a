import { usage } from '../dialogue/failure.ts';
import { METRIC_NAMES, type MetricName, type Thresholds } from '../verdict/metric.ts';
import { parseRange, type Range } from '../verdict/range.ts';

/**
 * Reads `[METRIC=]RANGE` thresholds; without a metric it is the time of the whole test. The last one on a metric
 * counts.
 *
 * @param option as a user knows it, `--warning`
 * @throws ProbeFailure `usage`
 */
export function parseThresholds(option: string, given: readonly string[]): Thresholds {
  return new Map(
    given.map((threshold): [MetricName, Range] => {
      const parts = /^(?:([^=]*)=)?(.*)$/s.exec(threshold) as RegExpExecArray;
      const name = parts[1] ?? 'time';
      const range = parseRange(parts[2] as string);
      if (!isMetric(name))
        throw usage(
          `${option}: there is no metric "${name}"; there are time, time_PHASE, delivery, polls, messages, octets, certificate and stale`,
        );
      if (range === null)
        throw usage(`${option} takes [METRIC=]RANGE with a range such as 5, 10:, ~:10 or @10:20, not "${threshold}"`);
      return [name, range];
    }),
  );
}

/**
 * `-C WARN[,CRIT]`: the days a certificate must have left.
 *
 * @throws ProbeFailure `usage`
 */
export function parseCertificateDays(given: string | undefined): {
  readonly warning: Thresholds;
  readonly critical: Thresholds;
} {
  const none: Thresholds = new Map();
  if (given === undefined) return { warning: none, critical: none };
  const [, warning, critical] = /^(\d{1,5})(?:,(\d{1,5}))?$/.exec(given) ?? [];
  if (warning === undefined || Number(critical ?? 0) > Number(warning)) {
    throw usage(
      `--certificate-days takes WARN or WARN,CRIT in days, CRIT no more than WARN, not ${JSON.stringify(given)}`,
    );
  }
  const below = (days: string): Thresholds => new Map([['certificate', parseRange(`${days}:`) as Range]]);
  return { warning: below(warning), critical: critical === undefined ? none : below(critical) };
}

const isMetric = (name: string): name is MetricName => (METRIC_NAMES as readonly string[]).includes(name);

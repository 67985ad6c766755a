import { ProbeFailure } from '../dialogue/failure.ts';
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
        throw new ProbeFailure(
          'usage',
          `${option}: there is no metric "${name}"; there are time, time_PHASE, messages, octets and certificate`,
        );
      if (range === null)
        throw new ProbeFailure(
          'usage',
          `${option} takes [METRIC=]RANGE with a range such as 5, 10:, ~:10 or @10:20, not "${threshold}"`,
        );
      return [name, range];
    }),
  );
}

const isMetric = (name: string): name is MetricName => (METRIC_NAMES as readonly string[]).includes(name);

import { gather, isTest, remark, type Verdict } from '../verdict/judge.ts';
import type { Metric } from '../verdict/metric.ts';

/** One server, or one address of it, as a platform sees it that wants each by itself. */
export interface Member {
  /** What it is called among the others; nothing where a run never began. */
  readonly name: string;
  readonly verdict: Verdict;
}

/** The members of a verdict in its order: one of a single test and of a refusal. What was said of all is said of each. */
export function membersOf(verdict: Verdict): readonly Member[] {
  const { text, parts } = verdict;
  if (isTest(verdict) || !parts.some(isTest)) return [{ name: text, verdict }];
  const isRemark = (part: Verdict): boolean => !isTest(part) && part.state === 'ok';
  const remarks = parts.filter(isRemark);
  return parts
    .filter((part) => !isRemark(part))
    .map((part) => {
      const member = isTest(part) ? part : untested(part);
      return {
        name: text === '' ? member.text : `${text} ${member.text}`,
        verdict: { ...member, parts: [...member.parts, ...remarks] },
      };
    });
}

/** `192.0.2.2: not tested`, as a verdict on that address. */
function untested({ state, text }: Verdict): Verdict {
  const [name = '', ...why] = text.split(': ');
  return gather(name, [remark(state, why.join(': '))]);
}

/** What was measured of the mail server. */
export const measuredIn = (verdict: Verdict): readonly Metric[] => (isTest(verdict) ? verdict.metrics : []);

/** A number as every platform reads it: with a point, never with an exponent. */
export const decimal = (value: number, places = 6): string =>
  value
    .toFixed(places)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');

/** Control characters, and what else may end a line: text from outside is to stay in its own. */
export const inOneLine = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ');

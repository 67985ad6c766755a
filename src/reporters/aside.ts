import type { Verdict } from '../verdict/judge.ts';
import { footerOf } from './cmdlet.ts';
import type { Report } from './reporter.ts';

/** What people should know beside an output for programs: why nothing was tested, warnings, remarks. */
export function aside(verdict: Verdict): Pick<Report, 'stderr'> {
  const lines = footerOf(verdict);
  return lines.length === 0 ? {} : { stderr: lines.map((line) => `${line}\n`).join('') };
}

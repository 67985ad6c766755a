import { type TestVerdict, testsIn } from '../verdict/judge.ts';
import { aside } from './aside.ts';
import { peopleExit } from './cmdlet.ts';
import { recordOf, written } from './json.ts';
import type { Manner, Reporter } from './reporter.ts';

/** One result a line, each a JSON document of its own. */
export const ndjson: Reporter = (verdict, manner) => ({
  stdout: testsIn(verdict)
    .map((test) => ndjsonLine(test, manner))
    .join(''),
  ...aside(verdict),
  exitCode: peopleExit(verdict),
});

/** The line of one test, with its end: what is written while others still run. */
export const ndjsonLine = (test: TestVerdict, manner: Manner): string => `${written(recordOf(test, manner), 0)}\n`;

import type { ProbeResult } from '../probe/result.ts';
import type { Paint } from './layout.ts';
import type { Manner } from './reporter.ts';

/** Colours a result on a terminal that may be coloured. The colour says nothing that the word does not. */
export const paintFor =
  ({ width, isColoured }: Manner): Paint =>
  (text, value) => {
    const colour = COLOURS[value as ProbeResult['result']];
    return width === null || !isColoured || text === '' ? text : `\x1b[${colour}m${text}\x1b[0m`;
  };

/** Green, yellow, red: ECMA-48 §8.3.117. */
const COLOURS: Readonly<Record<ProbeResult['result'], number>> = { Success: 32, Skipped: 33, Failure: 31 };

import type { Verdict } from '../verdict/judge.ts';

/** Writes a verdict in one platform's own words. It neither probes nor prints. */
export type Reporter = (verdict: Verdict, manner: Manner) => Report;

/** How much is wanted beyond the verdict. */
export interface Manner {
  /** 0 to 3: how often `-v` was given. */
  readonly verbosity: number;
  /** Columns of the terminal it goes to; null where it goes to none. */
  readonly width: number | null;
  /** Whether events and performance counters are wanted (-MonitoringContext). */
  readonly monitoringContext: boolean;
  /** Whether a terminal may be given colours: not where NO_COLOR is set. Without a terminal there are none. */
  readonly isColoured: boolean;
  /** Whether what carries the output may cut it after 1 KiB, in the middle of a number: NRPE to an old client. */
  readonly isNarrow: boolean;
}

/** For a machine, and for whoever asked for nothing else. */
export const PLAIN_MANNER: Manner = {
  verbosity: 0,
  width: null,
  monitoringContext: false,
  isColoured: false,
  isNarrow: false,
};

export interface Report {
  readonly stdout: string;
  /** What people should read beside an output that a program reads, whole lines; nothing where it is missing. */
  readonly stderr?: string;
  readonly exitCode: number;
}

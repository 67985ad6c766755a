import type { Spoken } from '../probe/result.ts';
import type { Verdict } from '../verdict/judge.ts';

/** Writes a verdict in one platform's own words. It neither probes nor prints. */
export type Reporter = (verdict: Verdict, manner: Manner) => Report;

/** How much is wanted beyond the verdict. */
export interface Manner {
  /** 0 to 3: how often `-v` was given. */
  readonly verbosity: number;
  readonly conversation: readonly Spoken[];
}

export interface Report {
  readonly stdout: string;
  readonly exitCode: number;
}

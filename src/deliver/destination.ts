import type { Hold } from '../runtimes/node/reach.ts';

/** A result on its way to a platform that did not ask for it. */
export interface PassiveResult {
  readonly host: string;
  readonly service: string;
  /** 0 to 3, as a plugin exits. */
  readonly state: number;
  /** What a plugin prints, without performance data. */
  readonly output: string;
  /** `time=0.112s;5;10;0` */
  readonly perfdata: readonly string[];
  /** The same for a platform that takes JSON. */
  readonly json: string;
  /** When the test began and ended, in milliseconds since 1970. */
  readonly began: number;
  readonly ended: number;
}

/** A platform results are delivered to. */
export interface Destination {
  /**
   * Delivers results, as many as it can.
   *
   * @param settled is told of each one that was delivered, with null, and of each the platform will never take, with why
   * @param hold is given what has to be let go of when the time is over
   * @throws ProbeFailure where the platform cannot be reached or does not take anything from us: what is not settled waits
   */
  readonly deliver: (results: readonly PassiveResult[], settled: Settled, hold: Hold) => Promise<void>;
}

export type Settled = (result: PassiveResult, refusal: string | null) => void;

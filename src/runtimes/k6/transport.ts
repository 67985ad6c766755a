import type { Phase } from '../../dialogue/dialogue.ts';
import type { Link, LinkTerms } from '../../probe/world.ts';
import type { Derive } from './hashing.ts';

/** What k6 puts on its metrics. */
export type Tags = Readonly<Record<string, string>>;

/** One of the ways to a server that k6 has: an extension, and what can be done with it. */
export interface Transport {
  /** The extension, as it is imported. */
  readonly name: string;
  /** Milliseconds on the best clock there is. */
  readonly now: () => number;
  readonly dial: (terms: LinkTerms, call: Call) => Link;
  readonly derive: Derive;
  /** What it does not do, by the names of settings; a whole setting, or one value of it after `=`. */
  readonly lacks: readonly string[];
  /** What to do instead, for the words of a refusal. */
  readonly instead: string;
  /** Phases it does in the course of `connect`, so that no time can be told for them. */
  readonly untimed: readonly Phase[];
  /** Whether what is left open holds up the end of the iteration. */
  readonly holdsIteration: boolean;
}

/** One call of the module, as far as a connection is concerned. */
export interface Call {
  readonly tags: Tags;
  /** That of the server: k6's option `hosts` may name one. */
  readonly port: number;
  /** How long a connection may take at the most. */
  readonly timeoutMs: number;
}

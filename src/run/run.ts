import { probe } from '../probe/probe.ts';
import type { Spoken } from '../probe/result.ts';
import type { Stop, World } from '../probe/world.ts';
import type { Request } from '../request/request.ts';
import { judge, type TestVerdict } from '../verdict/judge.ts';

export interface Ran {
  readonly verdict: TestVerdict;
  readonly conversation: readonly Spoken[];
}

/**
 * Carries a request out: what the command line and the exporter both call.
 *
 * @param deadline when it has to have ended, on the clock of `world.now`
 */
export async function run(request: Request, world: World, stop: Stop, deadline: number): Promise<Ran> {
  const { result, conversation } = await probe(request.plan, world, stop, deadline);
  return { verdict: judge(result, request.policy), conversation };
}

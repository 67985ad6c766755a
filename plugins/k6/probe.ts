import { asFailure, ProbeFailure } from '../../src/dialogue/failure.ts';
import { probe as probeServer } from '../../src/probe/probe.ts';
import type { ProbeResult } from '../../src/probe/result.ts';
import type { Request } from '../../src/request/request.ts';
import type { Tags, Transport } from '../../src/runtimes/k6/transport.ts';
import { judge, type Policy } from '../../src/verdict/judge.ts';
import { notBegun, readCall, toldToScripts, worldFor } from './call.ts';
import { recordProbe } from './metrics.ts';

/**
 * `probe()` of the module: a logon and a look at the mailbox, measured by k6's metrics.
 *
 * @returns the ProbeResult of every platform; a failure is one too
 * @throws Error for a mistake in the script alone
 */
export const probeOver =
  (transport: Transport) =>
  async (options: unknown): Promise<ProbeResult> => {
    const { tags, settings, request } = await readCall('probe', options, transport);
    if (request instanceof ProbeFailure) {
      const result = notBegun(settings, request);
      recordProbe(result, false, tags);
      return result;
    }
    const result = await carriedOut(request, transport, tags).catch((problem) =>
      notBegun(settings, asFailure(problem)),
    );
    recordProbe(result, isGood(result, request.policy), tags);
    return result;
  };

async function carriedOut(request: Request, transport: Transport, tags: Tags): Promise<ProbeResult> {
  const world = worldFor(transport, request, tags);
  const { result } = await probeServer(request.plan, world, null, world.now() + request.plan.timeoutMs);
  return { ...toldToScripts(result), phases: result.phases.filter(({ name }) => !transport.untimed.includes(name)) };
}

/** A test that could be completed, or failed as was expected, and of which the verdict is no worse than WARNING. */
function isGood(result: ProbeResult, policy: Policy): boolean {
  // Where nothing else was asked for, that is all, and a verdict takes a tenth of the time of a session.
  if (policy.expect === null && policy.severity.size === 0 && policy.critical.size === 0) return result.error === null;
  // A certificate's days count where they were asked for: a threshold on their Gauge is k6's way.
  const { state } = judge(result, { ...policy, certificateDefaults: false });
  return state === 'ok' || (state === 'warning' && result.error === null);
}

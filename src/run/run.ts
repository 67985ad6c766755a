import type { Address } from '../dialogue/dialogue.ts';
import { addressesOf, type Probed, probe } from '../probe/probe.ts';
import type { Stop, World } from '../probe/world.ts';
import type { Request } from '../request/request.ts';
import { gather, judge, remark, type Verdict } from '../verdict/judge.ts';

/**
 * Carries a request out: what the command line and the exporter both call.
 *
 * @param deadline when it has to have ended, on the clock of `world.now`
 */
export async function run(request: Request, world: World, stop: Stop, deadline: number): Promise<Verdict> {
  return request.allAddresses
    ? await runEach(request, world, stop, deadline)
    : verdictOn(request, await probe(request.plan, world, stop, deadline));
}

const verdictOn = ({ policy }: Request, { result, conversation, remarks }: Probed): Verdict =>
  judge(result, { ...policy, remarks: [...policy.remarks, ...remarks] }, conversation);

/**
 * Tests each address behind a name, one after the other: a mailbox is often locked while it is open, and servers
 * limit how many sessions a user has. Each has its share of the time that is left, so that a dead one leaves some to
 * the others.
 */
async function runEach(request: Request, world: World, stop: Stop, deadline: number): Promise<Verdict> {
  const { plan, policy } = request;
  const found = await addressesOf(plan, world, stop, deadline);
  if ('probed' in found) return verdictOn(request, found.probed);
  const ran: { readonly address: Address; readonly probed: Probed }[] = [];
  for (const [at, address] of found.addresses.entries()) {
    const share = (deadline - world.now()) / (found.addresses.length - at);
    const each = { ...plan, visit: { ...plan.visit, to: address } };
    const probed = await probe(each, world, stop, world.now() + share);
    ran.push({ address, probed });
    if (probed.result.error?.reason === 'interrupted') break;
  }
  const tested = ran.map(
    ({ address, probed }): Verdict => ({
      ...judge(probed.result, { ...policy, remarks: probed.remarks }, probed.conversation),
      text: address.address,
    }),
  );
  const untested = found.addresses.slice(ran.length).map(({ address }) => remark('unknown', `${address}: not tested`));
  const remarks = policy.remarks.map((text) => remark('ok', text));
  return gather(plan.server, [...tested, ...untested, ...remarks]);
}

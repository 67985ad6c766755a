import type { Socket } from 'node:net';
import type { Address, Entered } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { ProxyPlan } from '../../probe/world.ts';
import { ProxyTalk, proxyFailed } from './proxy-talk.ts';
import { type Hold, reach } from './reach.ts';

/** A proxy that has let us in. */
export interface Entry {
  readonly entered: Entered;
  /**
   * Has it connect to a server, once.
   *
   * @returns the connection, on which the server speaks from now on; what it said already is still to be read
   * @throws ProbeFailure of the phase `connect` for what the proxy says of the server, of the phase `proxy` for the rest
   */
  readonly connect: (to: string | Address, port: number) => Promise<Socket>;
}

/** How to get to a server. */
interface Way {
  readonly family: 0 | 4 | 6;
  readonly proxy: ProxyPlan | null;
}

/**
 * A connection to a server by its name, through the proxy where there is one.
 *
 * @throws ProbeFailure `dns-not-found`, `connection-refused` …; `proxy-failed`
 */
export async function reachBy({ family, proxy }: Way, to: string | Address, port: number, hold: Hold): Promise<Socket> {
  if (proxy === null) return await reach(to, port, family, hold);
  const entry = await enterProxy(proxy, family, hold);
  return await entry.connect(to, port);
}

/**
 * Goes to a proxy and does what it wants done before it is told where to: a SOCKS proxy lets us in or refuses us then, an
 * HTTP proxy does so only with its answer to `connect`.
 *
 * @param family which addresses of the proxy's own name count; those of the server are the proxy's business
 * @throws ProbeFailure `proxy-failed` of the phase `proxy`
 */
export async function enterProxy(plan: ProxyPlan, family: 0 | 4 | 6, hold: Hold): Promise<Entry> {
  // Few runs need either.
  const { enter, connect } = plan.kind === 'socks5' ? await import('./socks5.ts') : await import('./http-connect.ts');
  const socket = await blamedOnProxy(reach(plan.to, plan.port, family, hold), 'the proxy cannot be reached');
  const entered = { address: socket.remoteAddress ?? '', port: plan.port };
  const talk = new ProxyTalk(socket);
  await blamedOnProxy(enter(talk, plan.credential), 'the proxy broke off');
  return {
    entered,
    async connect(to, port) {
      if (typeof to !== 'string' && to.address.includes('%')) {
        throw new ProbeFailure('configuration', `${to.address}: the zone of an address means nothing to a proxy`);
      }
      await blamedOnProxy(connect(talk, to, port, plan.credential), 'the proxy broke off');
      return talk.end();
    },
  };
}

/** Whatever nobody knew better is the proxy's fault, as far as the mail server goes. */
async function blamedOnProxy<T>(done: Promise<T>, words: string): Promise<T> {
  try {
    return await done;
  } catch (problem) {
    if (!(problem instanceof ProbeFailure) || problem.phase !== null) throw problem;
    const isOurs = problem.reason === 'local-resources' || problem.reason === 'configuration';
    if (!isOurs) throw proxyFailed(`${words}: ${problem.message}`);
    problem.phase = 'proxy';
    throw problem;
  }
}

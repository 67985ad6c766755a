import { base64, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { type Mask, maskFor } from '../dialogue/secret.ts';
import type { DestinationPlan } from '../request/delivery.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { type HttpAnswer, keepConnections, post } from '../runtimes/node/http.ts';
import type { Destination, PassiveResult } from './destination.ts';
import { eachOf } from './each-of.ts';
import { quoted } from './quoted.ts';

type Plan = Extract<DestinationPlan, { kind: 'icinga2' }>;

/** As many requests at a time: the API answers one after the other on each connection. */
const CONNECTIONS = 8;

/**
 * Icinga 2's API, a request for each result (process-check-result,
 * https://icinga.com/docs/icinga-2/latest/doc/12-icinga2-api/#process-check-result).
 */
export const icinga2 = (plan: Plan): Destination => ({
  async deliver(results, settled, hold) {
    const connections = keepConnections(CONNECTIONS);
    hold(connections.close);
    const url = `${plan.url}/v1/actions/process-check-result`;
    const headers = headersFor(plan);
    const mask = maskFor(plan.credential === null ? [] : [plan.credential.password]);
    const checkSource = plan.checkSource ?? builtin.os().hostname();
    try {
      await eachOf(results, CONNECTIONS, async (result) => {
        const body = utf8(JSON.stringify(bodyOf(result, checkSource, plan.ttlS)));
        const posting = post({ url, headers, body, terms: plan.http, connections });
        hold(posting.abandon);
        settled(result, refusalIn(await posting.done, mask));
      });
    } finally {
      connections.close();
    }
  },
});

const headersFor = ({ credential }: Plan): Readonly<Record<string, string>> => ({
  'Content-Type': 'application/json',
  Accept: 'application/json', // without it Icinga takes an action for a browser's
  'User-Agent': 'pop-connectivity',
  ...(credential === null
    ? {}
    : { Authorization: `Basic ${base64(utf8(`${credential.userName}:${credential.password.reveal()}`))}` }),
});

const bodyOf = (result: PassiveResult, checkSource: string, ttlS: number | null): object => ({
  type: 'Service',
  service: `${result.host}!${result.service}`,
  exit_status: result.state,
  plugin_output: result.output,
  performance_data: result.perfdata,
  check_source: checkSource,
  execution_start: result.began / 1000,
  execution_end: result.ended / 1000,
  ...(ttlS === null ? {} : { ttl: ttlS }),
});

/**
 * What has become of one result: null where Icinga took it, else why it never will.
 *
 * @throws ProbeFailure where it takes none at all, or none now
 */
function refusalIn({ status, body }: HttpAnswer, mask: Mask): string | null {
  if (status === 401) throw new ProbeFailure('configuration', 'the API user or password was not accepted (HTTP 401)');
  if (status === 403) {
    throw new ProbeFailure('configuration', 'the API user may not actions/process-check-result (HTTP 403)');
  }
  const said = saidIn(body);
  if (said === null && status < 500) {
    throw new ProbeFailure('configuration', `the answer is not one of Icinga (HTTP ${status}): look at the URL`);
  }
  // 409: it has a newer one, as from 2.14 on it says. Then nothing is lost that it still wants.
  if (said?.isOnResult && (status === 200 || (status === 409 && /newer/i.test(said.words)))) return null;
  if (status === 404 && said?.words.startsWith('No objects found')) return NO_SERVICE;
  // What it fails at is refused as well: the others are not to wait for it.
  const isRefused = said?.isOnResult ? status !== 503 : status === 400;
  const words = `HTTP ${status}${quoted(mask(said?.words ?? ''))}`;
  if (isRefused) return `Icinga refused it: ${words}`;
  throw new ProbeFailure(status >= 500 ? 'server-temporary' : 'configuration', `Icinga answered ${words}`);
}

/** To a user without the permission Icinga says the same, up to 2.13 at least. */
const NO_SERVICE = 'Icinga has no such service, or the API user may not actions/process-check-result (HTTP 404)';

interface Said {
  readonly words: string;
  /** They are on the one result; else on the request. */
  readonly isOnResult: boolean;
}

/** What Icinga says in an answer; null where it is not Icinga that answers. */
function saidIn(body: string): Said | null {
  try {
    const { error, status, results } = JSON.parse(body) as Partial<Record<string, unknown>>;
    const [result] = Array.isArray(results) ? (results as readonly { readonly status?: unknown }[]) : [];
    if (typeof result?.status === 'string') return { words: result.status, isOnResult: true };
    return typeof error === 'number' && typeof status === 'string' ? { words: status, isOnResult: false } : null;
  } catch {
    return null;
  }
}

import { base64, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
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
    const checkSource = plan.checkSource ?? builtin.os().hostname();
    try {
      await eachOf(results, CONNECTIONS, async (result) => {
        const body = utf8(JSON.stringify(bodyOf(result, checkSource, plan.ttlS)));
        const posting = post({ url, headers, body, terms: plan.http, connections });
        hold(posting.abandon);
        settled(result, refusalIn(await posting.done));
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
function refusalIn(answer: HttpAnswer): string | null {
  const { status } = answer;
  if (status === 200) return null;
  if (status === 404) return `Icinga has no such service (HTTP 404)`;
  if (status === 401) throw new ProbeFailure('configuration', 'the API user or password was not accepted (HTTP 401)');
  if (status === 403) {
    throw new ProbeFailure('configuration', 'the API user may not actions/process-check-result (HTTP 403)');
  }
  const said = saidBy(answer);
  if (status === 400 || status === 409 || status === 422) return `Icinga refused it: HTTP ${status}${said}`;
  throw new ProbeFailure(status >= 500 ? 'server-temporary' : 'configuration', `Icinga answered HTTP ${status}${said}`);
}

/** The words of an answer, in an error of its own or in that of its one result. */
function saidBy({ body }: HttpAnswer): string {
  try {
    const { status, results } = JSON.parse(body) as { status?: unknown; results?: readonly { status?: unknown }[] };
    return quoted(results?.[0]?.status ?? status);
  } catch {
    return '';
  }
}

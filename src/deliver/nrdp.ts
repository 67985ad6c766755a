import { utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { type Mask, maskFor } from '../dialogue/secret.ts';
import type { DestinationPlan } from '../request/delivery.ts';
import { type HttpAnswer, post } from '../runtimes/node/http.ts';
import type { Destination, PassiveResult } from './destination.ts';
import { quoted } from './quoted.ts';

type Plan = Extract<DestinationPlan, { kind: 'nrdp' }>;

/** As many results in one request. */
const MOST_AT_ONCE = 200;

/** NRDP, the passive door of Nagios over HTTPS (`cmd=submitcheck`, https://github.com/NagiosEnterprises/nrdp). */
export const nrdp = ({ url, http: terms, token }: Plan): Destination => ({
  async deliver(results, settled, hold) {
    for (let at = 0; at < results.length; at += MOST_AT_ONCE) {
      const some = results.slice(at, at + MOST_AT_ONCE);
      const form = {
        token: token.reveal(),
        cmd: 'submitcheck',
        json: JSON.stringify({ checkresults: some.map(asJson) }),
      };
      const body = utf8(new URLSearchParams(form).toString());
      // The folder of a server: without the slash it points elsewhere.
      const posting = post({ url: `${url}/`, headers: HEADERS, body, terms });
      hold(posting.abandon);
      refuse(await posting.done, maskFor([token]));
      for (const result of some) settled(result, null);
    }
  },
});

const HEADERS = {
  'Content-Type': 'application/x-www-form-urlencoded',
  Accept: 'application/json, text/xml',
  'User-Agent': 'pop-connectivity',
} as const;

const asJson = ({ host, service, state, output, perfdata, ended }: PassiveResult): object => {
  const [first = '', ...more] = output.replace(/\\/g, '\\\\').split('\n'); // Nagios reads \n as a line end
  const charted = perfdata.length === 0 ? first : `${first} | ${perfdata.join(' ')}`;
  return {
    checkresult: { type: 'service', checktype: '1' },
    hostname: host,
    servicename: service,
    state: String(state),
    output: [charted, ...more].join('\n'),
    time: String(Math.floor(ended / 1000)),
  };
};

/**
 * NRDP tells what became of a request in its body, and by status 200 whatever it was.
 *
 * @throws ProbeFailure unless it took them
 */
function refuse({ status, body }: HttpAnswer, mask: Mask): void {
  if (status >= 500) throw new ProbeFailure('server-temporary', `NRDP answered HTTP ${status}`);
  if (status !== 200) throw new ProbeFailure('configuration', `NRDP answered HTTP ${status}`);
  const said = saidIn(body);
  if (said === null) throw new ProbeFailure('configuration', 'the answer is not one of NRDP: look at the URL');
  if (said.status === '0') return;
  throw new ProbeFailure('configuration', `NRDP refused the request${quoted(mask(said.message))}`);
}

interface Said {
  readonly status: string;
  readonly message: string;
}

/** What NRDP says, in JSON or, as older ones always do, in XML; null where it is not NRDP that answers. */
function saidIn(body: string): Said | null {
  const [, code, words = ''] = /<result>\s*<status>(-?\d+)<\/status>(?:\s*<message>([^<]*)<)?/.exec(body) ?? [];
  if (code !== undefined) return { status: code, message: words };
  try {
    const { status, message = '' } = (JSON.parse(body) as { result: Partial<Record<string, unknown>> }).result;
    return status === undefined ? null : { status: String(status), message: String(message) };
  } catch {
    return null;
  }
}

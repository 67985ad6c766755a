import { ProbeFailure } from '../dialogue/failure.ts';
import type { DestinationPlan } from '../request/delivery.ts';
import { failureOf } from '../runtimes/node/errors.ts';
import { type Hold, reach } from '../runtimes/node/reach.ts';
import type { Destination, PassiveResult, Settled } from './destination.ts';
import { quoted } from './quoted.ts';

type Plan = Extract<DestinationPlan, { kind: 'zabbix' }>;

/** As many values in one request, as zabbix_sender sends them. */
const MOST_AT_ONCE = 250;

/**
 * Zabbix trapper items: `pop3.trap[SERVICE]` of the host, the value one JSON object
 * (https://www.zabbix.com/documentation/6.0/en/manual/appendix/items/trapper).
 */
export const zabbix = (plan: Plan): Destination => ({
  async deliver(results, settled, hold) {
    for (let at = 0; at < results.length; at += MOST_AT_ONCE) {
      const some = results.slice(at, at + MOST_AT_ONCE);
      const { processed, failed } = await ask(plan, some, hold);
      if (processed === some.length) for (const result of some) settled(result, null);
      else if (failed === some.length) for (const result of some) settled(result, NO_ITEM);
      else await oneByOne(plan, some, settled, hold);
    }
  },
});

const NO_ITEM = 'Zabbix has no trapper item of that host and key, or takes none from this machine';

/** Zabbix says how many it did not take, and not which. */
async function oneByOne(plan: Plan, results: readonly PassiveResult[], settled: Settled, hold: Hold): Promise<void> {
  for (const result of results) {
    const { processed } = await ask(plan, [result], hold);
    settled(result, processed === 1 ? null : NO_ITEM);
  }
}

/** The key of the item. Quotes stand where Zabbix itself puts them in discovery, and nowhere else: it compares texts. */
export const keyOf = (service: string): string =>
  `pop3.trap[${/^[ "[]|[,\]]/.test(service) ? `"${service.replace(/"/g, '\\"')}"` : service}]`;

async function ask(plan: Plan, results: readonly PassiveResult[], hold: Hold): Promise<Counts> {
  const now = Date.now();
  const data = results.map(({ host, service, json, ended }) => ({
    host,
    key: keyOf(service),
    value: json,
    // The test's own: what is delivered twice is then the same value, and stands there once.
    ...clockOf(ended),
  }));
  const socket = await reach(plan.host.address ?? plan.host.ascii, plan.port, 0, hold);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const arrived: Buffer[] = [];
    socket.on('data', (octets: Buffer) => {
      arrived.push(octets);
      const all = Buffer.concat(arrived);
      if (isWhole(all) || !mayBeZabbix(all)) resolve(all);
    });
    socket.on('error', (error) => reject(failureOf(error)));
    socket.on('close', () => resolve(Buffer.concat(arrived)));
    socket.write(framed(JSON.stringify({ request: 'sender data', data, ...clockOf(now) })));
  });
  socket.destroy();
  return countsIn(answer);
}

/** Zabbix counts seconds and nanoseconds apart. */
const clockOf = (ms: number): { readonly clock: number; readonly ns: number } => ({
  clock: Math.floor(ms / 1000),
  ns: Math.floor((ms % 1000) * 1e6),
});

const HEADER = 13;
const LONGEST_ANSWER = 1 << 16;

/** `ZBXD`, the protocol, and the length: https://www.zabbix.com/documentation/6.0/en/manual/appendix/protocols/header_datalen */
function framed(json: string): Buffer {
  const content = Buffer.from(json, 'utf8');
  const header = Buffer.alloc(HEADER);
  header.write('ZBXD\x01', 'latin1');
  header.writeUInt32LE(content.length, 5);
  return Buffer.concat([header, content]);
}

const isWhole = (octets: Buffer): boolean =>
  octets.length >= HEADER && octets.length >= HEADER + octets.readUInt32LE(5);

/** Whether what has arrived may become an answer of Zabbix, and one that is short enough to be waited for. */
const mayBeZabbix = (octets: Buffer): boolean =>
  'ZBXD'.startsWith(octets.toString('latin1', 0, 4)) &&
  (octets.length < HEADER || octets.readUInt32LE(5) <= LONGEST_ANSWER);

interface Counts {
  readonly processed: number;
  readonly failed: number;
}

/** It says `success` also where it took nothing: the counts are in its words. */
function countsIn(answer: Buffer): Counts {
  if (answer.length === 0) throw new ProbeFailure('hung-up', 'Zabbix closed the connection without an answer');
  if (!mayBeZabbix(answer)) {
    throw new ProbeFailure('configuration', 'the answer is not one of Zabbix: look at host and port');
  }
  if (!isWhole(answer)) throw new ProbeFailure('hung-up', 'Zabbix broke off in its answer');
  let response: unknown;
  let info: unknown;
  try {
    ({ response, info } = JSON.parse(answer.toString('utf8', HEADER, HEADER + answer.readUInt32LE(5))));
  } catch {
    throw new ProbeFailure('protocol-violation', 'the answer of Zabbix is no JSON');
  }
  const [, processed, failed] = /processed: (\d+); failed: (\d+)/.exec(String(info)) ?? [];
  if (response !== 'success' || processed === undefined) {
    throw new ProbeFailure('configuration', `Zabbix refused the request${quoted(info)}`);
  }
  return { processed: Number(processed), failed: Number(failed) };
}

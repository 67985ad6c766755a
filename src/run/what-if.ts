import { describeWay } from '../probe/mailing.ts';
import type { Request } from '../request/request.ts';

/** Every operation a request would lead to, a line each, in the words of the cmdlet's -WhatIf. */
export function operationsOf({ plan, allAddresses }: Request): readonly string[] {
  const { visit, fullTest, server } = plan;
  const where = `${server} port ${visit.port} (${visit.connectionType})`;
  const each = allAddresses ? ', at each of its addresses' : '';
  const logOn = `log on to ${where} as ${visit.login.userName}${each}`;
  if (fullTest === null) return [logOn];
  const { from, to, send, split, keepStale } = fullTest;
  const sender = send.credential === null ? '' : ` as ${send.credential.userName}`;
  const mail = `send a message from ${from} to ${to} through ${describeWay(send)} (${send.via})${sender}`;
  const stale =
    'delete messages of earlier runs, those that bear our signature and have expired or are of runs that have ended';
  const find = split
    ? 'find the message of the run before, retrieve and delete it'
    : 'find that message, retrieve and delete it';
  return [logOn, ...(keepStale ? [] : [stale]), ...(split ? [find, mail] : [mail, find])];
}

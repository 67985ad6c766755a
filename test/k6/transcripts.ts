import { CUTS, coarser } from '../support/k6-cuts.ts';
import { outcomeOf, parseTranscript, play, warningsOf } from '../support/transcript.ts';

/**
 * A script for k6's engine: plays the transcripts, which come as JSON in the file TRANSCRIPTS names, under the real
 * driver, and gives back what came of each, cut in each way.
 */

const contents: Readonly<Record<string, string>> = JSON.parse(open(__ENV.TRANSCRIPTS as string));

export default async function (): Promise<Readonly<Record<string, unknown>>> {
  const came: Record<string, unknown> = {};
  for (const [name, content] of Object.entries(contents)) {
    for (const cut of CUTS) came[`${name} ${cut}`] = await playedIn(name, content, cut);
  }
  return came;
}

async function playedIn(name: string, content: string, cut: number): Promise<unknown> {
  const transcript = parseTranscript(name, content);
  const { account, link, pendingTimers } = await play(transcript, coarser(transcript, cut));
  return {
    result: outcomeOf(account),
    warned: warningsOf(account),
    found: 'value' in account.outcome ? account.outcome.value : null,
    sent: link.sent,
    said: account.conversation.map(({ who, words }) => `${who} ${words}`),
    closed: link.closed,
    pendingTimers,
  };
}

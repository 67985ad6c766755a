import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { missing } from '../../support/installed.ts';
import { CUTS, coarser } from '../../support/k6-cuts.ts';
import { bundleForEngine, inEngine } from '../../support/k6-engine.ts';
import { builtRunner, GO } from '../../support/k6-runner.ts';
import { privateFolder } from '../../support/run.ts';
import { outcomeOf, play, transcripts, warningsOf } from '../../support/transcript.ts';

interface Played {
  readonly result: string;
  readonly warned: readonly string[];
  readonly found: unknown;
  readonly sent: readonly string[];
  readonly said: readonly string[];
  readonly closed: boolean;
  readonly pendingTimers: number;
}

const ALL = transcripts();

describe.skipIf(missing(GO))("the transcripts in k6's JavaScript engine", () => {
  const folder = privateFolder();
  let came: Readonly<Record<string, Played>>;

  beforeAll(async () => {
    await builtRunner();
    const script = `${folder.path}/transcripts.js`;
    await bundleForEngine('test/k6/transcripts.ts', script);
    const names = readdirSync('test/transcripts').filter((file) => file.endsWith('.pop3'));
    const contents = names.map((file) => [file.replace('.pop3', ''), readFileSync(`test/transcripts/${file}`, 'utf8')]);
    const file = folder.file('transcripts.json', JSON.stringify(Object.fromEntries(contents)));
    const { iterations } = await inEngine<Record<string, Played>>(['-e', `TRANSCRIPTS=${file}`, script]);
    expect(iterations[0]?.thrown).toBeUndefined();
    came = iterations[0]?.returned ?? {};
  });

  test('all of them were played, whole and in pieces', () => {
    expect(ALL.length).toBeGreaterThan(150);
    expect(Object.keys(came)).toHaveLength(ALL.length * CUTS.length);
  });

  describe.each(CUTS)('in pieces of %d', (cut) => {
    test.each(ALL.map((transcript) => [transcript.name, transcript] as const))('%s', async (name, transcript) => {
      const played = came[`${name} ${cut}`];
      expect(played?.result).toBe(transcript.expected.result);
      expect(played?.warned).toEqual(transcript.expected.warned);
      if (transcript.expected.found !== null) expect(played?.found).toEqual(JSON.parse(transcript.expected.found));
      expect(played?.closed).toBe(true);
      expect(played?.pendingTimers).toBe(0);
      // And word for word as in Node.
      const { account, link } = await play(transcript, coarser(transcript, cut));
      expect(played?.result).toBe(outcomeOf(account));
      expect(played?.warned).toEqual(warningsOf(account));
      expect(played?.sent).toEqual(link.sent);
      expect(played?.said).toEqual(account.conversation.map(({ who, words }) => `${who} ${words}`));
    });
  });
});

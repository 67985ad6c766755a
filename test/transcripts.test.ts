import { describe, expect, test } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { visit } from '../src/pop3/visit.ts';
import { secretOf } from '../src/sasl/mechanism.ts';
import { outcomeOf, play, type Transcript, transcripts, warningsOf } from './support/transcript.ts';

const ALL = transcripts();
const CUTS = [
  ['whole', 0],
  ['in sevens', 7],
  ['octet by octet', 1],
] as const;

/** Looked for where there is none to hide. */
const NO_PASSWORD = 'no password at all';

test('there are transcripts enough to mean something', () => {
  expect(ALL.length).toBeGreaterThan(50);
});

describe.each(ALL.map((transcript) => [transcript.name, transcript] as const))('%s', (_, transcript) => {
  test.each(CUTS)('ends as it should, %s', async (__, cut) => {
    const { account, link, pendingTimers } = await play(transcript, cut);
    expect(outcomeOf(account)).toBe(transcript.expected.result);
    expect(warningsOf(account)).toEqual(transcript.expected.warned);
    if (transcript.expected.found !== null) {
      expect('value' in account.outcome && account.outcome.value).toEqual(JSON.parse(transcript.expected.found));
    }
    for (const shown of transcript.expected.shows) {
      const { message = '', said = '' } = 'failure' in account.outcome ? account.outcome.failure : {};
      expect(`${message} ${said}`).toContain(shown);
    }
    if ('value' in account.outcome) {
      expect(link.left().filter(({ does }) => does !== 'closes' && does !== 'keeps silent')).toEqual([]);
    }
    expect(link.closed).toBe(true);
    expect(pendingTimers).toBe(0);
  });

  test('shows the password nowhere in its trace', async () => {
    const password = secretOf(transcript.plan.login)?.reveal() ?? NO_PASSWORD;
    // The middle of its base 64 is the same wherever it stands after one octet.
    const encoded = Buffer.from(`\0${password}`).toString('base64').slice(2, -4);
    for (const [, cut] of CUTS) {
      const { account } = await play(transcript, cut);
      const shown = JSON.stringify(account.conversation);
      for (const hidden of [password, ...transcript.expected.hides]) expect(shown).not.toContain(hidden);
      if (encoded.length > 8) expect(shown).not.toContain(encoded);
    }
  });

  test('ends at once and cleanly when a signal comes at any want', async () => {
    const { link: whole } = await play(transcript, 0);
    for (let at = 1; at <= whole.wants; at++) {
      const { account, link, pendingTimers } = await play(transcript, 0, at);
      expect('failure' in account.outcome && account.outcome.failure.reason, `at want ${at}`).toBe('interrupted');
      expect(link.wants).toBe(at);
      expect(link.closed).toBe(true);
      expect(pendingTimers).toBe(0);
    }
    expect(whole.wants).toBeGreaterThan(0);
  });
});

test('an exchange that is broken off hears the server out', async () => {
  const broken = ALL.filter(({ steps }) => steps.some((step) => step.does === 'hears' && step.line === '*'));
  expect(broken.length).toBeGreaterThan(5);
  for (const transcript of broken) {
    const { link } = await play(transcript, 0);
    expect(link.left().filter(({ does }) => does !== 'closes')).toEqual([]);
  }
});

describe('a dialogue by itself', () => {
  test.each(ALL.map((transcript) => [transcript.name, transcript] as const))(
    '%s: return() and throw() end it at every want',
    async (_, transcript) => {
      for (const how of ['return', 'throw'] as const) {
        for (let at = 1; ; at++) {
          const dialogue = visit(transcript.plan, transcript.errand);
          const script = [...transcript.steps];
          if (!(await advance(dialogue, script, transcript, at))) break;
          if (how === 'return') {
            expect(dialogue.return(undefined)).toEqual({ done: true, value: undefined });
          } else {
            const failure = new ProbeFailure('interrupted', 'ended');
            expect(() => dialogue.throw(failure)).toThrow(failure);
          }
          expect(dialogue.next().done).toBe(true);
        }
      }
    },
  );
});

/** Answers wants by hand until the n-th is open; false where the dialogue ends before it. */
async function advance(
  dialogue: ReturnType<typeof visit>,
  script: Transcript['steps'][number][],
  { secured, hash }: Transcript,
  wants: number,
): Promise<boolean> {
  try {
    let step = dialogue.next();
    for (let at = 1; !step.done; at++) {
      if (at === wants) return true;
      const want = step.value;
      const next = script[0];
      if (want.want === 'resolve') want.slot.put([{ address: '192.0.2.1', family: 4 }]);
      if (want.want === 'proxy') want.slot.put({ address: '192.0.2.9', port: 1080 });
      if (want.want === 'connect') want.slot.put({ address: '192.0.2.1', dead: [] });
      if (want.want === 'secure') want.slot.put(secured);
      if (want.want === 'read') want.slot.put(next?.does === 'says' ? next.octets : null);
      if (want.want === 'derive') want.slot.put(await hash(want.recipe));
      if (want.want !== 'note' && want.want !== 'derive') script.shift();
      step = dialogue.next();
    }
    return false;
  } catch (problem) {
    if (problem instanceof ProbeFailure) return false;
    throw problem;
  }
}

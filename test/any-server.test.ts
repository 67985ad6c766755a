import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dialogue } from '../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { maskFor, Secret } from '../src/dialogue/secret.ts';
import { stat } from '../src/pop3/mailbox.ts';
import { type VisitPlan, visit } from '../src/pop3/visit.ts';
import { Wire } from '../src/pop3/wire.ts';
import { drive } from '../src/probe/drive.ts';
import type { Link } from '../src/probe/world.ts';
import { parseTranscript } from './support/transcript.ts';

const CASES = 20_000;
const MIB = 1024 * 1024;

/** What servers say, what they should not, and plain noise. */
const speech = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      '+OK\r\n',
      '+OK ready\r\n',
      '-ERR\r\n',
      '-ERR [AUTH] no\r\n',
      '-ERR [SYS/TEMP/X] later\r\n',
      '+OK 3 120\r\n',
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '+OK\r\nUSER\r\nSTLS\r\nSASL PLAIN\r\n.\r\n',
      '.\r\n',
      '+ \r\n',
      '+\r\n',
      '+OK\n',
      '\r\n',
      '..\r\n',
      '\0',
      '+ !!\r\n',
    ),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets).toString('latin1')) },
);

/** A server that mostly says the right thing in its turn, and then some. */
const turn = (right: string) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(right) }, { weight: 2, arbitrary: speech });
const CAPABILITIES = '+OK\r\nUSER\r\nSTLS\r\nSASL PLAIN\r\n.\r\n';
const turns = fc
  .tuple(
    fc.tuple(...['+OK ready\r\n', CAPABILITIES, '+OK\r\n', '+OK\r\n', '+OK 3 120\r\n', '+OK\r\n'].map(turn)),
    fc.array(speech, { maxLength: 6 }),
  )
  .map(([right, more]) => [...right, ...more]);

const anyPlan = fc.record({
  connectionType: fc.constantFrom('plaintext', 'tls', 'ssl'),
  method: fc.constantFrom('auto', 'user', 'plain'),
  cut: fc.integer({ min: 1, max: 50 }),
  ending: fc.constantFrom('close', 'reset'),
  said: turns,
});

const SECURED = parseTranscript('secured', 'plan: ssl\nresult: success').secured;

describe('whatever a server says', () => {
  test(`a visit ends with an answer or a reason (${CASES} servers)`, async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(anyPlan, async ({ connectionType, method, cut, ending, said }) => {
        let clock = 0;
        const link = talker(said, cut, ending);
        const account = await drive(
          visit(planOf(connectionType, method), (wire) => wire.during('mailbox', stat(wire))),
          link,
          {
            // Time passes with every want, so that no server can keep this test for ever.
            world: {
              now: () => clock++,
              timer: () => () => undefined,
              hash: () => Promise.reject(new Error('unused')),
            },
            deadline: 10_000,
            allowedMs: 10_000,
            mask: maskFor([new Secret('correct horse')]),
            trace: true,
            stop: null,
          },
        );
        if ('failure' in account.outcome) {
          expect(account.outcome.failure).toBeInstanceOf(ProbeFailure);
          expect(account.outcome.failure.phase).not.toBeNull();
        }
        const how = 'failure' in account.outcome ? account.outcome.failure.reason : 'success';
        seen.set(how, (seen.get(how) ?? 0) + 1);
        expect(JSON.stringify(account.conversation)).not.toContain('correct horse');
      }),
      { numRuns: CASES },
    );
    // A generator that only ever made one kind of server would prove little.
    expect([...seen.keys()]).toEqual(
      expect.arrayContaining(['success', 'login-refused', 'not-pop3', 'protocol-violation', 'hung-up']),
    );
  });

  test.each([
    ['a line without an end', 'x'.repeat(4096), (wire: Wire) => wire.reply()],
    ['a body line without an end', 'x'.repeat(4096), (wire: Wire) => wire.body(64 * MIB, { push: () => undefined })],
    ['a body without an end', 'x\r\n'.repeat(1000), (wire: Wire) => wire.body(8 * MIB, { push: () => undefined })],
  ])('%s is held in less than 1 MiB', (_, chunk, listen) => {
    const wire = new Wire();
    const dialogue: Dialogue<unknown> = listen(wire);
    let most = 0;
    expect(() => {
      for (let step = dialogue.next(); !step.done; step = dialogue.next()) {
        if (step.value.want === 'read') step.value.slot.put(Buffer.from(chunk));
        most = Math.max(most, wire.peek().length);
      }
    }).toThrow(ProbeFailure);
    expect(most).toBeLessThan(MIB);
  });
});

const planOf = (connectionType: VisitPlan['connectionType'], method: VisitPlan['login']['method']): VisitPlan => ({
  to: { address: '192.0.2.1', family: 4 },
  port: 110,
  connectionType,
  viaProxy: false,
  trustAnyCertificate: false,
  login: { kind: 'password', method, userName: 'alice', password: new Secret('correct horse') },
});

/** A link that says one thing after each it hears, and more if it is asked, in pieces. */
function talker(said: readonly string[], cut: number, ending: 'close' | 'reset'): Link {
  const turns = said.map((words) => Buffer.from(words, 'latin1'));
  return {
    resolve: async () => [],
    reachProxy: async () => ({ address: '192.0.2.9', port: 1080 }),
    connect: async () => ({ address: '192.0.2.1', dead: [] }),
    secure: async () => SECURED,
    async read() {
      while (turns[0]?.length === 0) turns.shift();
      const [now] = turns;
      if (now !== undefined) {
        turns[0] = now.subarray(cut);
        return now.subarray(0, cut);
      }
      if (ending === 'reset') throw new ProbeFailure('hung-up', 'the connection was reset');
      return null;
    },
    write: async () => undefined,
    close: () => undefined,
  };
}

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Pop3Error, ProbeResult, Session } from '../../plugins/k6/pop3.d.ts';
import { loadBundle } from '../support/k6-fake.ts';
import { scriptedPop3, scriptedTcp } from '../support/k6-transports.ts';
import { ScriptedLink } from '../support/scripted-link.ts';
import { type Transcript, transcripts } from '../support/transcript.ts';

/** The transcripts, played through the built modules as k6 would run them: the same options, the same results. */

type Bundle = 'pop3.xk6' | 'pop3.k6';

const CUTS = [
  ['whole', 0],
  ['octet by octet', 1],
] as const;

const ALL = transcripts().map((transcript) => ({ transcript, settings: settingsOf(transcript.name) }));

/** A proxy and the full test are not for k6; what it cannot do, k6/x/tcp refuses, which another test shows. */
const PLAYED: Readonly<Record<Bundle, (settings: ReadonlyMap<string, string>) => boolean>> = {
  'pop3.xk6': (settings) => !settings.has('proxy') && settings.get('errand') === undefined,
  'pop3.k6': (settings) =>
    PLAYED['pop3.xk6'](settings) &&
    !['tls', 'certificate', 'trust', 'certified', 'binding'].some((word) => settings.has(word)),
};

test('there are transcripts enough to mean something', () => {
  expect(ALL.filter(({ settings }) => PLAYED['pop3.xk6'](settings)).length).toBeGreaterThan(100);
  expect(ALL.filter(({ settings }) => PLAYED['pop3.k6'](settings)).length).toBeGreaterThan(75);
});

describe.each(['pop3.xk6', 'pop3.k6'] as const)('%s', (bundle) => {
  describe.each(CUTS)('%s', (how, cut) => {
    const played = ALL.filter(
      ({ transcript, settings }) => PLAYED[bundle](settings) && !isLate(bundle, transcript.name, how),
    );
    test.each(played.map((each) => [each.transcript.name, each] as const))('%s', async (__, each) => {
      const { transcript, settings } = each;
      const { result, k6, link, undestroyed } = await probed(bundle, transcript, settings, cut);
      expect(outcomeOf(result)).toBe(transcript.expected.result);
      const failed = result.error === null ? '' : `${result.error.reason} in ${result.error.phase}`;
      const warned = result.warnings.map(({ reason, phase }) => `${reason} in ${phase}`);
      expect(warned.filter((warning) => warning !== failed)).toEqual(
        transcript.expected.warned.filter((warning) => warning !== failed),
      );
      if (result.error !== null) {
        const shows = transcript.expected.shows.map((words) => words.replace('within 10 s', 'within 0.1 s'));
        for (const words of shows) expect(result.error.message).toContain(words.slice(0, 60));
      }
      const shown = JSON.stringify([result, k6.samples]);
      for (const hidden of [settings.get('password') ?? 'correct horse', ...transcript.expected.hides]) {
        expect(shown).not.toContain(hidden);
      }
      expect(k6.pendingTimers()).toBe(0);
      expect(undestroyed()).toBe(0);
      const isConnected = !['dns', 'connect'].includes(result.error?.phase ?? '');
      if (isConnected) expect(link.closed).toBe(true);
    });
  });
});

/** What is pushed later than it is waited for cannot be told from the answer to what was asked meanwhile. */
const isLate = (bundle: Bundle, name: string, how: string): boolean =>
  bundle === 'pop3.k6' && name === 'greeting-unsolicited' && how === 'octet by octet';

/** What a session does for an errand of a transcript. */
const ORDERS: Readonly<Record<string, (session: Session, first: number, second: number) => Promise<unknown>>> = {
  list: (session) => session.list(),
  uidl: async (session) => (await session.uidl()) ?? [],
  'list-one': (session, message) => session.list(message),
  'uidl-one': (session, message) => session.uidl(message),
  retr: async (session, message) => linesOf(await session.retr(message)),
  top: async (session, message, lines) => linesOf(await session.top(message, lines)),
  dele: (session, message) => session.dele(message),
  noop: (session) => session.noop(),
  rset: (session) => session.rset(),
};

describe('a session', () => {
  const played = ALL.filter(
    ({ transcript, settings }) =>
      ORDERS[settings.get('errand')?.split(' ')[0] ?? ''] !== undefined &&
      // It ends sooner there than here.
      transcript.name !== 'retr-endless',
  );

  test('there is a transcript of each command', () => {
    expect(new Set(played.map(({ settings }) => settings.get('errand')?.split(' ')[0]))).toEqual(
      new Set(Object.keys(ORDERS)),
    );
  });

  describe.each(['pop3.xk6', 'pop3.k6'] as const)('of %s', (bundle) => {
    test.each(played.map((each) => [each.transcript.name, each] as const))('%s', async (_, each) => {
      const { transcript, settings } = each;
      const [command = '', first, second] = (settings.get('errand') as string).split(' ');
      const { module, k6, link, undestroyed } = await prepared(bundle, transcript, 0);
      let result: string;
      let found: unknown = null;
      const session = await module.open(optionsOf(transcript, settings));
      try {
        found = await (ORDERS[command] as (typeof ORDERS)[string])(session, Number(first), Number(second));
        await session.quit();
        result = 'success';
      } catch (error) {
        const { phase, reason } = error as Pop3Error;
        // To a probe, what goes wrong after all else is a warning.
        const isWarning = transcript.expected.warned.includes(`${reason} in ${phase}`);
        result = isWarning ? 'success' : `failed in ${phase}: ${reason}`;
      } finally {
        session.close();
      }
      expect(result).toBe(transcript.expected.result);
      if (transcript.expected.found !== null) expect(found).toEqual(JSON.parse(transcript.expected.found));
      expect(k6.pendingTimers()).toBe(0);
      expect(undestroyed()).toBe(0);
      expect(link.closed).toBe(true);
    });
  });
});

async function prepared(bundle: Bundle, transcript: Transcript, cut: number) {
  const { module, k6 } = await loadBundle(bundle);
  const link = new ScriptedLink(transcript.steps, cut, transcript.secured);
  let undestroyed = (): number => 0;
  if (bundle === 'pop3.xk6') {
    k6.transport = scriptedPop3(link, transcript.secured);
  } else {
    const sockets = scriptedTcp(link);
    k6.transport = sockets;
    undestroyed = sockets.undestroyed;
  }
  return { module, k6, link, undestroyed };
}

async function probed(bundle: Bundle, transcript: Transcript, settings: ReadonlyMap<string, string>, cut: number) {
  const { module, k6, link, undestroyed } = await prepared(bundle, transcript, cut);
  const random = settings.get('random');
  if (random !== undefined) k6.random = Buffer.from(random, 'base64');
  // NTLM tells the server the time, and a transcript has it at the beginning of Windows' own.
  if (settings.get('auth') === 'ntlm') k6.date = Date.UTC(1601, 0, 1);
  const result: ProbeResult = await module.probe(optionsOf(transcript, settings));
  return { result, k6, link, undestroyed };
}

function optionsOf(transcript: Transcript, settings: ReadonlyMap<string, string>) {
  const token = settings.get('token');
  // Those that never end are over before they are silent.
  const isSilent =
    transcript.steps.some(({ does }) => does === 'keeps silent') &&
    !/protocol-violation|line-too-long/.test(transcript.expected.result);
  const secret =
    token === undefined ? { password: settings.get('password') ?? 'correct horse' } : { oauthToken: token };
  const certificate = { auth: 'external', clientCertificate: CERTIFICATE, clientKey: KEY };
  return {
    server: settings.has('name') ? 'mail.example.com' : '192.0.2.1',
    connectionType: ['plaintext', 'tls', 'ssl'].find((type) => settings.has(type)) as string,
    userName: settings.get('user') ?? 'alice',
    auth: settings.get('auth') ?? 'auto',
    ...(settings.has('certified') ? certificate : secret),
    ...(settings.has('trust') ? { trustAnySslCertificate: true } : {}),
    timeout: isSilent ? 0.1 : 10,
  };
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const KEY = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';

function settingsOf(name: string): ReadonlyMap<string, string> {
  const content = readFileSync(new URL(`../transcripts/${name}.pop3`, import.meta.url), 'utf8');
  const [, plan = ''] = /^plan: (.*)$/m.exec(content) ?? [];
  return new Map(
    plan.split(', ').map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
    }),
  );
}

const outcomeOf = ({ error, mailbox }: ProbeResult): string => {
  if (error !== null) return `failed in ${error.phase}: ${error.reason}`;
  return mailbox === null ? 'success' : `success, messages=${mailbox.messages}, octets=${mailbox.octets}`;
};

const linesOf = (fetched: { text(): string } | null): readonly string[] | null =>
  fetched === null ? null : fetched.text().split('\r\n').slice(0, -1);

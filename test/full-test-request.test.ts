import { describe, expect, test } from 'vitest';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { FullTestPlan } from '../src/probe/full-test.ts';
import type { SmtpPlan } from '../src/probe/world.ts';
import { type Defaults, parseRequest } from '../src/request/request.ts';
import type { Settings } from '../src/request/settings.ts';
import type { Sources } from '../src/request/sources.ts';
import { operationsOf } from '../src/run/what-if.ts';

const FILES: Readonly<Record<string, string>> = {
  pw: 'correct horse\n',
  both: 'probe@example.com\ncorrect horse\n',
  nameless: 'probe\ncorrect horse\n',
  sender: 'sender@example.com\nanother horse\n',
  token: 'eyJ0eXAi.fake.token\n',
  'not-a-token': 'two words\n',
};

const SOURCES: Sources = {
  ...nodeSources,
  file: (option, path) => {
    const content = FILES[path];
    if (content === undefined) throw new ProbeFailure('configuration', `${option} ${path}: no such file`);
    return content;
  },
  environment: () => undefined,
  askOnTerminal: async () => null,
  confirmOnTerminal: async () => null,
};

const PLUGIN: Defaults = { timeoutS: 50, test: 'full' };
const LEAST: Settings = {
  'client-access-server': 'mail.example.com',
  'mailbox-credential': 'probe@example.com',
  'password-file': 'pw',
};

const request = (settings: Settings, defaults = PLUGIN) => parseRequest({ ...LEAST, ...settings }, defaults, SOURCES);
const planned = async (settings: Settings): Promise<FullTestPlan> =>
  (await request(settings)).plan.fullTest as FullTestPlan;
const smtp = async (settings: Settings): Promise<SmtpPlan> => (await planned(settings)).send as SmtpPlan;

async function refusal(settings: Settings): Promise<ProbeFailure> {
  try {
    await request(settings);
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
  throw new Error('it was accepted');
}

describe('which test is made', () => {
  test.each<[string, Settings, Defaults['test'], boolean]>([
    ['a command for full tests', {}, 'full', true],
    ['the same with --light-mode', { 'light-mode': true }, 'full', false],
    ['a command for light ones', {}, 'light', false],
    ['the same with --full-test', { 'full-test': true }, 'light', true],
    ['the same with --split', { split: true }, 'light', true],
  ])('%s', async (_, settings, test, isFull) => {
    const { plan } = await request(settings, { timeoutS: 50, test });
    expect(plan.fullTest !== null).toBe(isFull);
  });
});

describe('who writes to whom', () => {
  test.each<[string, Settings, string, string]>([
    ['the user, where that is an address', {}, 'probe@example.com', 'probe@example.com'],
    [
      'whom --mail-to names',
      { 'mailbox-credential': 'probe', 'mail-to': 'p@example.org' },
      'p@example.org',
      'p@example.org',
    ],
    ['a sender of its own', { 'mail-from': 'monitor@example.net' }, 'monitor@example.net', 'probe@example.com'],
    ['the user to somebody else', { 'mail-to': 'p@example.org' }, 'probe@example.com', 'p@example.org'],
    [
      'the user of a file',
      { 'mailbox-credential': '@both', 'password-file': undefined },
      'probe@example.com',
      'probe@example.com',
    ],
    [
      'a domain in other letters',
      { 'mail-to': 'probe@b\u00fccher.example' },
      'probe@example.com',
      'probe@xn--bcher-kva.example',
    ],
  ])('%s', async (_, settings, from, to) => {
    expect(await planned(settings)).toMatchObject({ from, to });
  });

  test.each<[string, Settings]>([
    ['a user that is no address', { 'mailbox-credential': 'probe' }],
    ['a user of Windows', { 'mailbox-credential': 'EXAMPLE\\probe' }],
    ['a user without a domain in a file', { 'mailbox-credential': '@nameless', 'password-file': undefined }],
  ])('%s: nobody is guessed at', async (_, settings) => {
    const { reason, message } = await refusal(settings);
    expect(reason).toBe('usage');
    expect(message).toContain('--mail-to');
    expect(message).toContain('--light-mode');
  });

  test.each([
    'probe',
    'probe@',
    '@example.com',
    'a b@example.com',
    'probe@example.com\r\nBcc: all@example.com',
    'probe@exa mple.com',
    'probe@[192.0.2.1]',
    'probe@192.0.2.1',
    'pr\u00f6be@example.com',
    '"probe"@example.com',
    'probe@example.com, other@example.com',
    '<probe@example.com>',
    `${'p'.repeat(190)}@example.com`,
  ])('%j is no address to write to', async (given) => {
    for (const option of ['mail-to', 'mail-from']) {
      const { reason, message } = await refusal({ [option]: given });
      expect(reason).toBe('usage');
      expect(message).toContain(`--${option}`);
      expect(message).not.toMatch(/[\r\n]/);
    }
  });
});

describe('the way of the message', () => {
  test.each<[string, Settings, Partial<SmtpPlan>]>([
    ['submission by STARTTLS at the same server', {}, { server: 'mail.example.com', port: 587, connectionType: 'tls' }],
    ['submissions, by its port', { 'smtp-port': '465' }, { port: 465, connectionType: 'ssl' }],
    ['submissions, by its type', { 'smtp-connection-type': 'ssl' }, { port: 465, connectionType: 'ssl' }],
    ['another server', { 'smtp-server': 'smtp.example.org' }, { server: 'smtp.example.org', to: 'smtp.example.org' }],
    [
      'the address of the POP3 server',
      { address: '192.0.2.7' },
      { server: 'mail.example.com', to: { address: '192.0.2.7', family: 4 } },
    ],
    ['port 25, where nobody logs on', { 'smtp-port': '25' }, { port: 25, connectionType: 'tls', credential: null }],
    [
      'in the clear, by name',
      { 'smtp-connection-type': 'plaintext' },
      { port: 587, connectionType: 'plaintext', link: { family: 0, proxy: null, tls: null } },
    ],
  ])('%s', async (_, settings, plan) => {
    expect(await smtp(settings)).toMatchObject(plan);
  });

  test.each<[string, Settings, object]>([
    ['the credentials of the mailbox', {}, { kind: 'password', userName: 'probe@example.com' }],
    ['another user with the same password', { 'smtp-credential': 'other' }, { kind: 'password', userName: 'other' }],
    [
      'another user with a password of its own',
      { 'smtp-credential': '@sender' },
      { kind: 'password', userName: 'sender@example.com' },
    ],
    ['a token', { 'oauth-token-file': 'token' }, { kind: 'bearer', userName: 'probe@example.com' }],
    [
      'a logon on port 25, by request',
      { 'smtp-port': '25', 'smtp-credential': '@sender' },
      { kind: 'password', userName: 'sender@example.com' },
    ],
  ])('with %s', async (_, settings, credential) => {
    expect((await smtp(settings)).credential).toMatchObject(credential);
  });

  test('the certificate is verified for the submission server, and pins are for POP3 alone', async () => {
    const pinned = { pin: ['ab'.repeat(32)], 'smtp-server': 'smtp.example.org' };
    const { link } = await smtp(pinned);
    expect(link.tls).toMatchObject({ identity: 'smtp.example.org', sni: 'smtp.example.org', pins: [] });
  });

  test.each<[string, Settings, object]>([
    [
      'EWS, at the same server',
      { 'send-via': 'ews' },
      { via: 'ews', url: 'https://mail.example.com/EWS/Exchange.asmx', credential: { kind: 'password' } },
    ],
    [
      'EWS, into the Inbox',
      { 'send-via': 'ews-save', 'send-url': 'https://ews.example.com/x' },
      { via: 'ews-save', url: 'https://ews.example.com/x' },
    ],
    [
      'Graph',
      { 'send-via': 'graph', 'oauth-token-file': 'token' },
      { via: 'graph', url: 'https://graph.microsoft.com/v1.0', credential: { kind: 'bearer' } },
    ],
  ])('%s', async (_, settings, send) => {
    expect((await planned(settings)).send).toMatchObject(send);
  });

  test.each<[string, Settings, readonly string[]]>([
    ['an unknown way', { 'send-via': 'fax' }, ['--send-via takes smtp, ews, ews-save, graph']],
    [
      'a port of SMTP for Graph',
      { 'send-via': 'graph', 'oauth-token-file': 'token', 'smtp-port': '587' },
      ['--smtp-port', 'graph'],
    ],
    ['a URL for SMTP', { 'send-url': 'https://example.com' }, ['--send-url', 'smtp']],
    ['Graph without a token', { 'send-via': 'graph' }, ['--oauth-token-file']],
    [
      'a token and a password',
      { 'oauth-token-file': 'token', 'smtp-credential': '@sender' },
      ['--smtp-credential', '--oauth-'],
    ],
    ['port nought', { 'smtp-port': '0' }, ['--smtp-port', 'from 1 to 65535']],
    ['a type there is not', { 'smtp-connection-type': 'starttls' }, ['--smtp-connection-type takes']],
    ['a server that is none', { 'smtp-server': 'a b' }, ['--smtp-server']],
    ['two tests', { 'light-mode': true, split: true }, ['--light-mode', '--split']],
  ])('is not %s', async (_, settings, words) => {
    const { reason, message } = await refusal(settings);
    expect(reason).toBe('usage');
    for (const each of words) expect(message).toContain(each);
  });

  test('a token that is not one word is refused, and not repeated', async () => {
    const { reason, message } = await refusal({ 'oauth-token-file': 'not-a-token' });
    expect(reason).toBe('configuration');
    expect(message).not.toContain('two words');
  });
});

describe('--what-if tells every operation', () => {
  test.each<[string, Settings, readonly RegExp[]]>([
    ['of the logon', { 'light-mode': true }, [/^log on to mail\.example\.com port 110 \(tls\) as probe@example\.com$/]],
    [
      'of the full test',
      {},
      [
        /^log on/,
        /^delete messages of earlier runs/,
        /^send a message .* through mail\.example\.com port 587/,
        /^find that message, retrieve and delete it$/,
      ],
    ],
    [
      'of the split test',
      { split: true, 'keep-stale': true },
      [/^log on/, /^find the message of the run before/, /^send a message/],
    ],
    ['of a test of each address', { 'light-mode': true, 'all-addresses': true }, [/at each of its addresses$/]],
  ])('%s', async (_, settings, lines) => {
    const told = operationsOf(await request(settings));
    expect(told).toHaveLength(lines.length);
    for (const [at, line] of lines.entries()) expect(told[at]).toMatch(line);
    expect(told.join()).not.toContain('horse');
  });
});

import nock from 'nock';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/dialogue/secret.ts';
import { type ProbePlan, probe } from '../../src/probe/probe.ts';
import type { ProbeResult } from '../../src/probe/result.ts';
import type { SendPlan } from '../../src/probe/world.ts';
import { nodeWorld } from '../../src/runtimes/node/world.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { privateFolder } from '../support/run.ts';
import { BEARER } from './samples.ts';

/** The full test by Graph and by Exchange Web Services, with a mailbox behind them: what they take arrives there. */

const USER = 'probe@example.com';
const PASSWORD = 'correct-horse-battery-staple';
const folder = privateFolder();

beforeAll(() => nock.disableNetConnect());
afterEach(() => nock.cleanAll());
afterAll(() => nock.restore());

async function mailbox(): Promise<Sandbox> {
  const sandbox = await startSandbox({ user: USER, password: PASSWORD });
  onTestFinished(() => sandbox.close());
  return sandbox;
}

async function fullTest(sandbox: Sandbox, send: SendPlan, timeoutMs = 20_000): Promise<ProbeResult> {
  const plan: ProbePlan = {
    server: 'localhost',
    mailboxServer: null,
    known: [],
    localSite: null,
    visit: {
      to: { address: '127.0.0.1', family: 4 },
      port: sandbox.pop3Port,
      viaProxy: false,
      connectionType: 'plaintext',
      trustAnyCertificate: false,
      login: { kind: 'password', method: 'auto', userName: USER, password: new Secret(PASSWORD) },
    },
    link: { family: 0, proxy: null, tls: null },
    fullTest: {
      from: USER,
      to: USER,
      send,
      split: false,
      keepStale: false,
      memory: { stateDir: folder.state(), markerKeyFile: null },
    },
    tokens: null,
    timeoutMs,
    perConnectionTimeoutMs: timeoutMs,
    trace: false,
  };
  return (await probe(plan, nodeWorld, null, nodeWorld.now() + timeoutMs)).result;
}

const http = { family: 0, proxy: null, authorities: null } as const;
const GRAPH: SendPlan = { via: 'graph', url: 'https://graph.example.com/v1.0', http, credential: BEARER };
const EWS: SendPlan = {
  via: 'ews',
  url: 'https://mail.example.com/EWS/Exchange.asmx',
  http,
  credential: BEARER,
  impersonating: null,
};

/** What Exchange makes of a message that came by Graph: its own Message-ID and date, what it knows, and nothing else. */
function rewritten(body: nock.Body): Uint8Array {
  const { message } = body as unknown as {
    message: {
      subject: string;
      body: { content: string };
      internetMessageHeaders: readonly { name: string; value: string }[];
    };
  };
  return Buffer.from(
    [
      `From: Probe <${USER}>`,
      `To: Probe <${USER}>`,
      `Subject: ${message.subject}`,
      `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
      'Message-ID: <AS8PR01MB0001@AS8PR01MB0001.example.com>',
      ...message.internetMessageHeaders.map(({ name, value }) => `${name}: ${value}`),
      'Content-Type: text/plain; charset="us-ascii"',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      message.body.content.replace(/=/g, '=3D'),
      '',
    ].join('\r\n'),
  );
}

/** Graph, in front of a mailbox. */
const graphInto = (sandbox: Sandbox, deliver: (bytes: Uint8Array) => void): nock.Interceptor =>
  nock('https://graph.example.com').post(`/v1.0/users/${encodeURIComponent(USER)}/sendMail`, (body) => {
    if (sandbox.maildrop.messages.length === 0) deliver(rewritten(body));
    return true;
  });

describe('by Microsoft Graph', () => {
  test('the message is known again though Exchange has written it anew, and is deleted', async () => {
    const sandbox = await mailbox();
    graphInto(sandbox, (bytes) => void sandbox.maildrop.deliver(bytes)).reply(202);
    const result = await fullTest(sandbox, GRAPH);
    expect(result.error).toBe(null);
    expect(result.warnings).toEqual([]);
    expect(result.roundTrip).toMatchObject({ sentVia: 'graph', retrieved: true, deleted: true, verified: true });
    expect(sandbox.maildrop.messages).toEqual([]);
  });

  test('asked too often, it is asked again when it said, within the time of the run', async () => {
    const sandbox = await mailbox();
    const asked: number[] = [];
    const note = (): number => asked.push(Date.now());
    graphInto(sandbox, note).reply(429, {}, { 'Retry-After': '1' });
    graphInto(sandbox, (bytes) => {
      note();
      sandbox.maildrop.deliver(bytes);
    }).reply(202);
    const result = await fullTest(sandbox, GRAPH);
    expect(result.error).toBe(null);
    expect(result.warnings.map(({ reason }) => reason)).toEqual(['send-deferred']);
    expect((asked[1] as number) - (asked[0] as number)).toBeGreaterThanOrEqual(990);
    expect(sandbox.maildrop.messages).toEqual([]);
  });

  test('asked to wait longer than there is time, it is not asked again, and the run ends at once', async () => {
    const sandbox = await mailbox();
    graphInto(sandbox, () => undefined).reply(503, {}, { 'Retry-After': '120' });
    const began = Date.now();
    const result = await fullTest(sandbox, GRAPH);
    expect(result.error).toMatchObject({ reason: 'send-deferred', phase: 'send' });
    expect(Date.now() - began).toBeLessThan(10_000);
  });
});

describe('by Exchange Web Services', () => {
  const answer = (inner: string): string =>
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' +
    '<m:CreateItemResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><m:ResponseMessages>' +
    `${inner}</m:ResponseMessages></m:CreateItemResponse></s:Body></s:Envelope>`;
  const TAKEN = answer(
    '<m:CreateItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:CreateItemResponseMessage>',
  );

  test('the message arrives as it was, and is deleted', async () => {
    const sandbox = await mailbox();
    nock('https://mail.example.com')
      .post('/EWS/Exchange.asmx', (body) => {
        const mime = /<t:MimeContent[^>]*>([^<]*)</.exec(String(body))?.[1] ?? '';
        sandbox.maildrop.deliver(Buffer.from(mime, 'base64'));
        return true;
      })
      .reply(200, TAKEN, { 'Content-Type': 'text/xml' });
    const result = await fullTest(sandbox, EWS);
    expect(result.error).toBe(null);
    expect(result.warnings).toEqual([]);
    expect(result.roundTrip).toMatchObject({ sentVia: 'ews', deleted: true, verified: true });
    expect(sandbox.maildrop.messages).toEqual([]);
  });

  test('a refusal is the sending\u2019s, and nothing was left', async () => {
    const sandbox = await mailbox();
    nock('https://mail.example.com').post('/EWS/Exchange.asmx').reply(401, '', { 'WWW-Authenticate': 'Negotiate' });
    const result = await fullTest(sandbox, EWS);
    expect(result.error).toMatchObject({ reason: 'send-refused', phase: 'send' });
    expect(result.phases.map(({ name }) => name)).toContain('login');
    expect(sandbox.maildrop.messages).toEqual([]);
  });
});

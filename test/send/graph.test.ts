import fc from 'fast-check';
import nock, { type ReplyHeaders } from 'nock';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { GraphPlan, OutgoingMessage } from '../../src/probe/world.ts';
import { sendByGraph } from '../../src/send/graph.ts';
import { BASIC, BEARER, FOLDED, failureOf, httpDate, MARKER, MESSAGE, TOKEN, told } from './samples.ts';

const HOST = 'https://graph.example.com';
const PATH = '/v1.0/users/probe%2Bpop%40example.com/sendMail';
const PLAN: GraphPlan = {
  via: 'graph',
  url: `${HOST}/v1.0`,
  http: { family: 0, proxy: null, authorities: null },
  credential: BEARER,
};

beforeAll(() => nock.disableNetConnect());
afterEach(() => nock.cleanAll());
afterAll(() => nock.restore());

const JSON_TYPE = { 'Content-Type': 'application/json' };
const complaint = (code: string, message: string): string => JSON.stringify({ error: { code, message } });

const answering = (status: number, body = '', headers: ReplyHeaders = JSON_TYPE): void => {
  nock(HOST).post(PATH).reply(status, body, headers);
};

const send = (message: OutgoingMessage = MESSAGE, plan: Partial<GraphPlan> = {}) =>
  sendByGraph(message, { ...PLAN, ...plan });

interface Asked {
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

/** Sends a message, and hands back what Graph was asked. */
async function asked(message: OutgoingMessage, plan: Partial<GraphPlan> = {}): Promise<Asked> {
  const requests: Asked[] = [];
  nock(HOST)
    .post(PATH)
    .reply(function (_, body) {
      requests.push({ headers: this.req.headers as Record<string, string>, body });
      return [202];
    });
  await send(message, plan).done;
  expect(requests).toHaveLength(1);
  return requests[0] as Asked;
}

describe('a message', () => {
  test('is taken when Graph accepts it', async () => {
    answering(202);
    expect(await send().done).toEqual({ said: 'HTTP 202' });
  });

  test('goes as JSON, and nothing is kept in Sent Items', async () => {
    const { headers, body } = await asked(MESSAGE);
    expect(body).toEqual({
      message: {
        subject: `Test-PopConnectivity-${MARKER}`,
        body: { contentType: 'text', content: expect.stringContaining(`\r\n${MARKER}\r\n`) },
        toRecipients: [{ emailAddress: { address: 'inbox@example.com' } }],
        internetMessageHeaders: [
          { name: 'X-Pop-Connectivity', value: MARKER },
          { name: 'X-Auto-Response-Suppress', value: 'All' },
        ],
      },
      saveToSentItems: false,
    });
    expect(headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
      accept: 'application/json',
      host: 'graph.example.com',
    });
  });

  test('keeps every line of its text, and no line of its header gets into it', async () => {
    const { body } = await asked(MESSAGE);
    const { content } = (body as { message: { body: { content: string } } }).message.body;
    expect(Buffer.from(MESSAGE.octets).toString('latin1').endsWith(`\r\n\r\n${content}`)).toBe(true);
    expect(content).toContain('\r\n.\r\nEnd of the test message.\r\n');
    expect(content).not.toMatch(/^[A-Za-z-]+: /m);
  });

  test('has its folded headers unfolded', async () => {
    const { body } = await asked(FOLDED);
    expect(body).toMatchObject({
      message: {
        subject: 'one two',
        body: { content: '.\r\n\r\nend\r\n' },
        internetMessageHeaders: [{ name: 'X-One', value: '1\t2' }],
      },
    });
  });

  test('goes to a URL that ends in a slash just the same', async () => {
    await asked(MESSAGE, { url: `${HOST}/v1.0/` });
  });

  test('does not go with a password, for Graph takes none', async () => {
    answering(202);
    expect(await failureOf(send(MESSAGE, { credential: BASIC }))).toMatchObject({
      reason: 'configuration',
      phase: 'send',
      message: 'Microsoft Graph takes a token, and no password',
    });
    expect(nock.isDone()).toBe(false);
  });

  test('does not go in clear', async () => {
    expect(await failureOf(send(MESSAGE, { url: 'http://graph.example.com/v1.0' }))).toMatchObject({
      reason: 'configuration',
      phase: 'send',
    });
  });
});

describe('a message that is not taken', () => {
  const HTML = { 'Content-Type': 'text/html' };
  const PAGE = '<!DOCTYPE html><title>Welcome</title>';

  test.each<[string, number, string, ReplyHeaders, string, string, string]>([
    [
      'malformed',
      400,
      complaint('ErrorInvalidRecipients', 'At least one recipient is not valid.'),
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400 ErrorInvalidRecipients: At least one recipient is not valid.',
    ],
    [
      'with an expired token',
      401,
      complaint('InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.'),
      { ...JSON_TYPE, 'WWW-Authenticate': 'Bearer realm=""' },
      'send-refused',
      'the token was not accepted',
      'HTTP 401 InvalidAuthenticationToken: Lifetime validation failed, the token is expired.',
    ],
    [
      'without the permission',
      403,
      complaint('ErrorAccessDenied', 'Access is denied. Check credentials and try again.'),
      JSON_TYPE,
      'send-refused',
      'the permission Mail.Send is missing, or does not reach this sender',
      'HTTP 403 ErrorAccessDenied: Access is denied. Check credentials and try again.',
    ],
    [
      'of somebody who does not exist',
      404,
      complaint('ErrorInvalidUser', "The requested user 'x' is invalid."),
      JSON_TYPE,
      'send-refused',
      'there is no such sender, or the URL is not that of Microsoft Graph',
      "HTTP 404 ErrorInvalidUser: The requested user 'x' is invalid.",
    ],
    ['too large', 413, '', {}, 'send-refused', 'the message is too large for the server', 'HTTP 413'],
    [
      'too large for Exchange',
      400,
      complaint('ErrorMessageSizeExceeded', 'Too large.'),
      JSON_TYPE,
      'send-refused',
      'the message is too large for the server',
      'HTTP 400 ErrorMessageSizeExceeded: Too large.',
    ],
    [
      'as somebody else',
      403,
      complaint('ErrorSendAsDenied', 'The user account does not have the right to send mail.'),
      JSON_TYPE,
      'send-refused',
      'the account may not send as this sender',
      'HTTP 403 ErrorSendAsDenied: The user account does not have the right to send mail.',
    ],
    [
      'for a full mailbox',
      400,
      complaint('ErrorQuotaExceeded', 'The mailbox is full.'),
      JSON_TYPE,
      'mailbox-full',
      'the mailbox is over its quota',
      'HTTP 400 ErrorQuotaExceeded: The mailbox is full.',
    ],
    ['for a full mailbox, by status', 507, '', {}, 'mailbox-full', 'the mailbox is over its quota', 'HTTP 507'],
    [
      'by a server elsewhere',
      302,
      'moved',
      { Location: 'https://elsewhere.example.com/' },
      'send-refused',
      'the server points elsewhere, and redirects are not followed',
      'HTTP 302 https://elsewhere.example.com/',
    ],
    [
      'by a server that is no Graph',
      200,
      PAGE,
      HTML,
      'send-refused',
      'the answer is not one of Microsoft Graph; look at the URL',
      'HTTP 200 text/html',
    ],
    ['with a page for a reason', 405, PAGE, HTML, 'send-refused', 'the request was refused', 'HTTP 405 text/html'],
    [
      'with half of a reason',
      400,
      '{"error":{"code":"Err',
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400 application/json',
    ],
    [
      'with a reason in numbers',
      400,
      '{"error":{"code":1}}',
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400',
    ],
    [
      'with a reason in a word',
      400,
      '{"error":"no"}',
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400',
    ],
    [
      'with null for a reason',
      400,
      'null',
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400 application/json',
    ],
    [
      'with a code that only JavaScript knows',
      400,
      complaint('constructor', 'toString'),
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400 constructor: toString',
    ],
    [
      'with a reason of several lines',
      400,
      complaint('E', 'one\r\n\ttwo'),
      JSON_TYPE,
      'send-refused',
      'the request was refused',
      'HTTP 400 E: one two',
    ],
    ['for now', 500, '', {}, 'send-deferred', 'the server failed', 'HTTP 500'],
    ['for now, by a proxy', 502, PAGE, HTML, 'send-deferred', 'the server failed', 'HTTP 502 text/html'],
  ])('%s', async (_, status, body, headers, reason, message, said) => {
    answering(status, body, headers);
    const failure = await failureOf(send());
    expect(failure).toMatchObject({ reason, message, said, phase: 'send', retryAfterMs: null });
    expect(told(failure)).not.toContain(TOKEN);
  });

  test('with a very long reason is told in part', async () => {
    answering(400, complaint('E', 'a'.repeat(100_000)));
    expect((await failureOf(send())).said).toHaveLength(1000);
  });

  test('with a reason beyond all measure is not read on', async () => {
    answering(500, complaint('E', 'a'.repeat(2 << 20)));
    expect(await failureOf(send())).toMatchObject({ reason: 'protocol-violation', phase: 'send' });
  });

  test('is never a crash, whatever the answer', async () => {
    const status = fc.integer({ min: 200, max: 599 }).filter((each) => each !== 202);
    const body = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.tuple(fc.string(), fc.string()).map(([code, message]) => complaint(code, message)),
    );
    await fc.assert(
      fc.asyncProperty(status, body, async (code, said) => {
        answering(code, said);
        expect((await failureOf(send())).phase).toBe('send');
      }),
      { numRuns: 200 },
    );
  });
});

describe('a busy Graph says when to come back', () => {
  const BUSY = complaint('ApplicationThrottled', 'Application is over its MailboxConcurrency limit.');

  test.each<[string, number, Record<string, string>, number | null]>([
    ['in seconds', 429, { 'Retry-After': '17' }, 17_000],
    ['in no time', 503, { 'Retry-After': '0' }, 0],
    ['in too long a time', 429, { 'Retry-After': '99999999999999999999' }, 3_600_000],
    ['not at all', 503, {}, null],
    ['in words', 503, { 'Retry-After': 'soon' }, null],
    ['in the past', 503, { 'Retry-After': '-5' }, null],
    ['by a number that is none', 504, { 'Retry-After': '1e3' }, null],
    [
      'by a date, on its own clock',
      429,
      { 'Retry-After': 'Fri, 02 Jan 2026 03:04:35 GMT', Date: 'Fri, 02 Jan 2026 03:04:05 GMT' },
      30_000,
    ],
    [
      'by a date in the old form',
      429,
      { 'Retry-After': 'Friday, 02-Jan-26 03:04:35 GMT', Date: 'Fri, 02 Jan 2026 03:04:05 GMT' },
      30_000,
    ],
    ['by a date that has passed', 503, { 'Retry-After': 'Fri, 02 Jan 2026 03:04:05 GMT' }, 0],
    ['by a date far off', 503, { 'Retry-After': 'Sat, 02 Jan 2126 03:04:05 GMT' }, 3_600_000],
    ['by a date that is none', 503, { 'Retry-After': 'Fri, 99 Jan 2026 03:04:05 GMT' }, null],
  ])('%s', async (_, status, headers, retryAfterMs) => {
    answering(status, BUSY, { ...JSON_TYPE, ...headers });
    expect(await failureOf(send())).toMatchObject({
      reason: 'send-deferred',
      phase: 'send',
      said: `HTTP ${status} ApplicationThrottled: Application is over its MailboxConcurrency limit.`,
      retryAfterMs,
    });
  });

  test('by a date, on our clock where it does not tell its own', async () => {
    answering(503, BUSY, { ...JSON_TYPE, 'Retry-After': httpDate(60) });
    const { retryAfterMs } = await failureOf(send());
    expect(retryAfterMs).toBeGreaterThan(30_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test('to nobody whom it refuses for good', async () => {
    answering(403, complaint('AccessDenied', ''), { ...JSON_TYPE, 'Retry-After': '5' });
    expect(await failureOf(send())).toMatchObject({ reason: 'send-refused', retryAfterMs: null });
  });
});

describe('a message that is given up', () => {
  test('while Graph thinks leaves nothing behind', async () => {
    nock(HOST).post(PATH).delay(60_000).reply(202);
    const { done, abandon } = send();
    await new Promise((resolve) => setTimeout(resolve, 50));
    abandon();
    const waited = new Promise((resolve) => setTimeout(resolve, 100, 'still open'));
    expect(await Promise.race([done, waited])).toBe('still open');
  });
});

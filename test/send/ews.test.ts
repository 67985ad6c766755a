import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import nock, { type ReplyHeaders } from 'nock';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fromBase64 } from '../../src/dialogue/bytes.ts';
import type { EwsPlan, SendCredential } from '../../src/probe/world.ts';
import { createAuthority } from '../../src/sandbox/authority.ts';
import { sendByEws } from '../../src/send/ews.ts';
import { elementAt, parseXml } from '../../src/send/xml.ts';
import { BASIC, BEARER, failureOf, MESSAGE, PASSWORD, TOKEN, told } from './samples.ts';

const HOST = 'https://mail.example.com';
const PATH = '/EWS/Exchange.asmx';
const PLAN: EwsPlan = {
  via: 'ews',
  url: HOST + PATH,
  http: { family: 0, proxy: null, authorities: null },
  credential: BASIC,
  impersonating: null,
};

beforeAll(() => nock.disableNetConnect());
afterEach(() => nock.cleanAll());
afterAll(() => nock.restore());

const XML = { 'Content-Type': 'text/xml; charset=utf-8' };
const SCHEMA = 'http://schemas.microsoft.com/exchange/services/2006';

/** An answer as Exchange 2013 and later write it. */
const soap = (body: string): string =>
  '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">' +
  '<s:Header><h:ServerVersionInfo MajorVersion="15" MinorVersion="2" MajorBuildNumber="1118" MinorBuildNumber="7"' +
  ` Version="V2017_07_11" xmlns:h="${SCHEMA}/types"/></s:Header><s:Body>${body}</s:Body></s:Envelope>`;

const response = (responseClass: string, inner: string): string =>
  soap(
    `<m:CreateItemResponse xmlns:m="${SCHEMA}/messages" xmlns:t="${SCHEMA}/types"><m:ResponseMessages>` +
      `<m:CreateItemResponseMessage ResponseClass="${responseClass}">${inner}</m:CreateItemResponseMessage>` +
      '</m:ResponseMessages></m:CreateItemResponse>',
  );

const TAKEN = response('Success', '<m:ResponseCode>NoError</m:ResponseCode><m:Items/>');

const failed = (code: string, words: string, more = '', responseClass = 'Error'): string =>
  response(
    responseClass,
    `<m:MessageText>${words}</m:MessageText><m:ResponseCode>${code}</m:ResponseCode>` +
      `<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>${more}<m:Items/>`,
  );

const fault = (code: string, words: string, more = ''): string =>
  soap(
    `<s:Fault><faultcode xmlns:a="${SCHEMA}/types">a:${code}</faultcode>` +
      `<faultstring xml:lang="en-US">${words}</faultstring><detail>` +
      `<e:ResponseCode xmlns:e="${SCHEMA}/errors">${code}</e:ResponseCode>` +
      `<e:Message xmlns:e="${SCHEMA}/errors">${words}</e:Message>${more}</detail></s:Fault>`,
  );

const backOff = (ms: string): string =>
  `<t:MessageXml xmlns:t="${SCHEMA}/types"><t:Value Name="Policy">EwsPercentTimeInCas</t:Value>` +
  `<t:Value Name="BackOffMilliseconds">${ms}</t:Value></t:MessageXml>`;

const answering = (status: number, body: string, headers: ReplyHeaders = XML): void => {
  nock(HOST).post(PATH).reply(status, body, headers);
};

const send = (plan: Partial<EwsPlan> = {}) => sendByEws(MESSAGE, { ...PLAN, ...plan });

interface Asked {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Sends the message, and hands back what Exchange was asked. */
async function asked(plan: Partial<EwsPlan>): Promise<Asked> {
  const requests: Asked[] = [];
  nock(HOST)
    .post(PATH)
    .reply(function (_, body) {
      requests.push({ headers: this.req.headers as Record<string, string>, body: String(body) });
      return [200, TAKEN, XML];
    });
  await send(plan).done;
  expect(requests).toHaveLength(1);
  return requests[0] as Asked;
}

describe('a message', () => {
  test('is taken when Exchange calls it a success', async () => {
    answering(200, TAKEN);
    expect(await send().done).toEqual({ said: 'HTTP 200 NoError' });
  });

  test('is taken whatever prefixes and line breaks the answer has', async () => {
    const plain = TAKEN.replace(/<(\/?)[a-z]:/g, '<$1').replace(/></g, '>\r\n  <');
    answering(200, plain.replace('NoError', '\r\n NoError\r\n '));
    expect(await send().done).toEqual({ said: 'HTTP 200 NoError' });
  });

  test.each(['ews', 'ews-save'] as const)('by %s arrives octet by octet', async (via) => {
    const { body } = await asked({ via });
    const item = elementAt(parseXml(body), 'Body', 'CreateItem', 'Items', 'Message');
    const mime = elementAt(item, 'MimeContent');
    expect(mime?.attributes).toEqual(new Map([['CharacterSet', 'UTF-8']]));
    expect(fromBase64(mime?.text ?? '')).toEqual(MESSAGE.octets);
  });

  test('is sent, and no copy is kept', async () => {
    const { headers, body } = await asked({});
    expect(body.replace(/(<t:MimeContent[^>]*>)[^<]*/, '$1…')).toBe(
      '<?xml version="1.0" encoding="utf-8"?>' +
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"' +
        ` xmlns:m="${SCHEMA}/messages" xmlns:t="${SCHEMA}/types">` +
        '<soap:Header><t:RequestServerVersion Version="Exchange2007_SP1"/></soap:Header><soap:Body>' +
        '<m:CreateItem MessageDisposition="SendOnly"><m:Items><t:Message>' +
        '<t:MimeContent CharacterSet="UTF-8">…</t:MimeContent>' +
        '</t:Message></m:Items></m:CreateItem></soap:Body></soap:Envelope>',
    );
    expect(headers).toMatchObject({
      'content-type': 'text/xml; charset=utf-8',
      soapaction: `"${SCHEMA}/messages/CreateItem"`,
      host: 'mail.example.com',
    });
  });

  test('is saved in the Inbox, and not as a draft', async () => {
    const { body } = await asked({ via: 'ews-save' });
    expect(body.replace(/(<t:MimeContent[^>]*>)[^<]*/, '$1…')).toContain(
      '<m:CreateItem MessageDisposition="SaveOnly">' +
        '<m:SavedItemFolderId><t:DistinguishedFolderId Id="inbox"/></m:SavedItemFolderId>' +
        '<m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">…</t:MimeContent>' +
        '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/>' +
        '<t:Value>1</t:Value></t:ExtendedProperty></t:Message></m:Items></m:CreateItem>',
    );
  });

  test.each<[string, SendCredential, string]>([
    [
      'a password, in UTF-8',
      BASIC,
      `Basic ${Buffer.from(`probe+pop@example.com:${PASSWORD}`, 'utf8').toString('base64')}`,
    ],
    ['a token', BEARER, `Bearer ${TOKEN}`],
  ])('goes with %s', async (_, credential, authorization) => {
    const { headers } = await asked({ credential });
    expect(headers).toMatchObject({ authorization });
  });
});

describe('a message that is not taken', () => {
  const HTML = { 'Content-Type': 'text/html' };
  const PAGE = '<!DOCTYPE html><html><title>Outlook</title></html>';
  const BASIC_UNKNOWN = { 'WWW-Authenticate': 'Negotiate, NTLM' };
  const REFUSED = 'Exchange refused the request';
  const NOT_EWS = 'the answer is not one of Exchange Web Services; look at the URL';

  test.each<[string, number, string, ReplyHeaders, string, string, string]>([
    [
      'for its recipient',
      200,
      failed('ErrorInvalidRecipients', 'At least one recipient isn&apos;t valid.'),
      XML,
      'send-refused',
      REFUSED,
      "HTTP 200 ErrorInvalidRecipients: At least one recipient isn't valid.",
    ],
    [
      'for want of rights',
      200,
      failed('ErrorSendAsDenied', 'The user account does not have the right to send mail.'),
      XML,
      'send-refused',
      'the account may not send as this sender',
      'HTTP 200 ErrorSendAsDenied: The user account does not have the right to send mail.',
    ],
    [
      'for a full mailbox',
      200,
      failed('ErrorQuotaExceeded', 'The mailbox has exceeded its quota.'),
      XML,
      'mailbox-full',
      'the mailbox is over its quota',
      'HTTP 200 ErrorQuotaExceeded: The mailbox has exceeded its quota.',
    ],
    [
      'for its size',
      200,
      failed('ErrorMessageSizeExceeded', 'Too large.'),
      XML,
      'send-refused',
      'the message is too large for the server',
      'HTTP 200 ErrorMessageSizeExceeded: Too large.',
    ],
    [
      'because the account sends too much',
      200,
      failed('ErrorSubmissionQuotaExceeded', 'Quota.'),
      XML,
      'send-deferred',
      'the account has sent too much of late',
      'HTTP 200 ErrorSubmissionQuotaExceeded: Quota.',
    ],
    [
      'because its database is away',
      200,
      failed('ErrorMailboxStoreUnavailable', 'Unavailable.'),
      XML,
      'send-deferred',
      'a part of Exchange is not available',
      'HTTP 200 ErrorMailboxStoreUnavailable: Unavailable.',
    ],
    [
      'or perhaps is, Exchange does not know',
      200,
      failed('ErrorBatchProcessingStopped', 'Stopped.', '', 'Warning'),
      XML,
      'send-unconfirmed',
      'Exchange warns that it may not have taken the message',
      'HTTP 200 ErrorBatchProcessingStopped: Stopped.',
    ],
    [
      'or perhaps is, Exchange ran out of time',
      200,
      failed('ErrorTimeoutExpired', 'Timeout.'),
      XML,
      'send-unconfirmed',
      'Exchange ran out of time, which does not tell whether it took the message',
      'HTTP 200 ErrorTimeoutExpired: Timeout.',
    ],
    [
      'because the request is no good',
      500,
      fault('ErrorSchemaValidation', 'The request failed schema validation: &lt;t:Foo&gt;'),
      XML,
      'send-refused',
      REFUSED,
      'HTTP 500 ErrorSchemaValidation: The request failed schema validation: <t:Foo>',
    ],
    [
      'because the account may not',
      500,
      fault('ErrorAccessDenied', 'Access is denied.'),
      XML,
      'send-refused',
      'the account may not do this, or may not use Exchange Web Services',
      'HTTP 500 ErrorAccessDenied: Access is denied.',
    ],
    [
      'because Exchange failed',
      500,
      fault('ErrorInternalServerError', 'An internal server error occurred.'),
      XML,
      'send-deferred',
      'a part of Exchange is not available',
      'HTTP 500 ErrorInternalServerError: An internal server error occurred.',
    ],
    [
      'because ASP.NET failed',
      500,
      soap('<s:Fault><faultcode>s:Server</faultcode><faultstring>Out of memory.</faultstring></s:Fault>'),
      XML,
      'send-deferred',
      'the server failed',
      'HTTP 500 Out of memory.',
    ],
    [
      'with a code that only JavaScript knows',
      200,
      response('constructor', '<m:ResponseCode>constructor</m:ResponseCode>'),
      XML,
      'send-refused',
      REFUSED,
      'HTTP 200 constructor',
    ],
    [
      'for the password, or because there is no Basic',
      401,
      '',
      BASIC_UNKNOWN,
      'send-refused',
      'the user name or password was not accepted, or not this way of logging on (Basic)',
      'HTTP 401 Negotiate, NTLM',
    ],
    [
      'because the account may not use EWS',
      403,
      '',
      {},
      'send-refused',
      'the account may not do this, or may not use Exchange Web Services',
      'HTTP 403',
    ],
    [
      'because EWS is elsewhere',
      404,
      PAGE,
      HTML,
      'send-refused',
      'there is no Exchange Web Services at the URL',
      'HTTP 404 text/html',
    ],
    [
      'because IIS finds it too large',
      413,
      '',
      {},
      'send-refused',
      'the message is too large for the server',
      'HTTP 413',
    ],
    [
      'by Outlook on the web, which wants a logon',
      302,
      '',
      { Location: 'https://mail.example.com/owa/auth/logon.aspx' },
      'send-refused',
      'the server points elsewhere, and redirects are not followed',
      'HTTP 302 https://mail.example.com/owa/auth/logon.aspx',
    ],
    ['by a page', 200, PAGE, HTML, 'send-refused', NOT_EWS, 'HTTP 200 text/html'],
    ['by an empty answer', 200, '', XML, 'send-refused', NOT_EWS, 'HTTP 200 text/xml; charset=utf-8'],
    ['by half an answer', 200, TAKEN.slice(0, -10), XML, 'send-refused', NOT_EWS, 'HTTP 200 text/xml; charset=utf-8'],
    [
      'by an answer that hides a success in a comment',
      200,
      soap(`<!--${TAKEN.slice(TAKEN.indexOf('<m:'), TAKEN.indexOf('</s:Body>'))}-->`),
      XML,
      'send-refused',
      NOT_EWS,
      'HTTP 200 text/xml; charset=utf-8',
    ],
    [
      'by an answer that declares entities',
      200,
      TAKEN.replace('?>', '?><!DOCTYPE a [<!ENTITY b "NoError">]>').replace('NoError', '&b;'),
      XML,
      'send-refused',
      NOT_EWS,
      'HTTP 200 text/xml; charset=utf-8',
    ],
    [
      'by a success that is not in an envelope',
      200,
      TAKEN.replace(/s:Envelope/g, 's:Letter'),
      XML,
      'send-refused',
      NOT_EWS,
      'HTTP 200 text/xml; charset=utf-8',
    ],
    [
      'by a success of a failing server',
      500,
      TAKEN,
      XML,
      'send-deferred',
      'the server failed',
      'HTTP 500 text/xml; charset=utf-8',
    ],
    ['by a proxy', 502, PAGE, HTML, 'send-deferred', 'the server failed', 'HTTP 502 text/html'],
  ])('%s', async (_, status, body, headers, reason, message, said) => {
    answering(status, body, headers);
    const failure = await failureOf(send());
    expect(failure).toMatchObject({ reason, message, said, phase: 'send', retryAfterMs: null });
    expect(told(failure)).not.toContain(PASSWORD);
  });

  test('for its token', async () => {
    answering(401, '', { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    const failure = await failureOf(send({ credential: BEARER }));
    expect(failure).toMatchObject({
      reason: 'send-refused',
      message: 'the token was not accepted',
      said: 'HTTP 401 Bearer error="invalid_token"',
    });
    expect(told(failure)).not.toContain(TOKEN);
  });

  test('for a reason beyond all measure', async () => {
    answering(200, failed('ErrorQuotaExceeded', 'a'.repeat(2 << 20)));
    expect(await failureOf(send())).toMatchObject({ reason: 'protocol-violation', phase: 'send' });
  });

  test('is never a crash, whatever the answer, and never taken either', async () => {
    const status = fc.integer({ min: 200, max: 599 });
    const body = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(fc.string(), fc.string()).map(([code, words]) => failed(code, words)),
      fc.tuple(fc.string(), fc.string()).map(([code, words]) => fault(code, words, backOff(code))),
      // A success with a hole in it.
      fc
        .tuple(fc.nat(TAKEN.length - 1), fc.integer({ min: 1, max: 40 }))
        .map(([at, length]) => TAKEN.slice(0, at) + TAKEN.slice(at + length))
        .filter((holed) => !/ResponseClass="Success".*<\/s:Envelope>$/.test(holed)),
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

describe('a busy Exchange says when to come back', () => {
  const WORDS = 'The server cannot service this request right now. Try again later.';

  test.each<[string, number, string, Record<string, string>, number | null]>([
    ['in a fault', 500, fault('ErrorServerBusy', WORDS, backOff('297749')), {}, 297_749],
    ['in a response', 200, failed('ErrorServerBusy', WORDS, backOff('5000')), {}, 5000],
    ['in a header', 503, fault('ErrorServerBusy', WORDS), { 'Retry-After': '30' }, 30_000],
    [
      'in both, and the closer one counts',
      503,
      fault('ErrorServerBusy', WORDS, backOff('1500')),
      { 'Retry-After': '2' },
      1500,
    ],
    ['in too long a time', 500, fault('ErrorServerBusy', WORDS, backOff('9'.repeat(400))), {}, 3_600_000],
    ['in the past', 500, fault('ErrorServerBusy', WORDS, backOff('-1')), {}, null],
    ['in words', 500, fault('ErrorServerBusy', WORDS, backOff('soon')), {}, null],
    ['not at all', 500, fault('ErrorServerBusy', WORDS), {}, null],
  ])('%s', async (_, status, body, headers, retryAfterMs) => {
    answering(status, body, { ...XML, ...headers });
    expect(await failureOf(send())).toMatchObject({
      reason: 'send-deferred',
      message: 'Exchange is too busy, or was asked too often',
      said: `HTTP ${status} ErrorServerBusy: ${WORDS}`,
      phase: 'send',
      retryAfterMs,
    });
  });

  test.each(['ErrorTooManyObjectsOpened', 'ErrorExceededConnectionCount'])('for %s too', async (code) => {
    answering(500, fault(code, WORDS, backOff('10')));
    expect(await failureOf(send())).toMatchObject({ reason: 'send-deferred', retryAfterMs: 10 });
  });

  test.each([429, 503, 504])('by its proxy, with status %i', async (status) => {
    answering(status, '', { 'Retry-After': '3' });
    expect(await failureOf(send())).toMatchObject({ reason: 'send-deferred', retryAfterMs: 3000 });
  });
});

/** Over a real connection: a mock has no moment before the last octet. */
describe('a connection that is lost', () => {
  let server: Server;
  let plan: Partial<EwsPlan>;
  let speak: (socket: TLSSocket) => void;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    nock.restore();
    const authority = await createAuthority('throw-away CA');
    const { certificate, key } = await authority.issue({ names: ['localhost'] });
    server = createServer({ cert: certificate, key }, (socket) => {
      sockets.add(socket.on('error', () => undefined));
      speak(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    plan = {
      url: `https://localhost:${(server.address() as AddressInfo).port}${PATH}`,
      http: { family: 0, proxy: null, authorities: authority.certificate },
    };
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    nock.activate();
  });

  test('before the message was out is what it is', async () => {
    speak = (socket) => socket.once('data', () => socket.destroy());
    const octets = new Uint8Array(5 << 20).fill(0x61);
    const failure = await failureOf(sendByEws({ ...MESSAGE, octets }, { ...PLAN, ...plan }));
    expect(failure).toMatchObject({ reason: 'hung-up', phase: 'send' });
  });

  test.each<[string, (socket: TLSSocket) => void]>([
    ['without a word', (socket) => socket.destroy()],
    ['with an end', (socket) => socket.end()],
    ['in the middle of the answer', (socket) => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n${TAKEN}`)],
  ])('%s, after it was out, leaves open whether it was taken', async (_, lose) => {
    speak = (socket) => {
      let arrived = '';
      socket.on('data', (octets: Buffer) => {
        arrived += octets.toString('latin1');
        if (arrived.endsWith('</soap:Envelope>')) lose(socket);
      });
    };
    expect(await failureOf(send(plan))).toMatchObject({
      reason: 'send-unconfirmed',
      message: expect.stringMatching(/; the message had gone out, and no whole answer came$/),
      phase: 'send',
    });
  });

  test('because nobody trusts the server is what it is', async () => {
    speak = (socket) => socket.destroy();
    const failure = await failureOf(send({ ...plan, http: { family: 0, proxy: null, authorities: null } }));
    expect(failure).toMatchObject({ reason: 'certificate-untrusted', phase: 'send' });
  });

  test('because we gave up is nobody’s failure', async () => {
    let closed: Promise<void> | undefined;
    const heard = new Promise<void>((resolve) => {
      speak = (socket) => {
        closed = new Promise((settle) => socket.on('close', () => settle()));
        socket.once('data', () => resolve());
      };
    });
    const { done, abandon } = send(plan);
    await heard;
    abandon();
    await expect(closed).resolves.toBeUndefined();
    const waited = new Promise((resolve) => setTimeout(resolve, 100, 'still open'));
    expect(await Promise.race([done, waited])).toBe('still open');
  });
});

describe('an application that acts for a mailbox', () => {
  test('says for which, in the header and in HTTP', async () => {
    const { headers, body } = await asked({ credential: BEARER, impersonating: 'probe+a&b@example.com' });
    expect(headers['x-anchormailbox']).toBe('probe+a&b@example.com');
    expect(body).toContain(
      '<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>probe+a&amp;b@example.com</t:PrimarySmtpAddress>',
    );
  });

  test('an account of its own says nothing of the kind', async () => {
    const { headers, body } = await asked({});
    expect(headers['x-anchormailbox']).toBeUndefined();
    expect(body).not.toContain('Impersonation');
  });
});

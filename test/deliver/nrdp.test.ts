import nock from 'nock';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PassiveResult } from '../../src/deliver/destination.ts';
import { nrdp } from '../../src/deliver/nrdp.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import type { DestinationPlan } from '../../src/request/delivery.ts';
import { createAuthority } from '../../src/sandbox/authority.ts';
import { until } from '../support/until.ts';
import { deliver, delivering, failureOf, numbered, RESULT, servicesOf, serving } from './samples.ts';

const TOKEN = 'fake token&+=%/ü';

type Plan = Extract<DestinationPlan, { kind: 'nrdp' }>;

const PLAN: Plan = {
  kind: 'nrdp',
  name: 'nrdp nagios.example.com',
  url: 'https://nagios.example.com/nrdp',
  http: { family: 0, proxy: null, authorities: null },
  token: new Secret(TOKEN),
};

/** What NRDP answers: to JSON in JSON, and older ones always in XML. */
const ANSWERS = {
  taken: '{"result":{"status":0,"message":"OK","meta":{"output":"1 checks processed"}}}',
  takenPretty: '{\n    "result": {\n        "status": "0",\n        "message": "OK"\n    }\n}',
  takenXml: [
    '<?xml version="1.0" encoding="utf-8"?>',
    '<result>',
    '  <status>0</status>',
    '  <message>OK</message>',
    '    <meta>',
    '       <output>1 checks processed.</output>',
    '    </meta>',
    '</result>',
    '',
  ].join('\n'),
  refused: '{"result":{"status":-1,"message":"BAD TOKEN"}}',
  refusedXml: '<?xml version="1.0"?>\n<result>\n  <status>-1</status>\n  <message>NO TOKEN</message>\n</result>\n',
} as const;

interface Asked {
  readonly headers: Readonly<Record<string, string>>;
  readonly form: readonly (readonly [string, string])[];
  readonly results: readonly Record<string, unknown>[];
}

/** NRDP, with an answer to each request in turn; the last one stands for all that follow. */
function answering(...answers: readonly (readonly [status: number, body: string])[]): Asked[] {
  const asked: Asked[] = [];
  nock('https://nagios.example.com')
    .persist()
    .post('/nrdp/')
    .reply(function (_, body) {
      const form = [...new URLSearchParams(body as string)];
      const { checkresults } = JSON.parse(Object.fromEntries(form).json ?? '{}');
      const answer = answers[Math.min(asked.length, answers.length - 1)] as readonly [number, string];
      asked.push({ headers: this.req.headers as Record<string, string>, form, results: checkresults });
      return [...answer];
    });
  return asked;
}

/** What one result becomes in a request. */
async function sent(result: Partial<PassiveResult>): Promise<unknown> {
  const asked = answering([200, ANSWERS.taken]);
  expect(await deliver(nrdp(PLAN), [{ ...RESULT, ...result }])).toMatchObject({ failure: null });
  expect(asked).toHaveLength(1);
  expect(asked[0]?.results).toHaveLength(1);
  return asked[0]?.results[0];
}

describe('NRDP, as its server has it', () => {
  beforeAll(() => {
    if (!nock.isActive()) nock.activate();
    nock.disableNetConnect();
  });
  afterEach(() => nock.cleanAll());
  afterAll(() => nock.restore());

  describe('a request', () => {
    test('is a form: who we are, what to do, and the results', async () => {
      const asked = answering([200, ANSWERS.taken]);
      expect(await deliver(nrdp(PLAN), [RESULT])).toEqual({ delivered: ['POP3'], refused: {}, failure: null });
      expect(asked).toHaveLength(1);
      expect(asked[0]?.form).toEqual([
        ['token', TOKEN],
        ['cmd', 'submitcheck'],
        ['json', expect.stringMatching(/^{"checkresults":\[/)],
      ]);
      expect(asked[0]?.headers).toMatchObject({
        'content-type': 'application/x-www-form-urlencoded',
        'user-agent': 'pop-connectivity',
        host: 'nagios.example.com',
      });
    });

    test('holds a result, field by field', async () => {
      expect(await sent({})).toEqual({
        checkresult: { type: 'service', checktype: '1' },
        hostname: 'mail.example.com',
        servicename: 'POP3',
        state: '2',
        output: 'POP3 CRITICAL - mail.example.com: login-refused | time=0.112s;5;10;0 certificate=74;21:;7:',
        time: '1767323045', // whole seconds, of the end of the test
      });
    });

    test.each<[string, Partial<PassiveResult>, string]>([
      ['no performance data: no bar either', { output: 'POP3 OK', perfdata: [] }, 'POP3 OK'],
      [
        'performance data, on the first line',
        { output: 'POP3 OK - 2 servers\nmail1: fine\nmail2: fine', perfdata: ['time=1s', "'mail1::time'=1s"] },
        "POP3 OK - 2 servers | time=1s 'mail1::time'=1s\nmail1: fine\nmail2: fine",
      ],
      [
        'backslashes, twice: to Nagios \\n is a line end',
        { output: 'C:\\new \\\\', perfdata: [] },
        'C:\\\\new \\\\\\\\',
      ],
      ['quotes, &, + and %', { output: `"a" & 'b' + 1 % <c>`, perfdata: [] }, `"a" & 'b' + 1 % <c>`],
      ['letters beyond ASCII', { output: 'Postfach „Müller“ – 密码 🐟', perfdata: [] }, 'Postfach „Müller“ – 密码 🐟'],
      ['a semicolon', { output: 'a; b;', perfdata: [] }, 'a; b;'],
    ])('text with %s', async (_, result, output) => {
      expect(await sent(result)).toMatchObject({ output });
    });

    test('names hosts and services in any script', async () => {
      expect(await sent({ host: 'Büro 1', service: 'Postfächer & mehr' })).toMatchObject({
        hostname: 'Büro 1',
        servicename: 'Postfächer & mehr',
      });
    });

    test.each([0, 1, 2, 3])('has state %i as a text', async (state) => {
      expect(await sent({ state })).toMatchObject({ state: String(state) });
    });
  });

  test('nothing to deliver asks nobody', async () => {
    const asked = answering([200, ANSWERS.taken]);
    expect(await deliver(nrdp(PLAN), [])).toEqual({ delivered: [], refused: {}, failure: null });
    expect(asked).toEqual([]);
  });

  describe('many results', () => {
    test('go two hundred at a time, each once and in their order', async () => {
      const asked = answering([200, ANSWERS.taken]);
      const results = numbered(401);
      const { delivered, failure } = await deliver(nrdp(PLAN), results);
      expect(failure).toBe(null);
      expect(delivered).toEqual(servicesOf(results));
      expect(asked.map(({ results: some }) => some.length)).toEqual([200, 200, 1]);
      expect(asked.flatMap(({ results: some }) => some.map(({ servicename }) => servicename))).toEqual(
        servicesOf(results),
      );
    });

    test('that it stops taking wait from there on', async () => {
      const asked = answering([200, ANSWERS.taken], [503, '']);
      const { delivered, refused, failure } = await deliver(nrdp(PLAN), numbered(401));
      expect(failure).toMatchObject({ reason: 'server-temporary' });
      expect(delivered).toEqual(servicesOf(numbered(200)));
      expect(refused).toEqual({});
      expect(asked).toHaveLength(2);
    });
  });

  test.each(['taken', 'takenPretty', 'takenXml'] as const)('an answer of status 0 takes them: %s', async (answer) => {
    answering([200, ANSWERS[answer]]);
    expect(await deliver(nrdp(PLAN), [RESULT])).toEqual({ delivered: ['POP3'], refused: {}, failure: null });
  });

  describe('an answer that takes nothing', () => {
    const notNrdp = 'the answer is not one of NRDP: look at the URL';
    test.each<[string, number, string, string, string]>([
      ['a wrong token', 200, ANSWERS.refused, 'configuration', 'NRDP refused the request, "BAD TOKEN"'],
      ['no token, in XML', 200, ANSWERS.refusedXml, 'configuration', 'NRDP refused the request, "NO TOKEN"'],
      ['no reason', 200, '{"result":{"status":-1}}', 'configuration', 'NRDP refused the request'],
      ['a page', 200, '<html><body><h1>It works!</h1></body></html>', 'configuration', notNrdp],
      ['nothing', 200, '', 'configuration', notNrdp],
      ['other JSON', 200, '{"status":0,"message":"OK"}', 'configuration', notNrdp],
      ['JSON that is no object', 200, 'null', 'configuration', notNrdp],
      [
        'a reason with quotes and escapes',
        200,
        JSON.stringify({ result: { status: -1, message: 'no "x" in C:\\y\n\u0000' } }),
        'configuration',
        'NRDP refused the request, "no "x" in C:\\y \\x00"',
      ],
      ['a password is wanted', 401, 'Unauthorized', 'configuration', 'NRDP answered HTTP 401'],
      ['not for us', 403, 'Forbidden', 'configuration', 'NRDP answered HTTP 403'],
      ['not here', 404, '<h1>Not Found</h1>', 'configuration', 'NRDP answered HTTP 404'],
      ['elsewhere', 301, '', 'configuration', 'NRDP answered HTTP 301'],
      ['taken, and yet not', 202, ANSWERS.taken, 'configuration', 'NRDP answered HTTP 202'],
      ['a bug', 500, '', 'server-temporary', 'NRDP answered HTTP 500'],
      ['a bug that says it is none', 500, ANSWERS.taken, 'server-temporary', 'NRDP answered HTTP 500'],
      ['out of service', 503, '<h1>Service Unavailable</h1>', 'server-temporary', 'NRDP answered HTTP 503'],
    ])('%s', async (_, status, body, reason, message) => {
      answering([status, body]);
      const { delivered, refused, failure } = await deliver(nrdp(PLAN), numbered(3));
      expect([delivered, refused]).toEqual([[], {}]);
      expect(failure).toMatchObject({ reason, message });
    });

    test('a redirect is not followed, least of all with the token', async () => {
      const elsewhere = nock('https://elsewhere.example.com').post('/nrdp/').reply(200, ANSWERS.taken);
      nock('https://nagios.example.com')
        .post('/nrdp/')
        .reply(307, '', { Location: 'https://elsewhere.example.com/nrdp/' });
      expect(await failureOf(nrdp(PLAN), [RESULT])).toMatchObject({ reason: 'configuration' });
      expect(elsewhere.isDone()).toBe(false);
    });

    test('a connection that is cut', async () => {
      nock('https://nagios.example.com')
        .post('/nrdp/')
        .replyWithError(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
      expect(await failureOf(nrdp(PLAN), [RESULT])).toMatchObject({ reason: 'hung-up' });
    });
  });

  describe('the token is in no message', () => {
    const form = new URLSearchParams({ token: TOKEN }).toString().slice('token='.length);
    test.each([
      ['as it is', `{"result":{"status":-1,"message":"BAD TOKEN ${TOKEN}"}}`],
      ['in XML', `<result><status>-1</status><message>BAD TOKEN ${TOKEN.replace('&', '&amp;')}</message></result>`],
      ['as the form has it', `{"result":{"status":-1,"message":"BAD TOKEN ${form}"}}`],
      ['with many words before it', `{"result":{"status":-1,"message":"BAD ${'x'.repeat(105)} ${TOKEN}"}}`],
    ])('not even where the server repeats it %s', async (_, body) => {
      answering([200, body]);
      const failure = await failureOf(nrdp(PLAN), [RESULT]);
      expect(failure).toMatchObject({ reason: 'configuration', said: null });
      expect(failure.message).toContain('NRDP refused the request, "BAD');
      for (const written of [TOKEN, form, 'fake', TOKEN.replace('&', '&amp;')]) {
        expect(`${failure.message}\n${failure.stack}`).not.toContain(written);
      }
    });

    test('nor in what the destination shows of itself', () => {
      expect(JSON.stringify(PLAN)).not.toContain('fake');
    });
  });
});

describe('a server that does not answer', () => {
  test('is let go of when the time is over', async () => {
    nock.restore();
    const authority = await createAuthority('throw-away CA');
    const { port, open, heard } = await serving(await authority.issue({ names: ['localhost'] }), (response) => {
      if (heard.length === 1) response.end(ANSWERS.taken);
    });
    const http = { ...PLAN.http, authorities: authority.certificate };
    const under = delivering(nrdp({ ...PLAN, url: `https://localhost:${port}/nrdp`, http }), numbered(401));
    await until('the second request is there', () => heard.length === 2);
    under.letGo();
    await until('all connections are closed', () => open.size === 0);
    expect(under.delivered).toEqual(servicesOf(numbered(200)));
    expect(under.refused.size).toBe(0);
    expect(heard).toHaveLength(2);
    expect(heard[0]?.request.url).toBe('/nrdp/');
  });
});

import { X509Certificate } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import type { TLSSocket } from 'node:tls';
import nock from 'nock';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { icinga2 } from '../../src/deliver/icinga2.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import type { DestinationPlan } from '../../src/request/delivery.ts';
import { type Authority, createAuthority, type Identity } from '../../src/sandbox/authority.ts';
import { until } from '../support/until.ts';
import {
  deliver,
  delivering,
  failureOf,
  type Heard,
  listening,
  numbered,
  RESULT,
  servicesOf,
  serving,
} from './samples.ts';

const ORIGIN = 'https://icinga.example.com:5665';
const PATH = '/v1/actions/process-check-result';
const PASSWORD = 'pass:wörd, obviously fake';

type Plan = Extract<DestinationPlan, { kind: 'icinga2' }>;

const PLAN: Plan = {
  kind: 'icinga2',
  name: 'icinga2 icinga.example.com:5665',
  url: ORIGIN,
  http: { family: 0, proxy: null, authorities: null },
  credential: { kind: 'password', userName: 'pop3', password: new Secret(PASSWORD) },
  checkSource: null,
  ttlS: null,
};

/** What Icinga says of a result it took. */
const TAKEN = { results: [{ code: 200, status: "Successfully processed check result for object 'x!y'." }] };
const NO_OBJECT = { error: 404, status: 'No objects found.' };

interface Asked {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Record<string, unknown>;
}

/** Icinga, with an answer to each service; to the others it says that it took the result. */
function answering(answers: Readonly<Record<string, readonly [status: number, body: object | string]>> = {}): Asked[] {
  const asked: Asked[] = [];
  nock(ORIGIN)
    .persist()
    .post(PATH)
    .reply(function (_, body) {
      const [, service = ''] = String((body as { service: string }).service).split('!');
      asked.push({ headers: this.req.headers as Record<string, string>, body: body as Record<string, unknown> });
      const [status, answer] = answers[service] ?? [200, TAKEN];
      return [status, answer, { 'Content-Type': 'application/json' }];
    });
  return asked;
}

describe('Icinga 2, as it is documented', () => {
  beforeAll(() => {
    if (!nock.isActive()) nock.activate();
    nock.disableNetConnect();
  });
  afterEach(() => nock.cleanAll());
  afterAll(() => nock.restore());

  describe('a request', () => {
    test('holds one result, field by field', async () => {
      const asked = answering();
      expect(await deliver(icinga2(PLAN), [RESULT])).toEqual({ delivered: ['POP3'], refused: {}, failure: null });
      expect(asked).toHaveLength(1);
      expect(asked[0]?.body).toEqual({
        type: 'Service',
        service: 'mail.example.com!POP3',
        exit_status: 2,
        plugin_output: 'POP3 CRITICAL - mail.example.com: login-refused',
        performance_data: ['time=0.112s;5;10;0', 'certificate=74;21:;7:'],
        check_source: hostname(),
        execution_start: 1_767_323_045.25,
        execution_end: 1_767_323_045.362,
      });
    });

    test('says who we are and what we take', async () => {
      const asked = answering();
      await deliver(icinga2(PLAN), [RESULT]);
      expect(asked[0]?.headers).toMatchObject({
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'pop-connectivity',
        host: 'icinga.example.com:5665',
        // RFC 7617 §2: everything behind the first colon is the password; UTF-8.
        authorization: `Basic ${Buffer.from(`pop3:${PASSWORD}`, 'utf8').toString('base64')}`,
      });
    });

    test('has no password where a certificate says who we are', async () => {
      const asked = answering();
      await deliver(icinga2({ ...PLAN, credential: null }), [RESULT]);
      expect(asked[0]?.headers).not.toHaveProperty('authorization');
    });

    test('has a ttl and a check source where they were given', async () => {
      const asked = answering();
      await deliver(icinga2({ ...PLAN, ttlS: 600.5, checkSource: 'probe-1.example.com' }), [RESULT]);
      expect(asked[0]?.body).toMatchObject({ ttl: 600.5, check_source: 'probe-1.example.com' });
    });

    test('goes to the path before that of the API too', async () => {
      nock('https://proxy.example.com').post(`/icinga${PATH}`).reply(200, TAKEN);
      const plan = { ...PLAN, url: 'https://proxy.example.com/icinga' };
      expect(await deliver(icinga2(plan), [RESULT])).toMatchObject({ delivered: ['POP3'], failure: null });
    });

    test.each([
      ['a line end', 'POP3 WARNING - 1 of 2\nmail.example.com: connection-refused'],
      ['a backslash', 'server said "-ERR C:\\new\\table \\"'],
      ['quotes', 'server said "-ERR "no""'],
      ['letters beyond ASCII', 'Postfach „Müller“ – 密码 🐟'],
      ['a semicolon', 'a; b;'],
    ])('holds %s as it is: JSON can', async (_, output) => {
      const asked = answering();
      await deliver(icinga2(PLAN), [{ ...RESULT, output }]);
      expect(asked[0]?.body).toMatchObject({ plugin_output: output });
    });

    test('names hosts and services in any script', async () => {
      const asked = answering();
      await deliver(icinga2(PLAN), [{ ...RESULT, host: 'Büro 1', service: 'Postfächer "täglich"' }]);
      expect(asked[0]?.body).toMatchObject({ service: 'Büro 1!Postfächer "täglich"' });
    });

    test('may have no performance data', async () => {
      const asked = answering();
      await deliver(icinga2(PLAN), [{ ...RESULT, perfdata: [] }]);
      expect(asked[0]?.body).toMatchObject({ performance_data: [] });
    });
  });

  test('nothing to deliver asks nobody', async () => {
    const asked = answering();
    expect(await deliver(icinga2(PLAN), [])).toEqual({ delivered: [], refused: {}, failure: null });
    expect(asked).toEqual([]);
  });

  describe('a result that Icinga does not take', () => {
    const wrong = "Invalid 'exit_status' for Service";
    test.each<[string, number, object, string]>([
      [
        'for a service it does not have',
        404,
        NO_OBJECT,
        'Icinga has no such service, or the API user may not actions/process-check-result (HTTP 404)',
      ],
      [
        'for it cannot be read',
        400,
        { results: [{ code: 400, status: wrong }] },
        `Icinga refused it: HTTP 400, "${wrong}"`,
      ],
      [
        'for it fails at it',
        500,
        { results: [{ code: 500, status: "Action execution failed: 'Error'." }] },
        `Icinga refused it: HTTP 500, "Action execution failed: 'Error'."`,
      ],
    ])('%s, is named, and the others go on', async (_, status, body, why) => {
      const asked = answering({ 'POP3 2': [status, body] });
      const outcome = await deliver(icinga2(PLAN), numbered(20));
      expect(outcome.refused).toEqual({ 'POP3 2': why });
      expect(outcome.failure).toBe(null);
      expect([...outcome.delivered].sort()).toEqual(
        servicesOf(numbered(20))
          .filter((service) => service !== 'POP3 2')
          .sort(),
      );
      expect(asked).toHaveLength(20);
    });

    test('for it has a newer one, has nothing to say any more', async () => {
      const newer = "Newer check result already present. Check result for 'mail.example.com!POP3 2' was discarded.";
      answering({ 'POP3 2': [409, { results: [{ code: 409, status: newer }] }] });
      const { delivered, refused } = await deliver(icinga2(PLAN), numbered(3));
      expect([[...delivered].sort(), refused]).toEqual([['POP3 1', 'POP3 2', 'POP3 3'], {}]);
    });

    test('has the words of Icinga, on one line, and not all of many', async () => {
      answering({ POP3: [400, { error: 400, status: `Invalid body:\r\n\tline 1\0${' and more'.repeat(50)}` }] });
      const { refused } = await deliver(icinga2(PLAN), [RESULT]);
      expect(refused.POP3).toMatch(/^Icinga refused it: HTTP 400, "Invalid body: line 1\\x00( and more)+.*…"$/);
      expect(refused.POP3?.length).toBeLessThan(170);
    });
  });

  describe('an answer that settles nothing', () => {
    const HTML = '<html><body><h1>It works!</h1></body></html>';
    test.each<[string, number, object | string, string, string]>([
      [
        'a wrong password',
        401,
        { error: 401, status: 'Unauthorized. Please check your user credentials.' },
        'configuration',
        'the API user or password was not accepted (HTTP 401)',
      ],
      [
        'a permission that is missing',
        403,
        { error: 403, status: "Missing permission 'actions/process-check-result'." },
        'configuration',
        'the API user may not actions/process-check-result (HTTP 403)',
      ],
      [
        'a path where there is nothing',
        404,
        { error: 404, status: "The requested path 'x/v1/actions' could not be found" },
        'configuration',
        `Icinga answered HTTP 404, "The requested path 'x/v1/actions' could not be found"`,
      ],
      ['nothing, by another server', 404, HTML, 'configuration', 'the answer is not one of Icinga (HTTP 404)'],
      ['a page of another server', 200, HTML, 'configuration', 'the answer is not one of Icinga (HTTP 200)'],
      ['JSON of another server', 200, { ok: true }, 'configuration', 'the answer is not one of Icinga (HTTP 200)'],
      ['JSON that is no object', 200, 'null', 'configuration', 'the answer is not one of Icinga (HTTP 200)'],
      ['words on no result', 200, { error: 200, status: 'OK' }, 'configuration', 'Icinga answered HTTP 200, "OK"'],
      ['no result in it', 200, { results: [] }, 'configuration', 'the answer is not one of Icinga (HTTP 200)'],
      ['a request it could not read', 400, HTML, 'configuration', 'the answer is not one of Icinga (HTTP 400)'],
      ['elsewhere', 302, '', 'configuration', 'the answer is not one of Icinga (HTTP 302)'],
      ['500 without a word', 500, '', 'server-temporary', 'Icinga answered HTTP 500'],
      ['a proxy that does not reach it', 502, HTML, 'server-temporary', 'Icinga answered HTTP 502'],
      [
        'a reload',
        503,
        { error: 503, status: 'Icinga is reloading' },
        'server-temporary',
        'Icinga answered HTTP 503, "Icinga is reloading"',
      ],
      [
        'a service that is not active yet',
        503,
        { results: [{ code: 503, status: 'because the object is inactive.' }] },
        'server-temporary',
        'Icinga answered HTTP 503, "because the object is inactive."',
      ],
    ])('%s', async (_, status, body, reason, message) => {
      answering({ POP3: [status, body] });
      const { delivered, refused, failure } = await deliver(icinga2(PLAN), [RESULT]);
      expect([delivered, refused]).toEqual([[], {}]);
      expect(failure).toMatchObject({ reason, message: expect.stringContaining(message) });
      expect(failure?.message).not.toContain(PASSWORD);
      expect(failure?.message).not.toContain('\n');
    });

    test.each([
      ['as it is', PASSWORD],
      ['in the base 64 of the header', Buffer.from(`pop3:${PASSWORD}`, 'utf8').toString('base64')],
    ])('the password is not repeated where it says it %s', async (_, said) => {
      answering({ 'POP3 1': [503, { error: 503, status: `not now: ${said}` }] });
      const failure = await failureOf(icinga2(PLAN), numbered(1));
      expect(failure.message).toMatch(/^Icinga answered HTTP 503, "not now: /);
      for (const secret of [said, PASSWORD, 'obviously']) {
        expect(`${failure.message}\n${failure.said}\n${failure.stack}`).not.toContain(secret);
      }
    });

    test('a redirect is not followed, least of all with the password', async () => {
      const elsewhere = nock('https://elsewhere.example.com').post(PATH).reply(200, TAKEN);
      nock(ORIGIN)
        .post(PATH)
        .reply(307, '', { Location: `https://elsewhere.example.com${PATH}` });
      expect(await failureOf(icinga2(PLAN), [RESULT])).toMatchObject({ reason: 'configuration' });
      expect(elsewhere.isDone()).toBe(false);
    });

    test('a connection that is cut', async () => {
      nock(ORIGIN)
        .post(PATH)
        .replyWithError(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
      expect(await failureOf(icinga2(PLAN), [RESULT])).toMatchObject({
        reason: 'hung-up',
        message: 'the connection was reset (ECONNRESET)',
      });
    });

    test('the first one ends it: what is not settled waits', async () => {
      const asked = answering({ 'POP3 10': [503, { error: 503, status: 'Icinga is reloading' }] });
      const { delivered, refused, failure } = await deliver(icinga2(PLAN), numbered(100));
      expect(failure).toMatchObject({ reason: 'server-temporary' });
      expect(refused).toEqual({});
      expect(delivered).not.toContain('POP3 10');
      // Those that were under way beside it came to their end, and no other was begun.
      expect(delivered.length).toBeGreaterThanOrEqual(9);
      expect(asked.length).toBeLessThanOrEqual(10 + 8);
      expect(delivered).toHaveLength(asked.length - 1);
    });
  });
});

describe('a server with a certificate', () => {
  let authority: Authority;
  let identity: Identity;
  beforeAll(async () => {
    nock.restore();
    authority = await createAuthority('Icinga CA');
    // Icinga names its nodes as its endpoints, which no DNS need know.
    identity = await authority.issue({ names: ['master-1'], commonName: 'master-1' });
  });

  const planFor = (port: number, http: Partial<Plan['http']> = {}, more: Partial<Plan> = {}): Plan => ({
    ...PLAN,
    url: `https://127.0.0.1:${port}`,
    http: { family: 0, proxy: null, authorities: authority.certificate, identity: 'master-1', ...http },
    ...more,
  });
  const take = (response: ServerResponse): void => {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(TAKEN));
  };
  const serviceOf = ({ body }: Heard): string => (JSON.parse(body).service as string).split('!')[1] as string;
  const fingerprint = ({ certificate }: Identity): string =>
    new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();

  describe('is trusted', () => {
    test('by its name, which is not that of the URL', async () => {
      const { port, heard } = await serving(identity, take);
      expect(await deliver(icinga2(planFor(port)), [RESULT])).toMatchObject({ delivered: ['POP3'], failure: null });
      expect(heard).toHaveLength(1);
      expect(JSON.parse(heard[0]?.body ?? '')).toMatchObject({ service: 'mail.example.com!POP3' });
    });

    test('by its pin, whoever signed it and whatever it is called', async () => {
      const own = await (await createAuthority('another CA')).issue({ names: ['satellite-1'] });
      const { port } = await serving(own, take);
      const plan = planFor(port, {
        authorities: null,
        identity: '127.0.0.1',
        pins: ['0'.repeat(64), fingerprint(own)],
      });
      expect(await deliver(icinga2(plan), [RESULT])).toMatchObject({ delivered: ['POP3'], failure: null });
    });
  });

  describe('is not trusted, and hears nothing', () => {
    test.each<[string, () => Promise<Partial<Plan['http']>>, string]>([
      [
        'with another authority',
        async () => ({ authorities: (await createAuthority('another CA')).certificate }),
        'certificate-untrusted',
      ],
      ['with the usual authorities', async () => ({ authorities: null }), 'certificate-untrusted'],
      ['with another pin', async () => ({ pins: ['0'.repeat(64)] }), 'certificate-untrusted'],
      ['with another name', async () => ({ identity: 'master-2' }), 'certificate-wrong-host'],
      ['with the name of the URL alone', async () => ({ identity: '127.0.0.1' }), 'certificate-wrong-host'],
    ])('%s', async (_, http, reason) => {
      const { port, heard } = await serving(identity, take);
      const { delivered, refused, failure } = await deliver(icinga2(planFor(port, await http())), numbered(20));
      expect([delivered, refused]).toEqual([[], {}]);
      expect(failure).toMatchObject({ reason });
      expect(heard).toEqual([]);
    });
  });

  describe('that asks for ours', () => {
    const demanding = async () => ({
      requestCert: true,
      rejectUnauthorized: true,
      ca: authority.certificate,
    });

    test('is shown it, and needs no password', async () => {
      const { certificate, key } = await authority.issue({ names: [], commonName: 'probe-1', usage: 'client' });
      let shownBy = '';
      const { port, heard } = await serving(
        identity,
        (response, { request }) => {
          shownBy = (request.socket as TLSSocket).getPeerCertificate().subject.CN as string;
          take(response);
        },
        await demanding(),
      );
      const plan = planFor(port, { clientCertificate: { certificate, key } }, { credential: null });
      expect(await deliver(icinga2(plan), [RESULT])).toMatchObject({ delivered: ['POP3'], failure: null });
      expect(shownBy).toBe('probe-1');
      expect(heard[0]?.request.headers).not.toHaveProperty('authorization');
    });

    test('takes nothing without it', async () => {
      const { port, heard } = await serving(identity, take, await demanding());
      expect(await failureOf(icinga2(planFor(port)), [RESULT])).toMatchObject({
        reason: 'tls-failed',
        message: expect.stringContaining('the server demands a client certificate'),
      });
      expect(heard).toEqual([]);
    });
  });

  test('nobody is there', async () => {
    expect(await failureOf(icinga2(planFor(1)), [RESULT])).toMatchObject({
      reason: 'connection-refused',
      message: '127.0.0.1 port 1: the connection was refused (ECONNREFUSED)',
    });
  });

  describe('connections', () => {
    test('are taken up again: a hundred results cost eight handshakes at the most', async () => {
      const { port, heard, handshakes, open } = await serving(identity, take);
      const results = numbered(100);
      const { delivered, refused, failure } = await deliver(icinga2(planFor(port)), results);
      expect([refused, failure]).toEqual([{}, null]);
      expect([...delivered].sort()).toEqual([...servicesOf(results)].sort());
      expect(heard.map(serviceOf).sort()).toEqual([...servicesOf(results)].sort());
      expect(handshakes()).toBeLessThanOrEqual(8);
      await until('all connections are closed', () => open.size === 0);
    });

    test('are eight at a time at the most, and as many as there are results', async () => {
      let most = 0;
      let under = 0;
      const { port } = await serving(identity, (response) => {
        most = Math.max(most, ++under);
        setTimeout(() => {
          under--;
          take(response);
        }, 20);
      });
      await deliver(icinga2(planFor(port)), numbered(40));
      expect(most).toBe(8);
      const few = await serving(identity, take);
      await deliver(icinga2(planFor(few.port)), numbered(2));
      expect(few.handshakes()).toBe(2);
    });

    test('that the server closes after every answer are opened anew', async () => {
      const { port, heard, handshakes } = await serving(identity, (response) => {
        response.setHeader('Connection', 'close');
        take(response);
      });
      const results = numbered(30);
      const { delivered, failure } = await deliver(icinga2(planFor(port)), results);
      expect(failure).toBe(null);
      expect(delivered).toHaveLength(30);
      expect(heard).toHaveLength(30);
      expect(handshakes()).toBe(30);
    });

    // Whether the request was heard nobody knows: the same result twice is one result to Icinga.
    test('that the server closes as the next request arrives are opened anew, and each result is told again', async () => {
      const answered = new Map<Socket, number>();
      const taken: string[] = [];
      const { port, open } = await serving(identity, (response, heard) => {
        const { socket } = heard.request;
        const count = answered.get(socket) ?? 0;
        answered.set(socket, count + 1);
        if (count === 3) {
          socket.destroy();
          return;
        }
        taken.push(serviceOf(heard));
        take(response);
      });
      const results = numbered(60);
      const { delivered, refused, failure } = await deliver(icinga2(planFor(port)), results);
      expect([refused, failure]).toEqual([{}, null]);
      expect([...delivered].sort()).toEqual([...servicesOf(results)].sort());
      expect([...taken].sort()).toEqual([...servicesOf(results)].sort());
      await until('all connections are closed', () => open.size === 0);
    });

    test('that the server closes before it hears anything are no trouble for long: a new one is tried once', async () => {
      let connections = 0;
      const { port } = await serving(identity, (response, { request }) => {
        connections += 1;
        request.socket.destroy();
        response.destroy();
      });
      const { failure } = await deliver(icinga2(planFor(port)), numbered(1));
      expect(failure).toMatchObject({ reason: 'hung-up' });
      expect(connections).toBe(1);
    });
  });

  describe('when the time is over', () => {
    test('what is under way is let go of, nothing more is settled, and nothing is left open', async () => {
      const late: ServerResponse[] = [];
      const { port, heard, open, handshakes } = await serving(identity, (response) => {
        if (heard.length <= 10) take(response);
        else late.push(response);
      });
      const under = delivering(icinga2(planFor(port)), numbered(50));
      await until('eight requests are without an answer', () => late.length === 8);
      expect(under.delivered).toHaveLength(10);
      under.letGo();
      await until('all connections are closed', () => open.size === 0);
      expect(under.delivered).toHaveLength(10);
      expect(heard).toHaveLength(18);
      expect(handshakes()).toBe(8);
      // It does not settle any more: whoever waits has stopped waiting.
      expect(await Promise.race([under.done, new Promise((resolve) => setTimeout(resolve, 50, 'neither'))])).toBe(
        'neither',
      );
    });

    test('a handshake that does not come to its end is let go of too', async () => {
      const { port, open } = await listening(createServer((socket) => socket.resume()));
      const under = delivering(icinga2(planFor(port)), numbered(50));
      await until('eight connections are open', () => open.size === 8);
      under.letGo();
      await until('all connections are closed', () => open.size === 0);
      expect(under.delivered).toEqual([]);
    });
  });
});

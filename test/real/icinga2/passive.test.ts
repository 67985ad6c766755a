import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { freePort } from '../../support/free-port.ts';
import { type Attributes, ICINGA2, type Icinga2, shipped, startIcinga2 } from '../../support/icinga2.ts';
import { missing } from '../../support/installed.ts';
import { CHECK_POP3, type Ended, keepSecret, launch, privateFolder } from '../../support/run.ts';
import { until } from '../../support/until.ts';

const MAIL = 'mail.example.com';
const FARM = ['one.example.com', 'two.example.com', 'three.example.com'] as const;
const NODE = 'icinga.example.com';
const PROBE = 'probe.example.com';
const USER = 'probe@example.com';
const PASSWORD = keepSecret('correct-horse-battery-staple');
const API_PASSWORD = keepSecret('of the delivery, "quoted" \\ ü');
const FILES = shipped('check_pop3.conf', 'services.conf', 'api-users.conf');
/** Nobody listens there. */
const NOBODY = 1;

/** As constants.conf has it. The rules and the API user are in the files that we ship. */
const CONSTANTS = `
const Pop3DeliveryPassword = ${JSON.stringify(API_PASSWORD)}
const Pop3DeliveryClient = "${PROBE}"
`;

describe.skipIf(missing(ICINGA2, DOVECOT))('results delivered to a real Icinga 2', () => {
  const folder = privateFolder();
  const passwordFile = folder.file('password', `${PASSWORD}\n`);
  const apiFile = folder.file('api', `pop3-delivery\n${API_PASSWORD}\n`);
  const wrongFile = folder.file('wrong', `pop3-delivery\n${keepSecret('of somebody else')}\n`);
  const caFile = join(folder.path, 'ca.pem');
  const otherCaFile = join(folder.path, 'other-ca.pem');
  const clientFile = join(folder.path, 'client.pem');
  const strangerFile = join(folder.path, 'stranger.pem');
  let authority: Authority;
  let dovecot: Dovecot;
  let icinga: Icinga2;

  const startMail = async (): Promise<Dovecot> =>
    startDovecot({ users: { [USER]: PASSWORD }, identity: await authority.issue({ names: [MAIL, ...FARM] }) });

  const HOSTS = `
object Host "${MAIL}" {
  check_command = "dummy"
  address = "127.0.0.1"
  vars.pop3_delivered["POP3"] = { }
  vars.pop3_delivered["POP3 logon"] = { }
  vars.pop3_delivered["POP3 briefly"] = { }
  vars.pop3["POP3 active"] = { pop3_port = ${NOBODY}, pop3_user = "nobody", pop3_password = "x", pop3_light_mode = true }
}
${FARM.map((name) => `object Host "${name}" { check_command = "dummy", vars.pop3_delivered["POP3"] = { } }\n`).join('')}
`;

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    const client = await authority.issue({ names: [PROBE], usage: 'client' });
    const stranger = await authority.issue({ names: ['stranger.example.com'], usage: 'client' });
    writeFileSync(caFile, authority.certificate);
    writeFileSync(otherCaFile, (await createAuthority('Example Other CA')).certificate);
    writeFileSync(clientFile, `${client.certificate}\n${client.key}`, { mode: 0o600 });
    writeFileSync(strangerFile, `${stranger.certificate}\n${stranger.key}`, { mode: 0o600 });
    dovecot = await startMail();
    icinga = await startIcinga2({
      authority,
      nodeName: NODE,
      files: { ...FILES, 'conf.d/a.conf': CONSTANTS + HOSTS },
    });
  });
  afterAll(async () => {
    await icinga?.stop();
    await dovecot?.stop();
  });

  const logon = (port = dovecot.port): readonly string[] => [
    ...['-H', MAIL, '-I', '127.0.0.1', '-p', String(port), '-u', USER, '--password-file', passwordFile],
    ...['--ca-file', caFile, '--light-mode'],
  ];
  const TRUST = ['--deliver-ca-file', caFile, '--deliver-certificate-name', NODE];
  const API_USER = ['--deliver-credential', `@${apiFile}`];
  const to = (): readonly string[] => ['--deliver', `icinga2:https://127.0.0.1:${icinga.port}`];
  const toIcinga = (): readonly string[] => [...to(), ...API_USER, ...TRUST];

  /** Runs it, and holds it to what holds for every delivery: the verdict first, then one line, and no secret. */
  async function probe(
    argv: readonly string[],
    state = folder.state(),
  ): Promise<Ended & { readonly delivery: string }> {
    const ended = await launch(CHECK_POP3, [...argv, '--state-dir', state], {});
    expect(ended.stderr).toBe('');
    for (const secret of [PASSWORD, API_PASSWORD]) expect(ended.stdout).not.toContain(secret);
    const lines = ended.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^POP3 /);
    expect(lines.filter((line) => line.startsWith('DELIVERY '))).toHaveLength(1);
    return { ...ended, delivery: lines.at(-1) as string };
  }

  const service = (name: string): Promise<Attributes> => icinga.object('services', name);
  const resultOf = async (name: string): Promise<Attributes> => (await service(name)).last_check_result;

  test('a service is OK while the server works, CRITICAL when it was stopped, and OK again', async () => {
    const name = `${MAIL}!POP3`;
    const well = await probe([...logon(), ...toIcinga(), '--deliver-source', 'probe-1', '--deliver-ttl', '600']);
    expect(well).toMatchObject({
      code: 0,
      delivery: `DELIVERY OK - icinga2 127.0.0.1:${icinga.port}: 1 result delivered`,
    });
    expect(await service(name)).toMatchObject({ state: 0 });
    const result = await resultOf(name);
    const [text, metrics] = well.line.split(' | ');
    expect(result).toMatchObject({ active: false, check_source: 'probe-1', ttl: 600, output: text });
    // Each metric with its unit and its bounds: the days of the certificate have some.
    expect(result.performance_data).toEqual(metrics?.split(' '));
    expect(result.performance_data).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^time=[\d.]+s;;;0$/),
        expect.stringMatching(/^certificate=\d+;21:;7:$/),
      ]),
    );
    expect(result.execution_end - result.execution_start).toBeGreaterThan(0);

    await dovecot.stop();
    const stopped = await probe([...logon(), ...toIcinga()]);
    expect(stopped.code).toBe(2);
    expect(await service(name)).toMatchObject({ state: 2, state_type: 0, last_state: 0 });
    const refused = await resultOf(name);
    expect(refused.output).toMatch(/^POP3 CRITICAL - mail\.example\.com: connection-refused, /);
    expect(refused.check_source).toBe(hostname());
    await probe([...logon(), ...toIcinga()]);
    expect(await service(name)).toMatchObject({ state: 2, state_type: 1 }); // the second one confirms it

    dovecot = await startMail();
    await probe([...logon(), ...toIcinga()]);
    expect(await service(name)).toMatchObject({ state: 0, state_type: 1 });
  });

  test('with -v the lines that follow arrive too, and no performance data in them', async () => {
    await probe([...logon(), ...toIcinga(), '-v']);
    const { output, performance_data } = await resultOf(`${MAIL}!POP3`);
    expect(output.split('\n').length).toBeGreaterThan(3);
    expect(output).not.toContain('|');
    expect(performance_data.length).toBeGreaterThan(10);
  });

  test('with --passive the exit code is that of the delivery', async () => {
    const { code, line } = await probe([...logon(NOBODY), ...toIcinga(), '--passive']);
    expect(line).toMatch(/^POP3 CRITICAL - /);
    expect(code).toBe(0);
    expect(await service(`${MAIL}!POP3`)).toMatchObject({ state: 2 });
  });

  test('a certificate of our own does instead of a password', async () => {
    const argv = [...to(), ...TRUST, '--deliver-client-certificate', clientFile, '--deliver-source', 'by certificate'];
    expect(await probe([...logon(), ...argv, '--passive'])).toMatchObject({ code: 0 });
    expect(await resultOf(`${MAIL}!POP3`)).toMatchObject({ check_source: 'by certificate' });
  });

  test('without --deliver-ttl the next result is due when the service says', async () => {
    await probe([...logon(), ...toIcinga()]);
    const { next_check, last_check, check_interval } = await service(`${MAIL}!POP3`);
    expect(check_interval).toBe(900);
    expect(Math.round((next_check - last_check) / 10) * 10).toBe(900);
  });

  test('a service whose next result did not come in time is UNKNOWN, until one comes', async () => {
    const name = `${MAIL}!POP3 briefly`;
    const argv = [...logon(), ...toIcinga(), '--deliver-service', 'POP3 briefly', '--deliver-ttl', '2'];
    await probe(argv);
    expect(await service(name)).toMatchObject({ state: 0 });
    await until('its time is over', async () => (await service(name)).state === 3);
    expect(await resultOf(name)).toMatchObject({ output: 'No Passive Check Result Received.', active: true });
    await probe(argv);
    expect(await service(name)).toMatchObject({ state: 0 });
  });

  describe('who may not deliver, or should not', () => {
    const pin = (): string => {
      const file = join(icinga.folder, `data/certs/${NODE}.crt`);
      return new X509Certificate(readFileSync(file)).fingerprint256;
    };

    /** What is given in place of `toIcinga()`, the exit code with --passive, and what the line says. */
    const TROUBLE: readonly (readonly [string, () => readonly string[], string, RegExp])[] = [
      [
        'a wrong password',
        () => ['--deliver-credential', `@${wrongFile}`, ...TRUST],
        'one.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: configuration, the API user or password was not accepted \(HTTP 401\); 1 result waiting for the next run/,
      ],
      [
        'the certificate of a stranger',
        () => ['--deliver-client-certificate', strangerFile, ...TRUST],
        'one.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: configuration, the API user or password was not accepted \(HTTP 401\)/,
      ],
      [
        'an Icinga whose authority is not known',
        () => [...API_USER, '--deliver-certificate-name', NODE],
        'one.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: certificate-untrusted, /,
      ],
      [
        'an Icinga of another authority',
        () => [...API_USER, '--deliver-certificate-name', NODE, '--deliver-ca-file', otherCaFile],
        'one.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: certificate-untrusted, /,
      ],
      [
        'an Icinga of another name',
        () => [...API_USER, '--deliver-ca-file', caFile],
        'one.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: certificate-wrong-host, the certificate is for icinga\.example\.com, not the address 127\.0\.0\.1/,
      ],
      [
        'an Icinga that is not the one pinned',
        () => [...API_USER, '--deliver-pin', 'a'.repeat(64)],
        'one.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: certificate-untrusted, the certificate is not the one pinned/,
      ],
      [
        'a host that Icinga does not have',
        () => [...API_USER, ...TRUST],
        'nobody.example.com',
        /^DELIVERY UNKNOWN - \S+ \S+: 1 result refused: nobody\.example\.com!POP3, .*HTTP 404/,
      ],
      [
        'a service that is not delivered to: an API user may do no more than he needs',
        () => [...API_USER, ...TRUST, '--deliver-service', 'POP3 active'],
        MAIL,
        /^DELIVERY UNKNOWN - \S+ \S+: 1 result refused: mail\.example\.com!POP3 active, .*HTTP 404/,
      ],
    ];

    test.each(TROUBLE)('%s is told, and the verdict stands', async (_, given, host, line) => {
      const argv = [...logon(), ...to(), ...given(), '--deliver-host', host, '--deliver-source', 'must not get there'];
      const { code, line: verdict, delivery } = await probe(argv);
      expect(delivery).toMatch(line);
      expect(verdict).toMatch(/^POP3 OK - /);
      expect(code).toBe(0);
      expect(await probe([...argv, '--passive'])).toMatchObject({ code: 3 });
      const { json } = await icinga.api('/v1/objects/services');
      expect(JSON.stringify(json)).not.toContain('must not get there');
    });

    test('an Icinga that is pinned needs no authority, and no name', async () => {
      const argv = [...logon(), ...to(), ...API_USER, '--deliver-pin', pin(), '--deliver-source', 'by pin'];
      expect(await probe(argv)).toMatchObject({ code: 0, delivery: expect.stringContaining('DELIVERY OK') });
      expect(await resultOf(`${MAIL}!POP3`)).toMatchObject({ check_source: 'by pin' });
    });

    const OTHERS = [
      ['objects', '/v1/objects/services', undefined],
      ['the status', '/v1/status', undefined],
      ['templates', '/v1/templates/services', undefined],
      ['a check at once', '/v1/actions/reschedule-check', { type: 'Service', filter: 'true' }],
      ['a comment', '/v1/actions/add-comment', { type: 'Service', filter: 'true', author: 'x', comment: 'x' }],
    ] as const;

    test.each(OTHERS)('its API user gets no more of Icinga: not %s', async (_, path, body) => {
      expect(await icinga.api(path, body)).toMatchObject({ status: 200 }); // for somebody who may
      const user = { user: 'pop3-delivery', password: API_PASSWORD };
      expect(await icinga.api(path, body, user)).toMatchObject({
        status: 404, // as Icinga says it: there is nothing he may see
        json: { status: expect.stringMatching(/^No (objects|templates) found\.$/) },
      });
    });
  });

  test('one sweep feeds a service for each server', async () => {
    const targets = FARM.map((name, at) => ({
      'client-access-server': name,
      address: '127.0.0.1',
      'port-client-access-server': at === 2 ? NOBODY : dovecot.port,
    }));
    const file = folder.file('farm.yaml', JSON.stringify(targets));
    const common = [
      '--targets',
      file,
      '-u',
      USER,
      '--password-file',
      passwordFile,
      '--ca-file',
      caFile,
      '--light-mode',
    ];
    const { code, line, delivery } = await probe([...common, ...toIcinga(), '--passive']);
    expect(line).toMatch(/^POP3 CRITICAL - 3 servers, 1 critical, 2 ok \|/);
    expect(delivery).toBe(`DELIVERY OK - icinga2 127.0.0.1:${icinga.port}: 3 results delivered`);
    expect(code).toBe(0);
    const results = await Promise.all(FARM.map((name) => resultOf(`${name}!POP3`)));
    expect(results.map(({ state }) => state)).toEqual([0, 0, 2]);
    expect(results.map(({ output }) => output)).toEqual([
      expect.stringMatching(/^POP3 OK - one\.example\.com: logon /),
      expect.stringMatching(/^POP3 OK - two\.example\.com: logon /),
      expect.stringMatching(/^POP3 CRITICAL - three\.example\.com: connection-refused, /),
    ]);
    // Each has its own metrics, by the names a single check gives them.
    for (const { performance_data } of results) expect(performance_data[0]).toMatch(/^time=[\d.]+s;;;0$/);
  });

  test('while Icinga is down results wait, and then the newest of each service arrives', async () => {
    const state = folder.state();
    const went = Date.now() / 1000;
    await icinga.kill();
    const argv = [...toIcinga(), '--passive'];
    const first = await probe([...logon(), ...argv], state);
    expect(first.delivery).toMatch(
      /^DELIVERY WARNING - \S+ \S+: connection-refused, .*; 1 result waiting for the next run, the oldest for \d+ s$/,
    );
    expect(first.code).toBe(1);
    await probe([...logon(NOBODY), ...argv], state);
    const third = await probe([...logon(), ...argv, '--deliver-service', 'POP3 logon'], state);
    expect(third.delivery).toContain('; 2 results waiting for the next run');

    await icinga.start();
    const last = await probe([...logon(), ...argv, '--deliver-host', FARM[0]], state);
    expect(last.delivery).toMatch(/^DELIVERY OK - \S+ \S+: 3 results delivered$/);
    expect(await service(`${MAIL}!POP3 logon`)).toMatchObject({ state: 0 });
    // The OK of the first run never came: it would have covered what came after it.
    const { state: now, last_state_ok } = await service(`${MAIL}!POP3`);
    expect(now).toBe(2);
    expect(last_state_ok).toBeLessThan(went);
  });

  test('what one machine tested before another does not cover what that one found', async () => {
    const [one, other] = [folder.state(), folder.state()];
    const name = `${FARM[1]}!POP3`;
    const argv = [...toIcinga(), '--passive', '--deliver-host', FARM[1]];
    await icinga.kill();
    expect(await probe([...logon(), ...argv], one)).toMatchObject({ code: 1 });
    await icinga.start();
    await probe([...logon(NOBODY), ...argv, '--deliver-source', 'the other'], other);
    const late = await probe([...logon(), ...toIcinga(), '--passive', '--deliver-host', FARM[0]], one);
    expect(late.delivery).toMatch(/: 2 results delivered$/);
    expect(await service(name)).toMatchObject({ state: 2, last_check_result: { check_source: 'the other' } });
  });
});

describe.skipIf(missing(ICINGA2, DOVECOT))('a sweep that a real Icinga 2 starts, and that delivers to it', () => {
  let authority: Authority;
  let dovecot: Dovecot;
  let icinga: Icinga2;

  const HOSTS = (folder: string, port: number): string => `
${FARM.map((name) => `object Host "${name}" { check_command = "dummy", vars.pop3_delivered["POP3"] = { } }\n`).join('')}
object Host "${PROBE}" {
  check_command = "dummy"
  vars.pop3_sweeps["POP3 sweep"] = {
    pop3_targets = "${folder}/farm.yaml"
    pop3_user = "@${folder}/pop3.cred"
    pop3_ca_file = "${folder}/data/certs/ca.crt"
    pop3_deliver = "icinga2:https://127.0.0.1:${port}"
    pop3_deliver_credential = "@${folder}/api.cred"
    pop3_deliver_ca_file = "${folder}/data/certs/ca.crt"
    pop3_deliver_certificate_name = "${NODE}"
  }
}
`;

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    dovecot = await startDovecot({
      users: { [USER]: PASSWORD },
      identity: await authority.issue({ names: [...FARM] }),
    });
    const port = await freePort();
    icinga = await startIcinga2({
      authority,
      nodeName: NODE,
      port,
      files: { ...FILES, 'conf.d/a.conf': (folder) => CONSTANTS + HOSTS(folder, port) },
    });
    await icinga.file('pop3.cred', `${USER}\n${PASSWORD}\n`);
    await icinga.file('api.cred', `pop3-delivery\n${API_PASSWORD}\n`);
    const targets = FARM.map((name, at) => ({
      'client-access-server': name,
      address: '127.0.0.1',
      'port-client-access-server': at === 2 ? NOBODY : dovecot.port,
    }));
    await icinga.file('farm.yaml', JSON.stringify(targets));
  });
  afterAll(async () => {
    await icinga?.stop();
    await dovecot?.stop();
  });

  test('its own state is that of the delivery, and the servers have theirs', async () => {
    const sweep = await icinga.check(`${PROBE}!POP3 sweep`);
    expect(sweep).toMatchObject({ state: 0 });
    expect(sweep.last_check_result.output).toMatch(/\nDELIVERY OK - \S+ \S+: 3 results delivered$/);
    const services = await Promise.all(FARM.map((name) => icinga.object('services', `${name}!POP3`)));
    expect(services.map(({ state }) => state)).toEqual([0, 0, 2]);
  });

  test('when nothing can be delivered, its own state tells', async () => {
    await icinga.file('api.cred', `pop3-delivery\n${keepSecret('of somebody else')}\n`);
    const sweep = await icinga.check(`${PROBE}!POP3 sweep`);
    expect(sweep).toMatchObject({ state: 3 });
    expect(sweep.last_check_result.output).toContain('DELIVERY UNKNOWN - ');
  });
});

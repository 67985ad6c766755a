import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Option, optionsOf } from '../../../src/cli/options.ts';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { type Sandbox, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { type Attributes, ICINGA2, type Icinga2, shipped, startIcinga2, validate } from '../../support/icinga2.ts';
import { missing } from '../../support/installed.ts';
import { processesIn } from '../../support/processes.ts';
import { keepSecret } from '../../support/run.ts';
import { until } from '../../support/until.ts';

const MAIL = 'mail.example.com';
const USER = 'probe@example.com';
const PASSWORD = keepSecret('correct-horse-battery-staple');
const FILES = shipped('check_pop3.conf', 'services.conf', 'notifications.conf', 'api-users.conf');

/** What Debian's conf.d/templates.conf and users.conf have: whom to tell, and how. This one writes down whom it told. */
const MAILING = `
object NotificationCommand "mail-service-notification" {
  command = [ PluginContribDir + "/tell" ]
  arguments = {
    "--user" = "$user.name$"
    "--type" = "$notification.type$"
    "--state" = "$service.state$"
    "--service" = "$service.name$"
  }
}
template Notification "mail-service-notification" {
  command = "mail-service-notification"
}
object UserGroup "postmasters" { }
object UserGroup "icingaadmins" { }
object User "postmaster" { groups = [ "postmasters" ] }
object User "icingaadmin" { groups = [ "icingaadmins" ] }
`;

describe.skipIf(missing(ICINGA2))('the files for Icinga 2', () => {
  /** One host for whom every rule makes something. */
  const HOST = `
object Host "${MAIL}" {
  check_command = "dummy"
  address = "192.0.2.25"
  vars.pop3_user = "@/etc/icinga2/pop3.cred"
  vars.pop3["POP3 logon"] = { pop3_light_mode = true }
  vars.pop3["POP3 round trip"] = { pop3_critical = [ "delivery=60" ] }
  vars.pop3_addresses = [ "192.0.2.25", "192.0.2.26" ]
  vars.pop3_delivered["POP3"] = { }
  vars.pop3_sweeps["POP3 sweep"] = { pop3_targets = "/etc/icinga2/farm.yaml", pop3_deliver = "icinga2:https://127.0.0.1:5665" }
  vars.notification["pop3"] = { groups = [ "postmasters" ] }
  vars.notification["pop3_probe"] = { groups = [ "icingaadmins" ] }
}
const Pop3DeliveryPassword = "of a test"
const Pop3DeliveryClient = "probe.example.com"
`;

  test('are what Icinga takes without a warning, and every rule makes what it is for', async () => {
    const authority = await createAuthority('Example Test CA');
    // In the order of their names, as on a machine: the constants are in constants.conf there, before everything else.
    const { code, said } = await validate({ authority, files: { ...FILES, 'conf.d/a.conf': MAILING + HOST } });
    const complaints = said.split('\n').filter((line) => / (warning|critical)\//.test(line));
    expect(complaints).toEqual([]);
    expect(code).toBe(0);
    expect(said).toContain('Instantiated 6 Services.');
    expect(said).toContain('Instantiated 12 Notifications.'); // two for each
    expect(said).toContain('Instantiated 3 ApiUsers.'); // one is the test's own
  });

  test('without its constants the API gets no user', async () => {
    const authority = await createAuthority('Example Test CA');
    const { code, said } = await validate({ authority, files: FILES });
    expect(said).toContain('Instantiated 1 ApiUser.');
    expect(code).toBe(0);
  });

  const REFUSED = [
    [
      'a password with one $, which begins a macro',
      'vars.pop3_password = "a$b"',
      'Closing $ not found in macro format',
    ],
    ['a service whose command is not there', 'check_command = "pop4"', "Object 'pop4' of type 'CheckCommand'"],
  ] as const;

  test.each(REFUSED)('what they do not cover up: %s', async (_, line, why) => {
    const authority = await createAuthority('Example Test CA');
    const service = `object Service "x" {\n import "pop3-service"\n host_name = "${MAIL}"\n ${line}\n}\n`;
    const { code, said } = await validate({
      authority,
      files: { ...FILES, 'conf.d/a.conf': MAILING + HOST + service },
    });
    expect(said).toContain(why);
    expect(code).toBe(1);
  });
});

describe.skipIf(missing(ICINGA2, DOVECOT))('active checks by a real Icinga 2', () => {
  /** The plugin as it is, and what it printed last is kept. */
  const KEEPING = `#!/bin/sh
folder=$(dirname "$0")
printed=$("$folder/real/check_pop3" "$@")
code=$?
printf '%s\\n' "$printed" | tee "$folder/printed"
exit $code
`;
  const TELL = '#!/bin/sh\necho "$@" >>"$(dirname "$0")/told"\n';

  let authority: Authority;
  let dovecot: Dovecot;
  let sandbox: Sandbox;
  let icinga: Icinga2;
  /** What its writer for InfluxDB wrote: performance data as Icinga itself read it. */
  let influxdb: HttpServer;
  let written = '';
  /** Takes connections and says nothing. */
  let silent: Server;

  const LOGON = `${MAIL}!POP3 logon`;
  const ROUND_TRIP = `${MAIL}!POP3 round trip`;

  const start = async (): Promise<Dovecot> => {
    const identity = await authority.issue({ names: [MAIL] });
    return startDovecot({ users: { [USER]: PASSWORD }, identity });
  };
  const portOf = (server: Server | HttpServer): number => (server.address() as AddressInfo).port;

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    influxdb = createHttpServer((request, response) => {
      request.setEncoding('utf8').on('data', (text) => {
        written += text;
      });
      request.on('end', () => response.writeHead(204).end());
    }).listen(0, '127.0.0.1');
    silent = createServer().listen(0, '127.0.0.1');
    await until('both listen', () => influxdb.listening && silent.listening);
    dovecot = await start();
    sandbox = await startSandbox({
      user: USER,
      password: PASSWORD,
      identity: await authority.issue({ names: [MAIL] }),
    });
    icinga = await startIcinga2({
      authority,
      plugins: { check_pop3: KEEPING, tell: TELL },
      files: { ...FILES, 'conf.d/a.conf': (folder) => MAILING + hosts(folder), 'conf.d/influxdb.conf': WRITER() },
    });
    await icinga.file('pop3.cred', `${USER}\n${PASSWORD}\n`);
  });
  afterAll(async () => {
    await icinga?.stop();
    await dovecot?.stop();
    await sandbox?.close();
    influxdb?.close();
    silent?.close();
  });

  const hosts = (folder: string): string => `
object Host "${MAIL}" {
  check_command = "dummy"
  address = "127.0.0.1"
  vars.pop3_port = ${dovecot.port}
  vars.pop3_user = "@${folder}/pop3.cred"
  vars.pop3_ca_file = "${folder}/data/certs/ca.crt"
  vars.pop3["POP3 logon"] = { pop3_light_mode = true, pop3_warning = [ "20", "time_login=~:5", "octets=0:100000" ], pop3_critical = 30 }
  vars.pop3["POP3 round trip"] = {
    pop3_port = ${sandbox.pop3Port}
    pop3_smtp_port = ${sandbox.smtpPort}
    pop3_warning = "delivery=20"
    pop3_critical = [ "delivery=30", "polls=100" ]
  }
  vars.pop3["POP3 hurried"] = { pop3_port = ${portOf(silent)}, pop3_light_mode = true, pop3_timeout = 1 }
  vars.notification["pop3"] = { groups = [ "postmasters" ] }
  vars.notification["pop3_probe"] = { groups = [ "icingaadmins" ] }
}
object CheckCommand "pop3-itself" {
  import "pop3"
  command = [ PluginContribDir + "/real/check_pop3" ]
}
object Service "POP3 killed" {
  import "pop3-service"
  check_command = "pop3-itself"
  host_name = "${MAIL}"
  check_timeout = 10 // a tenth of that later it is killed outright
  vars.pop3_port = ${portOf(silent)}
  vars.pop3_light_mode = true
}
`;

  const WRITER = (): string => `
object InfluxdbWriter "influxdb" {
  host = "127.0.0.1"
  port = ${portOf(influxdb)}
  database = "icinga2"
  flush_interval = 1s
  enable_send_thresholds = true
  host_template = { measurement = "$host.check_command$" }
  service_template = { measurement = "$service.check_command$", tags = { service = "$service.name$" } }
}
`;

  const output = (service: Attributes): string => service.last_check_result.output;
  const told = (): string => {
    const file = join(icinga.folder, 'plugins/told');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };

  test('a service is OK while the server works, CRITICAL when it was stopped, and OK again; the postmasters are told', async () => {
    const well = await icinga.check(LOGON);
    expect(output(well)).toMatch(/^POP3 OK - mail\.example\.com: logon \d+ ms, login \d+ ms, 0 messages/);
    expect(well).toMatchObject({ state: 0, last_check_result: { exit_status: 0, check_source: 'icinga.example.com' } });

    await dovecot.stop();
    let stopped = await icinga.check(LOGON);
    expect(output(stopped)).toMatch(
      /^POP3 CRITICAL - mail\.example\.com: connection-refused, 127\.0\.0\.1 port \d+: .* - check that the POP3 service runs/,
    );
    expect(stopped).toMatchObject({ state: 2, state_type: 0 });
    while (stopped.state_type === 0) stopped = await icinga.check(LOGON);
    expect(stopped).toMatchObject({ state: 2, state_type: 1, check_attempt: 1 });

    dovecot = await start();
    await icinga.api(`/v1/objects/hosts/${MAIL}`, { attrs: { 'vars.pop3_port': dovecot.port } });
    expect(await icinga.check(LOGON)).toMatchObject({ state: 0, state_type: 1 });
    await until('the postmaster is told', () => told().includes('RECOVERY'));
    expect(told().split('\n')).toEqual([
      '--service POP3 logon --state CRITICAL --type PROBLEM --user postmaster',
      '--service POP3 logon --state OK --type RECOVERY --user postmaster',
      '',
    ]);
  });

  describe('every metric', () => {
    /** As a plugin prints them: label=value[unit];warning;critical;minimum. */
    const METRIC = /^(?<label>\w+)=(?<value>-?[\d.]+)(?<unit>[a-z%]*);?(?<warn>[^;]*);?(?<crit>[^;]*);?(?<min>[^;]*)$/;
    const PLAIN = /^-?[\d.]+$/; // a bound as Icinga reads one; of a range it keeps nothing
    const UNITS: Readonly<Record<string, string>> = { s: '"seconds"' };

    const printedBy = async (service: string): Promise<readonly string[]> => {
      const checked = await icinga.check(service);
      const printed = readFileSync(join(icinga.folder, 'plugins/printed'), 'utf8');
      expect(output(checked).trim()).toBe(printed.split('|')[0]?.trim());
      const metrics = printed.trim().split('| ')[1]?.split(' ') ?? [];
      expect(checked.last_check_result.performance_data).toEqual(metrics);
      return metrics;
    };

    /** What Icinga wrote for InfluxDB of the last check: each metric's numbers. */
    const readByIcinga = (service: string): Readonly<Record<string, Readonly<Record<string, string>>>> =>
      Object.fromEntries(
        written
          .split('\n')
          .filter((line) => line.startsWith(`pop3,service=${service.replaceAll(' ', '\\ ')},`))
          .map((line) => /metric=(\w+) (\S+) \d+$/.exec(line) as RegExpExecArray)
          .map(([, label, fields]) => [
            label,
            Object.fromEntries((fields as string).split(',').map((each) => each.split('='))),
          ]),
      );

    const expectRead = async (service: string, metrics: readonly string[]): Promise<void> => {
      written = '';
      await icinga.api('/v1/actions/process-check-result', {
        ...{ type: 'Service', filter: 'service.__name == n', filter_vars: { n: `${MAIL}!${service}` } },
        ...{ exit_status: 0, plugin_output: 'once more', performance_data: metrics },
      });
      await until('Icinga writes the last metric', () => written.includes('metric=certificate'));
      const read = readByIcinga(service);
      expect(Object.keys(read)).toHaveLength(metrics.length);
      for (const metric of metrics) {
        const { label = '', value, unit = '', warn = '', crit = '', min = '' } = METRIC.exec(metric)?.groups ?? {};
        const { value: number, ...rest } = read[label] ?? {};
        expect(Number(number), metric).toBe(Number(value));
        const bounds = Object.entries({ warn, crit, min }).filter(([, bound]) => PLAIN.test(bound));
        const expected = { ...(UNITS[unit] === undefined ? {} : { unit: UNITS[unit] }), ...Object.fromEntries(bounds) };
        expect(rest, metric).toEqual(expected);
      }
    };

    test('of a logon is in the API as it was printed, and Icinga reads all but the ranges', async () => {
      const metrics = await printedBy(LOGON);
      expect(metrics.map((metric) => metric.replace(/=-?[\d.]+/, '='))).toEqual([
        'time=s;20;30;0',
        ...['connect', 'greeting', 'capabilities', 'stls', 'tls'].map((phase) => `time_${phase}=s;;;0`),
        'time_login=s;~:5;;0',
        ...['time_mailbox=s;;;0', 'time_quit=s;;;0', 'messages=;;;0', 'octets=;0:100000;;0', 'certificate=;21:;7:'],
      ]);
      await expectRead('POP3 logon', metrics);
    });

    test('of a round trip too', async () => {
      const metrics = await printedBy(ROUND_TRIP);
      const labels = metrics.map((metric) => metric.split('=')[0]);
      expect(labels).toEqual(
        expect.arrayContaining(['delivery', 'polls', 'stale', 'time_send', 'time_delete', 'time_verify']),
      );
      expect(metrics).toEqual(expect.arrayContaining([expect.stringMatching(/^delivery=[\d.]+s;20;30;0$/)]));
      await expectRead('POP3 round trip', metrics);
    });
  });

  test('UNKNOWN is told to those who run the monitoring, and not to the postmasters', async () => {
    const file = join(icinga.folder, 'pop3.cred');
    const heard = told();
    await icinga.api(`/v1/objects/hosts/${MAIL}`, { attrs: { 'vars.pop3_user': `@${file}.lost` } });
    let unknown = await icinga.check(LOGON);
    expect(output(unknown)).toContain('POP3 UNKNOWN - configuration, ');
    while (unknown.state_type === 0) unknown = await icinga.check(LOGON);
    expect(unknown.state).toBe(3);
    await icinga.api(`/v1/objects/hosts/${MAIL}`, { attrs: { 'vars.pop3_user': `@${file}` } });
    expect(await icinga.check(LOGON)).toMatchObject({ state: 0 });
    await until('the administrator is told', () => told().slice(heard.length).includes('RECOVERY'));
    expect(told().slice(heard.length).split('\n')).toEqual([
      '--service POP3 logon --state UNKNOWN --type PROBLEM --user icingaadmin',
      '--service POP3 logon --state OK --type RECOVERY --user icingaadmin',
      '',
    ]);
  });

  test('a password in a file is nowhere in what Icinga tells and logs', async () => {
    await icinga.check(LOGON);
    const answers = await Promise.all(
      ['/v1/objects/services', '/v1/objects/hosts', '/v1/objects/checkcommands', '/v1/status'].map((path) =>
        icinga.api(path),
      ),
    );
    for (const { status, json } of answers) {
      expect(status).toBe(200);
      expect(JSON.stringify(json)).not.toContain(PASSWORD);
    }
    expect(JSON.stringify(answers)).toContain('pop3.cred'); // the search does find what is there
    expect(await icinga.log()).not.toContain(PASSWORD);
  });

  test('a server that keeps silent is told by the plugin itself, for Icinga waits longer', async () => {
    const hurried = await icinga.check(`${MAIL}!POP3 hurried`);
    expect(output(hurried)).toMatch(
      /^POP3 CRITICAL - mail\.example\.com: timed-out in greeting, no greeting within [\d.]+ s - /,
    );
    expect(output(hurried)).not.toContain('Timeout exceeded');
    const { json } = await icinga.api('/v1/objects/checkcommands/pop3');
    const usual = { plugin: 50, delivery: 8 };
    expect(json.results[0].attrs.timeout).toBeGreaterThan(usual.plugin + usual.delivery + 10);
  });

  test('a plugin that Icinga kills all the same is UNKNOWN, and nothing of it is left', async () => {
    const killed = await icinga.check(`${MAIL}!POP3 killed`);
    expect(killed).toMatchObject({ state: 3, last_check_result: { exit_status: 128 } });
    // It is asked to end first (SIGTERM), and says so.
    expect(output(killed)).toMatch(/^<Timeout exceeded\.>POP3 UNKNOWN - mail\.example\.com: interrupted in greeting, /);
    await until('the plugin is gone', async () => {
      const commands = await Promise.all(
        (await processesIn(icinga.folder)).map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
      );
      return !commands.some((command) => command.includes('real/check_pop3'));
    });
  });
});

const SECRETS = optionsOf('check_pop3').filter(({ secret }) => secret === true);
const CUSTOMS: Readonly<Record<string, string>> = {
  'client-access-server': 'pop3_server',
  'port-client-access-server': 'pop3_port',
  'mailbox-credential': 'pop3_user',
};
const LEFT_OUT = ['help', 'version', 'explain', 'what-if', 'confirm', 'password-stdin'];

describe.skipIf(missing(ICINGA2))('what Icinga makes of custom variables', () => {
  /** A line for each argument, then the environment. */
  const ECHO = `#!/bin/sh
for argument; do echo "argument $argument"; done
env | grep ^POP3_
`;
  const DEFAULTS = ['--client-access-server', MAIL, '--address', '192.0.2.25'];

  /** A value with all that a shell, Icinga or a plugin might take for something else. */
  const ODD = `two words, "quoted" 'twice' \\ ; # % & \u00fc`;
  /** As Icinga's language has it: a dollar sign is doubled. */
  const WRITTEN = `"${ODD.replaceAll('\\', '\\\\').replaceAll('"', '\\"')} $$"`;
  const GOT = `${ODD} $`;

  const BY_KIND: Readonly<Record<Option['kind'], (name: string) => readonly [string, readonly string[]]>> = {
    text: (name) => [WRITTEN, [`--${name}`, GOT]],
    list: (name) => [`[ "one", ${WRITTEN} ]`, [`--${name}`, 'one', `--${name}`, GOT]],
    optional: (name) => [WRITTEN, [`--${name}=${GOT}`]],
    flag: (name) => ['true', [`--${name}`]],
    count: () => ['2', ['-vv']],
  };

  interface Row {
    readonly title: string;
    readonly vars: string;
    readonly host?: string;
    readonly argv: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
  }

  const EVERY_OPTION: readonly Row[] = optionsOf('check_pop3')
    .filter(({ name, secret }) => !LEFT_OUT.includes(name) && secret !== true)
    .map(({ name, kind }) => {
      const custom = CUSTOMS[name] ?? `pop3_${name.replaceAll('-', '_')}`;
      const [value, argv] = BY_KIND[kind](name);
      return { title: custom, vars: `vars.${custom} = ${value}`, argv };
    });

  const EVERY_SECRET: readonly Row[] = SECRETS.map(({ name }) => {
    const custom = `pop3_${name.replaceAll('-', '_')}`;
    const variable = custom.toUpperCase();
    const argv = [`--${name}-env`, variable];
    return { title: custom, vars: `vars.${custom} = ${WRITTEN}`, argv, environment: { [variable]: GOT } };
  });

  const SPECIAL: readonly Row[] = [
    { title: 'nothing', vars: '', argv: [] },
    {
      title: 'numbers',
      vars: 'vars.pop3_port = 995\nvars.pop3_warning = [ 0.25, 3 ]',
      argv: ['--port-client-access-server', '995', '--warning', '0.250000', '--warning', '3'],
    },
    {
      title: 'one threshold without brackets',
      vars: 'vars.pop3_critical = "login=~:2"',
      argv: ['--critical', 'login=~:2'],
    },
    { title: 'flags taken back', vars: 'vars.pop3_ssl = false\nvars.pop3_verbose = 0', argv: [] },
    { title: 'verbose, and no more', vars: 'vars.pop3_verbose = true', argv: ['-v'] },
    { title: 'the conversation', vars: 'vars.pop3_verbose = 3', argv: ['-vvv'] },
    { title: 'the usual section of the usual ini file', vars: 'vars.pop3_extra_opts = ""', argv: ['--extra-opts='] },
    { title: 'an empty password', vars: 'vars.pop3_password = ""', argv: [] },
    {
      title: 'a password of digits',
      vars: 'vars.pop3_password = 123456',
      argv: ['--password-env', 'POP3_PASSWORD'],
      environment: { POP3_PASSWORD: '123456' },
    },
  ];

  /** The whole command line: the name that is verified, and where the connection goes. */
  const NAMES: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['by its name and address', 'both', '', ['--client-access-server', 'both', '--address', '192.0.2.25']],
    ['by its name alone, where it has no address', 'neither', '', ['--client-access-server', 'neither']],
    [
      'at its IPv6 address, where it has no other',
      'six',
      '',
      ['--client-access-server', 'six', '--address', '2001:db8::25'],
    ],
    [
      'at its IPv6 address, by request',
      'both',
      'vars.pop3_ipv6 = true',
      ['--client-access-server', 'both', '--address', '2001:db8::25', '--ipv6'],
    ],
    [
      'by another name',
      'both',
      'vars.pop3_server = "mail.example.net"',
      ['--client-access-server', 'mail.example.net', '--address', '192.0.2.25'],
    ],
    [
      'at another address',
      'both',
      'vars.pop3_address = "192.0.2.99"',
      ['--client-access-server', 'both', '--address', '192.0.2.99'],
    ],
    [
      'several, each at its own address',
      'both',
      'vars.pop3_server = [ "one", "two" ]',
      ['--client-access-server', 'one', '--client-access-server', 'two'],
    ],
    ['several with commas', 'both', 'vars.pop3_server = "one,two"', ['--client-access-server', 'one,two']],
    [
      'those of a file, and not the host that runs it',
      'both',
      'vars.pop3_targets = "/farm.yaml"',
      ['--targets', '/farm.yaml'],
    ],
    [
      'all addresses of the name',
      'both',
      'vars.pop3_all_addresses = true',
      ['--client-access-server', 'both', '--all-addresses'],
    ],
  ];

  const ROWS = [...EVERY_OPTION, ...EVERY_SECRET, ...SPECIAL];
  let icinga: Icinga2;
  let services: Readonly<Record<string, Attributes>>;

  beforeAll(async () => {
    const service = (name: string, host: string, vars: string): string =>
      `object Service ${JSON.stringify(name)} {\n import "pop3-service"\n host_name = "${host}"\n ${vars}\n}\n`;
    const hosts = `
object Host "${MAIL}" { check_command = "dummy", address = "192.0.2.25" }
object Host "both" { check_command = "dummy", address = "192.0.2.25", address6 = "2001:db8::25" }
object Host "six" { check_command = "dummy", address6 = "2001:db8::25" }
object Host "neither" { check_command = "dummy" }
`;
    const all = [
      ...ROWS.map(({ title, vars }) => service(title, MAIL, vars)),
      ...NAMES.map(([title, host, vars]) => service(title, host, vars)),
    ];
    icinga = await startIcinga2({
      authority: await createAuthority('Example Test CA'),
      plugins: { check_pop3: ECHO },
      files: { ...shipped('check_pop3.conf', 'services.conf'), 'conf.d/a.conf': hosts + all.join('') },
    });
    await icinga.api('/v1/actions/reschedule-check', { type: 'Service', force: true });
    await until('all are checked', async () => {
      const { json } = await icinga.api('/v1/objects/services');
      services = Object.fromEntries(json.results.map(({ attrs }: { attrs: Attributes }) => [attrs.name, attrs]));
      return Object.values(services).every(({ last_check_result }) => last_check_result !== null);
    });
  });
  afterAll(() => icinga?.stop());

  const linesOf = (name: string): readonly string[] => services[name]?.last_check_result.output.split('\n');
  const argvOf = (name: string): readonly string[] =>
    linesOf(name).flatMap((line) => (line.startsWith('argument ') ? [line.slice('argument '.length)] : []));

  test.each(NAMES)('a server is tested %s', (name, _, __, argv) => {
    expect(argvOf(name).filter((each) => each !== '--state-dir' && each !== stateDir())).toEqual(argv);
  });

  const stateDir = (): string => join(icinga.folder, 'data/pop-connectivity');

  /** Without what is there of itself. An argument of one's own that displaces it stays. */
  function besides(argv: readonly string[], name: string): readonly string[] {
    const usual = name === 'pop3_state_dir' ? DEFAULTS : [...DEFAULTS, '--state-dir', stateDir()];
    return argv.filter((each) => !usual.includes(each));
  }

  const DISPLACING = /^pop3_(server|address|targets|all_addresses)$/;

  test.each(ROWS.filter(({ title }) => DISPLACING.test(title)))('$title reaches the plugin', ({ title, argv }) => {
    expect(argvOf(title).join('\n')).toContain(argv.join('\n'));
  });

  test.each(ROWS.filter(({ title }) => !DISPLACING.test(title)))(
    '$title reaches the plugin',
    ({ title, argv, environment = {} }) => {
      expect(besides(argvOf(title), title)).toEqual(argv);
      const set = linesOf(title).filter((line) => /^POP3_\w+=./.test(line));
      expect(set).toEqual(Object.entries(environment).map(([name, value]) => `${name}=${value}`));
    },
  );

  test.each(EVERY_SECRET)('$title is not in the command that Icinga keeps and shows', ({ title }) => {
    const { last_check_result: result } = services[title] as Attributes;
    expect(JSON.stringify(result.command)).not.toContain('quoted');
    expect(result.command).toContain(`--${title.slice('pop3_'.length).replaceAll('_', '-')}-env`);
  });

  test('the table of options is the whole of it', () => {
    expect(EVERY_OPTION.length + EVERY_SECRET.length + LEFT_OUT.length).toBe(optionsOf('check_pop3').length);
    expect(EVERY_SECRET.length).toBeGreaterThan(3);
  });
});

/**
 * Writes what an administrator of Zabbix imports: the templates, for 6.0 and for 7.0, from one source.
 *
 *   node tools/zabbix.mjs
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { stringify } from 'yaml';

/** @typedef {'6.0' | '7.0'} Version */
/** @typedef {Readonly<Record<string, unknown>>} Element */

/**
 * A value that a dependent item takes out of the master's.
 *
 * @typedef {object} Part
 * @property {string} key behind the prefix of the template
 * @property {string} name
 * @property {string} path below the object of a test
 * @property {'UNSIGNED' | 'FLOAT' | 'CHAR' | 'TEXT'} type
 * @property {string} about
 * @property {'availability' | 'performance' | 'mailbox' | 'certificate'} component
 * @property {string} [units]
 * @property {string} [map] its value map
 * @property {boolean} [isSometimes] whether there are tests without it
 * @property {boolean} [isSteady] whether it is as it was from test to test, and need not be kept each time
 */

/**
 * @typedef {object} Trigger
 * @property {string} name behind the subject of the template
 * @property {string} [event] what an event is called, where it is told more
 * @property {string} expression `KEY[…]` stands for the item of that part
 * @property {'HIGH' | 'AVERAGE' | 'WARNING'} priority
 * @property {string} about
 * @property {'availability' | 'performance' | 'notice'} scope
 * @property {readonly string[]} after triggers that tell of the same fault: while one of them is up, this one is silent
 */

/**
 * @typedef {object} Template
 * @property {string} name
 * @property {string} about
 * @property {string} prefix of its keys
 * @property {string} subject what its triggers are about
 * @property {readonly Part[]} parts
 * @property {readonly Macro[]} macros
 * @property {(version: Version) => Element} master
 * @property {string} masterKey
 * @property {boolean} isFarm
 */

/** @typedef {readonly [name: string, value: string | Readonly<Record<Version, string>>, about: string]} Macro */

/** What is made, and from what. */
export const FILES = /** @type {Readonly<Record<string, () => string>>} */ ({
  'plugins/zabbix/pop3-6.0.yaml': () => yamlOf(exportOf('6.0')),
  'plugins/zabbix/pop3-7.0.yaml': () => yamlOf(exportOf('7.0')),
});

// ---- What is measured.

/** @type {readonly Part[]} */
const OUTCOME = [
  {
    key: 'status',
    name: 'state',
    path: 'status',
    type: 'UNSIGNED',
    map: 'POP3 state',
    component: 'availability',
    about: 'The verdict: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (nothing could be measured).',
  },
  {
    key: 'text',
    name: 'text',
    path: 'text',
    type: 'TEXT',
    component: 'availability',
    about: 'One line for people: what is wrong, where, and what to look at first.',
  },
  {
    key: 'reason',
    name: 'reason',
    path: 'reason',
    type: 'CHAR',
    map: 'POP3 reason',
    isSteady: true,
    component: 'availability',
    about: 'The code of what is wrong; docs/reasons.md and zabbix_pop3 --explain tell what it means.',
  },
  {
    key: 'phase',
    name: 'phase at fault',
    path: 'phase',
    type: 'CHAR',
    map: 'POP3 reason',
    isSteady: true,
    component: 'availability',
    about: 'The phase in which it went wrong.',
  },
];

/** @type {readonly Part[]} */
const LATENCY = [
  {
    key: 'latency',
    name: 'latency',
    path: 'latency',
    type: 'FLOAT',
    units: 's',
    isSometimes: true,
    component: 'performance',
    about: 'How long the whole test took. A test that failed has none.',
  },
];

/** @type {(names: readonly string[]) => readonly Part[]} */
const timesOf = (names) =>
  names.map((name) => ({
    key: `time.${name}`,
    name: `time of ${name}`,
    path: `metrics.time_${name}`,
    type: 'FLOAT',
    units: 's',
    isSometimes: true,
    component: 'performance',
    about: `How long the phase ${name} took. A phase that was not reached has no time.`,
  }));

const LOGON_PHASES = ['dns', 'connect', 'greeting', 'capabilities', 'stls', 'tls', 'login', 'mailbox', 'quit'];
const MESSAGE_PHASES = ['send', 'delivery', 'retrieve', 'delete', 'verify'];

/** @type {readonly Part[]} */
const MESSAGE = [
  {
    key: 'delivery',
    name: 'delivery',
    path: 'metrics.delivery',
    type: 'FLOAT',
    units: 's',
    isSometimes: true,
    component: 'performance',
    about: 'From the moment the mail system took the message until it was in the mailbox.',
  },
  {
    key: 'stale',
    name: 'stale messages',
    path: 'metrics.stale',
    type: 'UNSIGNED',
    isSometimes: true,
    component: 'mailbox',
    about: 'Messages of earlier tests that were still in the mailbox.',
  },
];

/** @type {readonly Part[]} */
const MAILBOX = [
  {
    key: 'messages',
    name: 'messages',
    path: 'metrics.messages',
    type: 'UNSIGNED',
    isSometimes: true,
    component: 'mailbox',
    about: 'How many messages are in the mailbox.',
  },
  {
    key: 'octets',
    name: 'size of the mailbox',
    path: 'metrics.octets',
    type: 'UNSIGNED',
    units: 'B',
    isSometimes: true,
    component: 'mailbox',
    about: 'How large all messages in the mailbox are.',
  },
];

/** @type {readonly Part[]} */
const TLS = [
  {
    key: 'certificate',
    name: 'days of the certificate',
    path: 'metrics.certificate',
    type: 'FLOAT',
    isSometimes: true,
    component: 'certificate',
    about: 'How many days the certificate has left; less than 0 when it has expired.',
  },
  {
    key: 'tls',
    name: 'TLS protocol',
    path: 'tls',
    type: 'CHAR',
    map: 'POP3 reason',
    isSteady: true,
    isSometimes: true,
    component: 'certificate',
    about: 'The version of TLS that was agreed on.',
  },
];

const LOGON = [...OUTCOME, ...LATENCY, ...timesOf(LOGON_PHASES), ...MAILBOX, ...TLS];
const ROUND_TRIP = [
  ...[...OUTCOME, ...LATENCY, ...timesOf([...LOGON_PHASES, ...MESSAGE_PHASES])],
  ...[...MESSAGE, ...MAILBOX, ...TLS],
];
const OF_EACH = [...OUTCOME, ...LATENCY, ...timesOf(['connect', 'login']), ...MAILBOX, ...TLS];

/** What nobody would guess of a number. */
const VALUE_MAPS = [
  {
    name: 'POP3 state',
    mappings: [
      { value: '0', newvalue: 'OK' },
      { value: '1', newvalue: 'WARNING' },
      { value: '2', newvalue: 'CRITICAL' },
      { value: '3', newvalue: 'UNKNOWN' },
    ],
  },
  { name: 'POP3 reason', mappings: [{ type: 'REGEXP', value: '^$', newvalue: 'none' }] },
];

// ---- What alerts.

/**
 * Each fault has one of them up alone: those on the state exclude each other by its last value, an expired certificate
 * is a failure and no matter of days, a slow test is none that failed. Where one waits for another, Zabbix leaves it as
 * it is, up or not, until the other is over: so those on the state do not wait for each other.
 *
 * @type {readonly Trigger[]}
 */
const ON_THE_STATE = [
  {
    name: 'fails',
    event: 'fails: TEXT',
    expression: `min(KEY[status],FAILURES)>=2 and last(KEY[status])=2`,
    priority: 'HIGH',
    about: 'Users cannot get at their mail. The text tells what is wrong and what to look at first.',
    scope: 'availability',
    after: [],
  },
  {
    name: 'cannot be tested',
    event: 'cannot be tested: TEXT',
    expression: `min(KEY[status],FAILURES)>=2 and last(KEY[status])=3`,
    priority: 'AVERAGE',
    about:
      'The test itself has trouble: its settings, a token, name servers, the machine it runs on. Of the mail server nothing is known.',
    scope: 'availability',
    after: [],
  },
  {
    name: 'is impaired',
    event: 'is impaired: TEXT',
    expression: `min(KEY[status],FAILURES)>=1 and last(KEY[status])=1`,
    priority: 'WARNING',
    about: 'Users get at their mail, and something is wrong.',
    scope: 'notice',
    after: [],
  },
];

/** @type {readonly Trigger[]} */
const ON_THE_CERTIFICATE = [
  {
    name: 'has a certificate with less than CERTIFICATE.CRIT days',
    expression: 'last(KEY[certificate])<CERTIFICATE.CRIT and last(KEY[certificate])>=0',
    priority: 'AVERAGE',
    about: 'The certificate is about to expire, and clients will refuse the server.',
    scope: 'notice',
    after: ['fails'],
  },
  {
    name: 'has a certificate with less than CERTIFICATE.WARN days',
    expression: 'last(KEY[certificate])<CERTIFICATE.WARN and last(KEY[certificate])>=0',
    priority: 'WARNING',
    about: 'The certificate will expire, and has not been renewed.',
    scope: 'notice',
    after: ['fails', 'has a certificate with less than CERTIFICATE.CRIT days'],
  },
];

/** @type {(what: string, key: string, macro: string) => readonly Trigger[]} */
const timed = (what, key, macro) => [
  {
    name: `${what} takes longer than ${macro}.CRIT s`,
    expression: `min(KEY[${key}],FAILURES)>${macro}.CRIT`,
    priority: 'AVERAGE',
    about: 'Users notice it.',
    scope: 'performance',
    after: ['fails', 'cannot be tested'],
  },
  {
    name: `${what} takes longer than ${macro}.WARN s`,
    expression: `min(KEY[${key}],FAILURES)>${macro}.WARN`,
    priority: 'WARNING',
    about: 'It is slower than it should be.',
    scope: 'performance',
    after: ['fails', 'cannot be tested', `${what} takes longer than ${macro}.CRIT s`],
  },
];

/** @type {(key: string) => Trigger} */
const silence = (key) => ({
  name: 'has not been tested for NODATA',
  expression: `nodata(KEY[${key}],NODATA)=1`,
  priority: 'AVERAGE',
  about: 'No result has come. The error of the master item tells why: in Hosts, Items, it is not supported.',
  scope: 'availability',
  after: [],
});

// ---- What an administrator sets.

/** @type {readonly Macro[]} */
const LOGON_MACROS = [
  ['{$POP3.USER}', '', 'The user name of the mailbox.'],
  [
    '{$POP3.PASSWORD.FILE}',
    '/etc/zabbix/pop3.password',
    'The file with its password, on the machine that runs the check. Nobody but Zabbix may read it.',
  ],
  [
    '{$POP3.EXTRA}',
    '',
    'More options from an ini file: SECTION@FILE, such as pop3@/etc/zabbix/pop3.ini. Empty for none.',
  ],
];

/** @type {readonly Macro[]} */
const SERVER_MACROS = [
  [
    '{$POP3.NAME}',
    '',
    'The name in the certificate, where the interface of the host has an address. Empty where it has that name.',
  ],
  ['{$POP3.PORT}', '', 'The port. Empty for the usual one: 110, with ssl 995.'],
  ['{$POP3.CONNECTION}', '', 'tls (STLS), ssl (TLS from the start) or plaintext. Empty for tls.'],
];

/** @type {Macro} */
const TIMEOUT_MACRO = [
  '{$POP3.TIMEOUT}',
  { '6.0': '2.5', '7.0': '10' },
  'Seconds the check may take. Less than Zabbix waits: Timeout in zabbix_server.conf or zabbix_proxy.conf, in 7.0 the timeout of the item.',
];

/** @type {(days: readonly [string, string], time: readonly [string, string]) => readonly Macro[]} */
const thresholdMacros = ([warnDays, critDays], [warnTime, critTime]) => [
  ['{$POP3.TIME.WARN}', warnTime, 'Seconds the whole test may take: WARNING above.'],
  ['{$POP3.TIME.CRIT}', critTime, 'Seconds the whole test may take: AVERAGE above.'],
  ['{$POP3.CERTIFICATE.WARN}', warnDays, 'Days the certificate must have left: WARNING below.'],
  ['{$POP3.CERTIFICATE.CRIT}', critDays, 'Days the certificate must have left: AVERAGE below.'],
];

/** @type {readonly Macro[]} */
const DELIVERY_MACROS = [
  ['{$POP3.DELIVERY.WARN}', '60', 'Seconds the delivery of a message may take: WARNING above.'],
  ['{$POP3.DELIVERY.CRIT}', '300', 'Seconds the delivery of a message may take: AVERAGE above.'],
];

/** @type {(interval: string, failures: string, nodata: string) => readonly Macro[]} */
const paceMacros = (interval, failures, nodata) => [
  ...(interval === '' ? [] : [/** @type {Macro} */ (['{$POP3.INTERVAL}', interval, 'How often it is tested.'])]),
  ['{$POP3.FAILURES}', failures, 'How many of the last tests must be bad for an alert: #3 for three in a row.'],
  ['{$POP3.NODATA}', nodata, 'For how long no result may come.'],
];

// ---- The templates.

/** When the check did not end in time or could not be run: Zabbix would give its dependent items nothing. */
const FALLBACK = JSON.stringify({
  status: 3,
  state: 'UNKNOWN',
  text: 'POP3 UNKNOWN - Zabbix got no answer from zabbix_pop3: it was ended for its time, or could not be run',
  reason: 'local-resources',
  phase: '',
});

/** @type {(version: Version) => readonly Element[]} */
const masterSteps = (version) => [
  {
    type: 'CHECK_NOT_SUPPORTED',
    parameters: [version === '6.0' ? '' : '-1'],
    error_handler: 'CUSTOM_VALUE',
    error_handler_params: FALLBACK,
  },
  OR_WORDS,
];

/** A refusal is no JSON: it makes the item unsupported, and its words are what the item says of that. */
const OR_WORDS = { type: 'CHECK_REGEX_ERROR', parameters: ['^([^{].*)', '\\1'] };

/** @type {(key: string) => (version: Version) => Element} */
const external = (key) => (version) => ({
  type: 'EXTERNAL',
  key,
  delay: '{$POP3.INTERVAL}',
  ...(version === '6.0' ? {} : { timeout: '15s' }),
  preprocessing: masterSteps(version),
});

/** @type {(options: readonly string[]) => string} */
const keyOf = (options) => `zabbix_pop3[${options.map((option) => `"${option}"`).join(',')}]`;

const LOGON_OPTIONS = [
  '--mailbox-credential={$POP3.USER}',
  '--password-file={$POP3.PASSWORD.FILE}',
  '--timeout={$POP3.TIMEOUT}',
  '--extra-opts={$POP3.EXTRA}',
  // The days are Zabbix's to judge: else one certificate would raise two alerts.
  '--certificate-days=0',
];
const SERVER_OPTIONS = [
  '--client-access-server={$POP3.NAME}',
  '--address={HOST.CONN}',
  '--port-client-access-server={$POP3.PORT}',
  '--connection-type={$POP3.CONNECTION}',
];

const LIGHT_KEY = keyOf([...SERVER_OPTIONS, ...LOGON_OPTIONS]);
const SPLIT_KEY = keyOf([
  ...[...SERVER_OPTIONS, ...LOGON_OPTIONS, '--split'],
  ...['--mail-to={$POP3.MAIL.TO}', '--smtp-server={$POP3.SMTP.SERVER}', '--smtp-port={$POP3.SMTP.PORT}'],
  '--state-dir={$POP3.STATE.DIR}',
]);
const FARM_OPTIONS = ['--targets={$POP3.TARGETS}', ...LOGON_OPTIONS];
const FARM_KEY = keyOf([...FARM_OPTIONS, '--sweep-timeout={$POP3.TIMEOUT}']);
const DISCOVERY_KEY = keyOf([...FARM_OPTIONS, '--discover']);

/** @type {readonly Template[]} */
const TEMPLATES = [
  {
    name: 'POP3 logon by external check',
    about: 'Logs on to the POP3 server of the host, by its interface. The server or proxy runs zabbix_pop3.',
    prefix: 'pop3',
    subject: 'POP3 logon',
    parts: LOGON,
    masterKey: LIGHT_KEY,
    master: external(LIGHT_KEY),
    isFarm: false,
    macros: [
      ...[...SERVER_MACROS, ...LOGON_MACROS, TIMEOUT_MACRO],
      ...[...thresholdMacros(['21', '7'], ['1', '2']), ...paceMacros('1m', '#3', '10m')],
    ],
  },
  {
    name: 'POP3 round trip by external check',
    about:
      'Each run finds the message that the one before sent, deletes it and sends the next (--split). The logon is part of it: a host needs no other template of these.',
    prefix: 'pop3.trip',
    subject: 'POP3 round trip',
    parts: ROUND_TRIP,
    masterKey: SPLIT_KEY,
    master: external(SPLIT_KEY),
    isFarm: false,
    macros: [
      ...[...SERVER_MACROS, ...LOGON_MACROS, TIMEOUT_MACRO],
      ['{$POP3.MAIL.TO}', '', 'The address whose mail ends in the mailbox. Empty if that is the user name.'],
      ['{$POP3.SMTP.SERVER}', '', 'The server that takes the message. Empty if it is the POP3 server.'],
      ['{$POP3.SMTP.PORT}', '', 'Its port. Empty for 587.'],
      [
        '{$POP3.STATE.DIR}',
        '/var/lib/zabbix/pop-connectivity',
        'Where runs leave word for each other. Zabbix must be able to write there, and nobody else.',
      ],
      ...[...thresholdMacros(['21', '7'], ['2', '4']), ...DELIVERY_MACROS, ...paceMacros('5m', '#2', '20m')],
    ],
  },
  {
    name: 'POP3 farm by external check',
    about:
      'Tests every server in a file of targets by one run, and makes items and triggers for each. Servers that need a Zabbix host each: POP3 by trapper.',
    prefix: 'pop3.farm',
    subject: 'POP3 farm',
    parts: OF_EACH,
    masterKey: FARM_KEY,
    master: external(FARM_KEY),
    isFarm: true,
    macros: [
      [
        '{$POP3.TARGETS}',
        '/etc/zabbix/pop3-farm.yaml',
        'The file of targets, on the machine that runs the check (docs/sweeps.md).',
      ],
      ['{$POP3.DISCOVERY.INTERVAL}', '1h', 'How often that file is read for new servers.'],
      ...[...LOGON_MACROS, TIMEOUT_MACRO],
      ...[...thresholdMacros(['21', '7'], ['1', '2']), ...paceMacros('1m', '#3', '10m')],
    ],
  },
  {
    name: 'POP3 by trapper',
    about:
      'Takes what check_pop3 --deliver zabbix:SERVER hands over: full tests that take longer than Zabbix waits, sweeps, tests from elsewhere.',
    prefix: 'pop3.passive',
    subject: 'POP3 (passive)',
    parts: ROUND_TRIP,
    masterKey: 'pop3.trap[POP3]',
    master: () => ({ type: 'TRAP', key: 'pop3.trap[POP3]', delay: '0', preprocessing: [OR_WORDS] }),
    isFarm: false,
    macros: [...[...thresholdMacros(['21', '7'], ['15', '30']), ...DELIVERY_MACROS], ...paceMacros('', '#2', '20m')],
  },
];

/** @param {Version} version */
function exportOf(version) {
  const group = { uuid: 'a571c0d144b14fd4a87a9d9b2aa9fcd6', name: 'Templates/Applications' }; // Zabbix's own
  return {
    zabbix_export: {
      version,
      ...(version === '6.0' ? { date: '2026-01-01T00:00:00Z', groups: [group] } : { template_groups: [group] }),
      templates: TEMPLATES.map((template) => templateOf(template, version)),
      triggers: TEMPLATES.flatMap((template) => triggersOf(template)),
      graphs: TEMPLATES.flatMap((template) => graphsOf(template)),
    },
  };
}

/**
 * @param {Template} template
 * @param {Version} version
 */
function templateOf(template, version) {
  const { name, about, macros, isFarm } = template;
  return {
    uuid: uuidOf(name),
    template: name,
    name,
    description: `${about}\n\nPart of pop-connectivity: plugins/zabbix/README.md. Made by tools/zabbix.mjs.`,
    ...(version === '6.0' ? {} : { vendor: { name: 'pop-connectivity', version: '7.0-0' } }),
    groups: [{ name: 'Templates/Applications' }],
    items: [masterOf(template, version), ...(isFarm ? wholeFarm(template) : ownParts(template))],
    ...(isFarm ? { discovery_rules: [discoveryOf(template, version)] } : {}),
    tags: tagsOf([
      ['class', 'software'],
      ['target', 'pop3'],
    ]),
    macros: macros.map(([macro, value, description]) => ({
      macro,
      ...(textOf(value, version) === '' ? {} : { value: textOf(value, version) }),
      description,
    })),
    valuemaps: VALUE_MAPS.map((map) => ({ uuid: uuidOf(name, 'value map', map.name), ...map })),
  };
}

/** @type {(value: Macro[1], version: Version) => string} */
const textOf = (value, version) => (typeof value === 'string' ? value : value[version]);

/** @type {(template: Template, version: Version) => Element} */
const masterOf = (template, version) => {
  const { type, key, ...more } = /** @type {{ type: string, key: string }} */ (template.master(version));
  return {
    uuid: uuidOf(template.name, 'item', 'master'),
    name: `${template.subject}: result`,
    ...(type === 'TRAP' ? { type, key } : { type, key }),
    ...more,
    // Its parts are kept; it is not.
    history: '0',
    value_type: 'TEXT',
    trends: '0',
    description: 'One JSON object with all of the result. The other items take their parts out of it.',
    tags: tagsOf([['component', 'raw']]),
  };
};

/** @type {(template: Template) => readonly Element[]} */
const ownParts = (template) =>
  template.parts.map((part) => ({
    uuid: uuidOf(template.name, 'item', part.key),
    name: `${template.subject}: ${part.name}`,
    ...dependent(template, part, `${template.prefix}.${part.key}`, `$.${part.path}`),
  }));

/**
 * @param {Template} template
 * @param {Part} part
 * @param {string} key
 * @param {string} path
 */
function dependent({ masterKey }, { type, map, units, about, component, isSometimes, isSteady }, key, path) {
  const isNumber = type === 'FLOAT' || type === 'UNSIGNED';
  const discard = isSometimes === true ? { error_handler: 'DISCARD_VALUE' } : {};
  return {
    type: 'DEPENDENT',
    key,
    delay: '0',
    history: isNumber ? '31d' : '7d',
    ...(isNumber ? (type === 'FLOAT' ? { value_type: type } : {}) : { trends: '0', value_type: type }),
    ...(units === undefined ? {} : { units }),
    description: about,
    ...(map === undefined ? {} : { valuemap: { name: map } }),
    preprocessing: [
      { type: 'JSONPATH', parameters: [path], ...discard },
      ...(isSteady === true ? [{ type: 'DISCARD_UNCHANGED_HEARTBEAT', parameters: ['1h'] }] : []),
    ],
    master_item: { key: masterKey },
    tags: tagsOf([['component', component]]),
  };
}

// ---- A farm: what is known of it as a whole, and what is made for each server.

/** @type {Part} */
const SERVERS = {
  key: 'servers',
  name: 'servers',
  path: 'servers.length()',
  type: 'UNSIGNED',
  isSometimes: true,
  component: 'availability',
  about: 'How many servers were tested.',
};

/** @type {(template: Template) => readonly Element[]} */
const wholeFarm = (template) =>
  ownParts({ ...template, parts: [...OUTCOME.filter(({ key }) => key === 'status' || key === 'text'), SERVERS] });

/** @type {(template: Template, version: Version) => Element} */
const discoveryOf = (template, version) => ({
  uuid: uuidOf(template.name, 'discovery rule'),
  name: `${template.subject}: servers`,
  type: 'EXTERNAL',
  key: DISCOVERY_KEY,
  delay: '{$POP3.DISCOVERY.INTERVAL}',
  ...(version === '6.0' ? {} : { timeout: '15s' }),
  // A server that is no longer in the file is none whose alert should stay.
  ...(version === '6.0' ? { lifetime: '0' } : { lifetime_type: 'DELETE_IMMEDIATELY' }),
  description: 'The servers in the file of targets. None of them is tested by this.',
  item_prototypes: template.parts.map((part) => ({
    uuid: uuidOf(template.name, 'item prototype', part.key),
    name: `POP3 of {#LABEL}: ${part.name}`,
    ...dependent(
      template,
      part,
      farmKey(template, part.key),
      `$.servers[?(@.server == "{#LABEL}")].${part.path}.first()`,
    ),
    tags: tagsOf([
      ['component', part.component],
      ['server', '{#LABEL}'],
    ]),
  })),
  trigger_prototypes: triggersOn(
    template,
    [...ON_THE_STATE, ...timed('logon', 'latency', 'TIME'), ...ON_THE_CERTIFICATE],
    {
      subject: 'POP3 of {#LABEL}',
      kind: 'trigger prototype',
      keyOf: (key) => farmKey(template, key),
      // So that one server of them all may have a threshold of its own.
      macroOf: (macro) => (macro === 'FAILURES' ? '{$POP3.FAILURES}' : `{$POP3.${macro}:"{#LABEL}"}`),
      tags: [['server', '{#LABEL}']],
    },
  ),
  graph_prototypes: [
    graph(template, 'POP3 of {#LABEL}: latency', 'graph prototype', {}, [
      ['0080FF', farmKey(template, 'latency')],
      ['FF8000', farmKey(template, 'time.login')],
    ]),
  ],
});

/** @type {(template: Template, key: string) => string} */
const farmKey = ({ prefix }, key) => `${prefix}.${key}[{#LABEL}]`;

// ---- Triggers.

/** @type {(template: Template) => readonly Element[]} */
function triggersOf(template) {
  const { prefix, subject, parts, isFarm } = template;
  const isTrip = parts.some(({ key }) => key === 'delivery');
  const own = [
    ...[...ON_THE_STATE, ...timed('test', 'latency', 'TIME')],
    ...(isTrip ? timed('delivery', 'delivery', 'DELIVERY') : []),
    ...[...ON_THE_CERTIFICATE, silence('status')],
  ];
  return triggersOn(template, isFarm ? [silence('servers')] : own, {
    subject,
    kind: 'trigger',
    keyOf: (key) => `${prefix}.${key}`,
    macroOf: (macro) => `{$POP3.${macro}}`,
    tags: [],
  });
}

/**
 * @typedef {object} Setting
 * @property {string} subject
 * @property {string} kind
 * @property {(key: string) => string} keyOf
 * @property {(macro: string) => string} macroOf
 * @property {readonly (readonly [string, string])[]} tags
 */

/** @type {(template: Template, triggers: readonly Trigger[], setting: Setting) => readonly Element[]} */
function triggersOn(template, triggers, setting) {
  const { subject, kind, keyOf: itemKey, macroOf, tags } = setting;
  /** @param {string} text */
  const filled = (text) =>
    text
      .replace(/KEY\[([^\]]+)\]/g, (_, key) => `/${template.name}/${itemKey(key)}`)
      .replace(/\b(FAILURES|NODATA|(?:TIME|DELIVERY|CERTIFICATE)\.(?:WARN|CRIT))\b/g, (macro) => macroOf(macro))
      .replace('TEXT', `{?last(//${itemKey('text')})}`);
  /** @param {Trigger} trigger */
  const identified = ({ name, expression }) => ({
    name: `${subject} ${filled(name)}`,
    expression: filled(expression),
  });
  return triggers.map((trigger) => {
    const { name, event, priority, about, scope, after } = trigger;
    const masters = triggers.filter((each) => after.includes(each.name));
    const { name: shown, expression } = identified(trigger);
    return {
      uuid: uuidOf(template.name, kind, name),
      expression,
      name: shown,
      ...(event === undefined ? {} : { event_name: `${subject} ${filled(event)}` }),
      priority,
      description: about,
      ...(masters.length === 0 ? {} : { dependencies: masters.map(identified) }),
      tags: tagsOf([['scope', scope], ...tags]),
    };
  });
}

// ---- Graphs.

const COLOURS = [
  ...['1A7C11', '2774A4', 'F63100', 'A54F10', 'FC6EA3', '6C59DC', 'AC8C14', '611F27'],
  ...['F230E0', '5CCD18', 'BB2A02', '5A2B57', '89ABF8', '7EC25C', '274482', '2B5429'],
];

/** @type {(template: Template) => readonly Element[]} */
function graphsOf(template) {
  const { prefix, subject, parts, isFarm } = template;
  if (isFarm) return [];
  const times = parts.filter(({ key }) => key.startsWith('time.') && key !== 'time.delivery');
  const whole = parts.filter(({ key }) => key === 'latency' || key === 'delivery');
  /** @type {(chosen: readonly Part[]) => readonly (readonly [string, string])[]} */
  const drawn = (chosen) => chosen.map(({ key }, at) => [COLOURS[at] ?? '1A7C11', `${prefix}.${key}`]);
  return [
    graph(template, `${subject}: phases`, 'graph', { type: 'STACKED' }, drawn(times)),
    graph(template, `${subject}: time`, 'graph', {}, drawn(whole)),
    graph(template, `${subject}: mailbox`, 'graph', {}, drawn(parts.filter(({ key }) => key === 'messages'))),
  ];
}

/** @type {(template: Template, name: string, kind: string, look: Element, lines: readonly (readonly [string, string])[]) => Element} */
const graph = (template, name, kind, look, lines) => ({
  uuid: uuidOf(template.name, kind, name),
  name,
  ...look,
  graph_items: lines.map(([color, key], at) => ({
    ...(at === 0 ? {} : { sortorder: String(at) }),
    color,
    item: { host: template.name, key },
  })),
});

// ---- Identities.

/**
 * By it Zabbix knows an element again when a newer file is imported: from what the element is, as a UUID of version 4
 * has to look.
 *
 * @param {readonly string[]} what
 */
function uuidOf(...what) {
  const digits = createHash('sha256')
    .update(['pop-connectivity', ...what].join('\n'))
    .digest('hex')
    .slice(0, 32);
  const variant = '89ab'[Number.parseInt(digits[16] ?? '0', 16) % 4];
  return `${digits.slice(0, 12)}4${digits.slice(13, 16)}${variant}${digits.slice(17)}`;
}

/** @type {(tags: readonly (readonly [string, string])[]) => readonly Element[]} */
const tagsOf = (tags) => tags.map(([tag, value]) => ({ tag, value }));

/**
 * Texts between apostrophes: what looks like a number is to stay a text.
 *
 * @param {Element} document
 */
function yamlOf(document) {
  return stringify(document, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    singleQuote: true,
    defaultKeyType: 'PLAIN',
    defaultStringType: 'QUOTE_SINGLE',
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [file, content] of Object.entries(FILES)) writeFileSync(file, content());
}

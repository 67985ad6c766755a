/**
 * Writes the man pages (man(7)) from the option table and from what each command says of itself.
 */
import { load } from './load.mjs';

/**
 * What a page says beyond the option table. In its texts what stands between backticks is set bold.
 *
 * @typedef {object} Page
 * @property {string} entry the file that names the command's ingredients
 * @property {boolean} [isCmdlet] whether its options have PowerShell's spelling too
 * @property {readonly string[]} synopsis
 * @property {readonly string[]} description
 * @property {readonly Row[]} exit
 * @property {readonly string[]} see
 */
/** @typedef {{ name: string, summary: string, timeoutS: number, examples: readonly Row[] }} Command */
/** @typedef {readonly [string, string]} Row */

/** @type {Readonly<Record<string, Page>>} */
export const PAGES = {
  check_pop3: {
    entry: 'plugins/nagios/check_pop3.ts',
    synopsis: ['-H HOST -u USER [--password-file FILE] [--light-mode] [OPTION…]'],
    description: [
      '`check_pop3` tests a POP3 server the way its users use it, and says in one line what it found: the state, the phase that is to blame, and what to look at first. It is a plugin for Nagios, Naemon, Icinga 2, Sensu and NRPE.',
      'Without `--light-mode` it sends a message, waits for it in the mailbox, compares it and deletes it. Only messages that are proved to be its own are ever retrieved or deleted. With `--light-mode` it logs on alone.',
      'The password crosses an unprotected link only where `--connection-type plaintext` was asked for by name.',
    ],
    exit: [
      ['0', 'OK'],
      ['1', 'WARNING'],
      ['2', 'CRITICAL'],
      ['3', 'UNKNOWN: nothing could be measured; also after `--help`, `--version`, `--explain` and `--what-if`'],
    ],
    see: ['Test-PopConnectivity(1)'],
  },
  'Test-PopConnectivity': {
    entry: 'plugins/cmdlet/Test-PopConnectivity.ts',
    isCmdlet: true,
    synopsis: [
      '[-ClientAccessServer] HOST[,HOST…] -MailboxCredential USER [-LightMode] [-PARAMETER[:VALUE]…]',
      '-H HOST -u USER [--light-mode] [OPTION…]',
      '--targets FILE [OPTION…]',
    ],
    description: [
      "`Test-PopConnectivity` is Exchange's cmdlet of that name for every POP3 server. It sends a message, waits for it in the mailbox by POP3, compares it and deletes it; with `-LightMode` it logs on alone. It tells the result for each server in a table, or as `--format` says.",
      'Options are written as PowerShell writes them or as other commands do, also mixed. A dash and more than one letter is a parameter, in any case, and its beginning is enough where no other begins so (`-Timeout 30`, `-timeout:30`, `-TrustAny`); a dash and one letter is a short option, to the case. A switch may have $true or $false joined to it: `-Confirm:$false` is the same as leaving it out. The argument without a name is the server.',
      "To a shell other than PowerShell `$`, `\\`, `(` and blanks mean something: put what has them between single quotes, '-Confirm:$false', 'contoso\\kweku'.",
      'The limits are those of the cmdlet: `-Timeout` from 0 to 3600 s, `-PerConnectionTimeout` from 0 to 120 s, where 0 means the maximum, and `-PortClientAccessServer` from 0 to 65535, where 0 means the usual port. Less than 5 s is remarked on.',
    ],
    exit: [
      ['0', 'every test succeeded; also after `--help`, `--version`, `--explain` and `-WhatIf`'],
      ['1', 'some were skipped, or warned'],
      ['2', 'some failed'],
      ['3', 'it could not run'],
    ],
    see: ['check_pop3(1)'],
  },
  zabbix_pop3: {
    entry: 'plugins/zabbix/zabbix_pop3.ts',
    synopsis: ['-H HOST -u USER [--password-file FILE] [--split] [OPTION…]', '--targets FILE [--discover] [OPTION…]'],
    description: [
      '`zabbix_pop3` tests a POP3 server, and prints what it found as one JSON object: the value of a master item of Zabbix, of the kind external check. A failure is printed like a success. Where nothing was tested it prints text, by which the item becomes unsupported.',
      'It logs on alone, and has ended after 2.5 s, before Zabbix would end it. With `--split` it finds the message that the run before sent, and sends one for the next run. With `--targets` the object has a list of all servers; with `--discover` their names are listed for low-level discovery, and none is tested.',
      'An argument `--OPTION=` without a value is as none: the key of an item has a place for each argument, and the macro in one may be empty. Where an address is given and no server, it is the server.',
    ],
    exit: [
      ['0', 'a result was printed, whatever it is; also after `--discover`'],
      ['3', 'nothing could be tested; also after `--help`, `--version`, `--explain` and `--what-if`'],
    ],
    see: ['check_pop3(1)', 'zabbix_server(8)'],
  },
  scom_pop3: {
    entry: 'plugins/scom/scom_pop3.ts',
    synopsis: [
      '--targets FILE [--format FORMAT] [--discover] [OPTION…]',
      '-H HOST -u USER [--password-file FILE] [--light-mode] [OPTION…]',
    ],
    description: [
      "`scom_pop3` tests POP3 servers for System Center Operations Manager. Its management pack runs it, and makes a property bag of each test: the state, what was met and where, events and counters as the cmdlet's MonitoringContext has them. A failure is printed like a success.",
      '`--format json` is what the PowerShell script of the pack reads, `--format bag` the same as property bag XML, `--format word` the worst state as one word and as the exit code of a plugin, for the agent for UNIX and Linux; `-v` adds what was met.',
      'Without `--light-mode` it sends a message, waits for it in the mailbox, compares it and deletes it. Only messages that are proved to be its own are ever retrieved or deleted.',
    ],
    exit: [
      ['0', 'a result was printed, whatever it is; also after `--discover`'],
      ['0 to 3', 'with `--format word`: OK, WARNING, CRITICAL, UNKNOWN'],
      ['3', 'nothing could be tested; also after `--help`, `--version`, `--explain` and `--what-if`'],
    ],
    see: ['check_pop3(1)', 'Test-PopConnectivity(1)'],
  },
  checkmk_pop3: {
    entry: 'plugins/checkmk/checkmk_pop3.ts',
    synopsis: [
      '-H HOST[,HOST…] -u USER [--password-file FILE] [--format FORMAT] [OPTION…]',
      '--targets FILE [OPTION…]',
    ],
    description: [
      "`checkmk_pop3` tests POP3 servers, and prints a line of Checkmk's local checks for each: the state, the service, its values with their levels, and what was found. A failure is printed like a success. A run that could not begin is the service POP3, UNKNOWN.",
      'With `--format levels` the state is `P` wherever nothing but a value can be wrong: Checkmk then judges by the levels. With `--format piggyback` the services become those of the host that is called like the server; the output is that of an agent plugin.',
      'It logs on alone. With `--full-test` it sends a message, waits for it in the mailbox, compares it and deletes it.',
    ],
    exit: [
      ['0', 'a result was printed, whatever it is: Checkmk throws away what comes with any other'],
      ['3', 'after `--help`, `--version`, `--explain` and `--what-if`'],
    ],
    see: ['check_pop3(1)'],
  },
  prtg_pop3: {
    entry: 'plugins/prtg/prtg_pop3.ts',
    synopsis: [
      '-H HOST[,HOST…] -u USER [--password-file FILE] [--format FORMAT] [OPTION…]',
      '--targets FILE [OPTION…]',
    ],
    description: [
      '`prtg_pop3` tests POP3 servers, and prints what a sensor EXE/Script Advanced or SSH Script Advanced of PRTG returns, as JSON or with `--format xml` as XML. The state is a channel with a lookup, so that a failure keeps its values; thresholds are limits of the channels. Only where nothing was measured it is an error.',
      'PRTG reads limits when it first sees a channel. Of several servers there are channels for as many as 50 channels hold.',
      'It logs on alone. With `--full-test` it sends a message, waits for it in the mailbox, compares it and deletes it.',
    ],
    exit: [
      ['0', 'a result was printed, whatever it is'],
      ['3', 'after `--help`, `--version`, `--explain` and `--what-if`'],
    ],
    see: ['check_pop3(1)'],
  },
  telegraf_pop3: {
    entry: 'plugins/telegraf/telegraf_pop3.ts',
    synopsis: ['-H HOST[,HOST…] -u USER [--password-file FILE] [OPTION…]', '--targets FILE [OPTION…]'],
    description: [
      "`telegraf_pop3` tests POP3 servers, and prints a point in InfluxDB's line protocol for each, with the time of its test: what the exec input of Telegraf reads. A failure is a point like a success. A run that could not begin is a point without a server.",
      'It logs on alone, and has ended after 4.5 s, before Telegraf would end it. With `--full-test --split` it finds the message that the run before sent, and sends one for the next run.',
    ],
    exit: [
      ['0', 'a result was printed, whatever it is: Telegraf drops what comes with any other'],
      ['3', 'after `--help`, `--version`, `--explain` and `--what-if`'],
    ],
    see: ['check_pop3(1)'],
  },
};

/** @type {readonly Row[]} */
const FILES = [
  [
    '/etc/monitoring-plugins/monitoring-plugins.ini',
    'options, and the places after it that docs/secrets.md lists (`--extra-opts`)',
  ],
  [
    '~/.local/state/pop-connectivity/',
    'what runs leave for each other, where no other folder is named (`--state-dir`): the key of the markers, unfinished runs, tokens, results that could not be delivered; never a password',
  ],
];

/** @type {readonly Row[]} */
const ENVIRONMENT = [
  ['CREDENTIALS_DIRECTORY', "systemd's credentials: pop3-password, those for OAuth and for a delivery"],
  ['MP_CONFIG_FILE, NAGIOS_CONFIG_PATH', 'where `--extra-opts` looks first for its file'],
  ['STATE_DIRECTORY, XDG_STATE_HOME', 'where the state folder is'],
  ['HTTPS_PROXY, NO_PROXY', 'the proxy for HTTPS, where there is no `--proxy`'],
];

const ALWAYS_SEE = ['curl(1)', 'openssl-s_client(1)'];

/**
 * The man page of a command.
 *
 * @param {string} name
 * @returns {Promise<string>} roff
 */
export async function pageOf(name) {
  const page = /** @type {Page} */ (PAGES[name]);
  const { optionsOf, parameterOf, VERSION } = await load(`
    export { optionsOf } from './src/cli/options.ts';
    export { parameterOf } from './src/cli/powershell.ts';
    export { VERSION } from './src/cli/version.ts';`);
  const { summary, timeoutS, examples } = await commandIn(page.entry);
  /** @type {readonly import('../src/cli/options.ts').Option[]} */
  const options = optionsOf(name);
  // A date is not to be copied, and only as it is here is it known for one.
  const title = [argument(name.toUpperCase()), '1', dateOfBuild(), argument(`pop-connectivity ${VERSION}`)];
  const groups = [...new Set(options.map(({ group }) => group))];
  /** @param {import('../src/cli/options.ts').Option} option */
  const entryOf = (option) => [
    '.TP',
    spellings(option, page.isCmdlet === true ? parameterOf(option) : null),
    text(`${option.help}${option.name === 'timeout' ? `, ${timeoutS} if not given` : ''}`),
  ];
  const lines = [
    `.TH ${[...title, argument('User Commands')].join(' ')}`,
    '.SH NAME',
    `${text(name)} \\- ${text(summary.charAt(0).toLowerCase() + summary.slice(1).replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    ...page.synopsis.flatMap((form, index) => [
      ...(index === 0 ? [] : ['.br']),
      `\\fB${escaped(name)}\\fR ${escaped(form)}`,
    ]),
    '.SH DESCRIPTION',
    ...page.description.flatMap((paragraph, index) => [...(index === 0 ? [] : ['.PP']), text(paragraph)]),
    '.SH OPTIONS',
    ...groups.flatMap((group) => [
      `.SS ${group}`,
      ...options.filter((option) => option.group === group).flatMap(entryOf),
    ]),
    '.SH EXIT STATUS',
    ...table(page.exit),
    '.SH ENVIRONMENT',
    ...table(ENVIRONMENT),
    '.SH FILES',
    ...table(FILES),
    '.SH EXAMPLES',
    ...examples.flatMap(([given, about], index) => [
      ...(index === 0 ? [] : ['.PP']),
      text(`${about.charAt(0).toUpperCase()}${about.slice(1)}:`),
      ...['.PP', '.RS 4', '.nf', text(`${name} ${given}`), '.fi', '.RE'],
    ]),
    '.SH SEE ALSO',
    [...page.see, ...ALWAYS_SEE].map(text).join(',\n'),
  ];
  return `${lines.join('\n')}\n`;
}

/** @param {readonly Row[]} rows */
function table(rows) {
  return rows.flatMap(([term, meaning]) => ['.TP', `\\fB${escaped(term)}\\fR`, text(meaning)]);
}

/**
 * `-H, --client-access-server HOST`, and before them the cmdlet's.
 *
 * @param {import('../src/cli/options.ts').Option} option
 * @param {string | null} parameter
 */
function spellings({ name, short, kind, value }, parameter) {
  const names = [
    ...(parameter === null ? [] : [`-${parameter}`]),
    ...(short === undefined ? [] : [`-${short}`]),
    `--${name}`,
  ];
  const bold = names.map((each) => `\\fB${escaped(each)}\\fR`).join(', ');
  if (value === undefined) return bold;
  return kind === 'optional' ? `${bold}[=\\fI${escaped(value)}\\fR]` : `${bold} \\fI${escaped(value)}\\fR`;
}

/**
 * A line of text: what is between backticks is bold.
 *
 * @param {string} plain
 */
function text(plain) {
  const parts = plain.split('`').map((part, index) => (index % 2 === 1 ? `\\fB${escaped(part)}\\fR` : escaped(part)));
  return guarded(parts.join(''));
}

/**
 * A dot or an apostrophe at the front would make a request of a line.
 *
 * @param {string} line
 */
function guarded(line) {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

/**
 * Every character as itself, to be copied from the page and to work: roff turns a plain `-` and `'` into others.
 *
 * @param {string} plain
 */
function escaped(plain) {
  return Array.from(plain, (character) => {
    const code = /** @type {number} */ (character.codePointAt(0));
    if (code > 0x7e) return `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`;
    return ESCAPES[character] ?? character;
  }).join('');
}

/** @type {Readonly<Record<string, string>>} */
const ESCAPES = { '\\': '\\e', '-': '\\-', "'": '\\(aq', '"': '\\(dq', '`': '\\(ga', '^': '\\(ha', '~': '\\(ti' };

/**
 * An argument of a request.
 *
 * @param {string} plain
 */
function argument(plain) {
  return `"${escaped(plain)}"`;
}

/** The day of the build, or the one that whoever wants the same file twice has set. */
function dateOfBuild() {
  const { SOURCE_DATE_EPOCH } = process.env;
  const date = SOURCE_DATE_EPOCH === undefined ? new Date() : new Date(Number(SOURCE_DATE_EPOCH) * 1000);
  return date.toISOString().slice(0, 10);
}

/**
 * What a command says of itself: its entry is run, but for what it would do.
 *
 * @param {string} entry
 * @returns {Promise<Command>}
 */
async function commandIn(entry) {
  /** @type {import('esbuild').Plugin} */
  const onlySaid = {
    name: 'only-said',
    setup(host) {
      host.onResolve({ filter: /\/cli\/main\.ts$/ }, () => ({ path: 'main', namespace: 'said' }));
      host.onResolve({ filter: /^\.\.\// }, ({ path }) => ({ path, namespace: 'unused' }));
      host.onLoad({ filter: /.*/, namespace: 'said' }, () => ({
        contents: 'export let command; export const main = async (given) => { command = given; };',
      }));
      host.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
    },
  };
  const { command } = await load(`import './${entry}'; export { command } from './src/cli/main.ts';`, [onlySaid]);
  return command;
}

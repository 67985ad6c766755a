/**
 * The management pack for agents on UNIX and Linux: they run scom_pop3 as a shell command, and its exit code is the
 * state.
 */
import { para, section, sectionsOf } from './scom-knowledge.mjs';
import {
  article,
  compare,
  dataSourceType,
  handedOn,
  joined,
  messageOf,
  monitorType,
  packOf,
  SCHEDULER,
  unitMonitor,
  values,
} from './scom-pack.mjs';
import { element, plain } from './scom-xml.mjs';

/** @typedef {import('./scom-pack.mjs').Name} Name */
/** @typedef {import('./scom-pack.mjs').Setting} Setting */

const ID = 'PopConnectivity.Unix';
const WATCHER = `${ID}.Watcher`;
const SHELL = `${ID}.Shell.DataSource`;
const FOUND = `${ID}.Found.DataSource`;
const VERDICT = `${ID}.Verdict.Monitor`;

/** Where the command and the file of targets are. */
const COMMAND = '/usr/local/bin/scom_pop3';
const TARGETS = '/etc/pop-connectivity/targets.yaml';

/** The class of the agent whose method runs a command. */
const CIM = 'http://schemas.microsoft.com/wbem/wscim/1/cim-schema/2/SCX_OperatingSystem';

/** @type {readonly Setting[]} */
const SCHEDULE = [
  ['IntervalSeconds', 'integer'],
  ['SyncTime', 'string'],
];
/** @type {readonly Setting[]} */
const TIME = [['TimeoutSeconds', 'integer']];
/** @type {readonly Setting[]} */
const SYSTEM = [['TargetSystem', 'string']];
/** @type {readonly Setting[]} */
const SHELLED = [...SCHEDULE, ...SYSTEM, ['ShellCommand', 'string'], ['ShellTimeoutSeconds', 'integer']];
/** @type {readonly Setting[]} */
const MATCH = [['MatchCount', 'integer']];
/** @type {readonly Setting[]} */
const VERDICT_SETTINGS = [...SCHEDULE, ...SYSTEM, ['TargetFile', 'string'], ...TIME, ...MATCH];

const COMPUTER = 'Property[Type="Unix!Microsoft.Unix.Computer"]';

/** @param {string} name */
function answered(name) {
  return `//*[local-name()="${name}"]`;
}

/** No single quote may stand in it: the agent puts the command between two. */
const INPUT = `<p:ExecuteShellCommand_INPUT xmlns:p="${CIM}"><p:command>$Config/ShellCommand$</p:command><p:timeout>$Config/ShellTimeoutSeconds$</p:timeout></p:ExecuteShellCommand_INPUT>`;

const modules = [
  dataSourceType(
    SHELL,
    SHELLED,
    SCHEDULE,
    [
      SCHEDULER,
      element(
        'ProbeAction',
        { ID: 'Shell', TypeID: 'Unix!Microsoft.Unix.WSMan.Invoke.ProbeAction' },
        ...values({
          TargetSystem: '$Config/TargetSystem$',
          Uri: `${CIM}?__cimnamespace=root/scx`,
          Selector: '',
          InvokeAction: 'ExecuteShellCommand',
          Input: INPUT,
        }),
      ),
    ],
    'WSManagement!Microsoft.SystemCenter.WSManagement.WSManData',
  ),
  dataSourceType(
    FOUND,
    [...SHELLED, ['ClassId', 'string'], ['ComputerName', 'string']],
    SCHEDULE,
    [
      element('DataSource', { ID: 'Run', TypeID: SHELL }, ...handedOn(SHELLED)),
      element(
        'ConditionDetection',
        { ID: 'Mapper', TypeID: 'System!System.Discovery.FilteredClassSnapshotDataMapper' },
        plain('ClassId', '$Config/ClassId$'),
        plain(
          'InstanceSettings',
          plain(
            'Settings',
            setting('$MPElement[Name="Unix!Microsoft.Unix.Computer"]/PrincipalName$', '$Config/ComputerName$'),
            setting('$MPElement[Name="System!System.Entity"]/DisplayName$', 'POP3 watcher'),
          ),
        ),
        plain('Expression', compare('Integer', answered('ReturnCode'), 'Equal', '0')),
      ),
    ],
    'System!System.Discovery.Data',
  ),
];

/**
 * @param {string} name
 * @param {string} value
 */
function setting(name, value) {
  return plain('Setting', plain('Name', name), plain('Value', value));
}

/**
 * @param {...string} codes
 */
function exitIs(...codes) {
  const each = codes.map((code) => compare('Integer', answered('ReturnCode'), 'Equal', code));
  return each.length === 1 ? /** @type {import('./scom-xml.mjs').Element} */ (each[0]) : joined('Or', ...each);
}

const monitorTypes = [
  monitorType(`${ID}.Verdict.MonitorType`, VERDICT_SETTINGS, [...SCHEDULE, ...TIME, ...MATCH], {
    source: element(
      'DataSource',
      { ID: 'Run', TypeID: SHELL },
      ...handedOn([...SCHEDULE, ...SYSTEM]),
      plain(
        'ShellCommand',
        `${COMMAND} --format word -v --targets $Config/TargetFile$ --timeout $Config/TimeoutSeconds$`,
      ),
      // The command ends by itself, with a reason; the agent's own limit is for a machine that is too busy for that.
      plain('ShellTimeoutSeconds', '150'),
    ),
    shared: [],
    states: [
      ['Good', exitIs('0'), null],
      ['Bad', exitIs('2'), '$Config/MatchCount$'],
      // UNKNOWN, and whatever the shell says of a command that is not there.
      [
        'Warned',
        joined(
          'And',
          compare('Integer', answered('ReturnCode'), 'NotEqual', '0'),
          compare('Integer', answered('ReturnCode'), 'NotEqual', '2'),
        ),
        '$Config/MatchCount$',
      ],
    ],
  }),
];

const discovery = element(
  'Discovery',
  {
    ...{ ID: `${WATCHER}.Discovery`, Target: 'Unix!Microsoft.Unix.Computer', Enabled: 'true' },
    ...{ ConfirmDelivery: 'false', Remotable: 'true', Priority: 'Normal' },
  },
  plain('Category', 'Discovery'),
  plain('DiscoveryTypes', element('DiscoveryClass', { TypeID: WATCHER })),
  element(
    'DataSource',
    { ID: 'Found', TypeID: FOUND },
    ...values({
      IntervalSeconds: '14400',
      SyncTime: '',
      TargetSystem: `$Target/${COMPUTER}/NetworkName$`,
      ShellCommand: `test -x ${COMMAND} -a -r ${TARGETS}`,
      ShellTimeoutSeconds: '30',
      ClassId: `$MPElement[Name="${WATCHER}"]$`,
      ComputerName: `$Target/${COMPUTER}/PrincipalName$`,
    }),
  ),
);

const monitor = unitMonitor({
  id: VERDICT,
  target: WATCHER,
  type: `${ID}.Verdict.MonitorType`,
  about: 'Availability',
  alertOn: 'Warning',
  parameters: [
    `$Target/Host/${COMPUTER}/PrincipalName$`,
    `$Data/Context/${answered('StdOut')}$`,
    `$Data/Context/${answered('ReturnCode')}$`,
  ],
  states: { Good: 'Success', Warned: 'Warning', Bad: 'Error' },
  settings: values({
    IntervalSeconds: '300',
    SyncTime: '',
    TargetSystem: `$Target/Host/${COMPUTER}/NetworkName$`,
    TargetFile: TARGETS,
    TimeoutSeconds: '110',
    MatchCount: '1',
  }),
});

/** @type {readonly Name[]} */
const names = [
  [ID, null, 'POP3 connectivity (UNIX and Linux)', 'Tests POP3 servers with scom_pop3 from UNIX and Linux machines.'],
  [WATCHER, null, 'POP3 watcher (UNIX and Linux)', `A machine with ${COMMAND} and ${TARGETS}.`],
  [SHELL, null, 'Shell command'],
  [FOUND, null, 'POP3 watchers by a shell command'],
  [`${ID}.Verdict.MonitorType`, null, 'POP3 verdict'],
  [`${WATCHER}.Discovery`, null, 'POP3 watchers (UNIX and Linux)', 'By the command and the file of targets.'],
  [VERDICT, null, 'POP3 verdict', 'The worst of all servers in the file of targets.'],
  [VERDICT, 'Good', 'Exit code 0'],
  [VERDICT, 'Warned', 'Exit code 1 or 3, or the command could not be run'],
  [VERDICT, 'Bad', 'Exit code 2'],
  [
    messageOf(VERDICT),
    null,
    'POP3: seen from {0}',
    '{1}\n\nExit code {2} on {0}. Each line names a server, the reason, the phase where it is not in the reason, and what to look at first. The product knowledge has a section on each reason.',
  ],
];

/**
 * The management pack.
 *
 * @param {{ readonly reasons: string }} ingredients
 */
export function unixPack({ reasons }) {
  return packOf({
    id: ID,
    references: ['System', 'Health', 'Unix', 'WSManagement'],
    types: {
      classes: [
        element('ClassType', {
          ...{ ID: WATCHER, Accessibility: 'Public', Abstract: 'false', Base: 'Unix!Microsoft.Unix.LocalApplication' },
          ...{ Hosted: 'true', Singleton: 'false' },
        }),
      ],
      relationships: [],
      modules,
      monitorTypes,
    },
    monitoring: { discoveries: [discovery], rules: [], monitors: [monitor] },
    messages: [messageOf(VERDICT)],
    names,
    articles: [
      article(VERDICT, [
        section(
          'Summary',
          para(
            'Error: users cannot log on, or do not get their mail. Warning: it works, but not well or not for long; or the probe could not measure, or not be run, and nothing is known about the mail service.',
          ),
        ),
        ...sectionsOf(reasons),
      ]),
    ],
  });
}

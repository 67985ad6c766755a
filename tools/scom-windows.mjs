/**
 * The management pack for agents on Windows: they run the PowerShell scripts of plugins/scom.
 */
import { para, section, sectionsOf } from './scom-knowledge.mjs';
import {
  article,
  classProperty,
  compare,
  dataSourceType,
  filter,
  handedOn,
  joined,
  matches,
  messageOf,
  monitorType,
  packOf,
  SCHEDULER,
  unitMonitor,
  values,
} from './scom-pack.mjs';
import { element, plain } from './scom-xml.mjs';

/** @typedef {import('./scom-xml.mjs').Element} Element */
/** @typedef {import('./scom-pack.mjs').Name} Name */
/** @typedef {import('./scom-pack.mjs').Setting} Setting */
/**
 * What the packs are made from.
 *
 * @typedef {object} Ingredients
 * @property {string} reasons docs/reasons.md
 * @property {string} testScript
 * @property {string} findScript
 * @property {readonly { readonly counter: string, readonly property: string }[]} counters
 */

const ID = 'PopConnectivity';
const WATCHER = `${ID}.Watcher`;
const SERVER = `${ID}.Server`;
const HOSTS = `${ID}.WatcherHostsServer`;
const TEST = `${ID}.Test.DataSource`;
const PERFORMANCE = `${ID}.Performance.DataSource`;
const OF_ONE = `${ID}.ServerTest.DataSource`;

/** The registry key whose presence makes a machine a watcher; its values say what is where. */
const KEY = 'SOFTWARE\\pop-connectivity';

/** The values of the key, and what the scripts call them. */
const PLACES = /** @type {const} */ ({ Node: 'Node', Command: 'Command', TargetFile: 'TargetFile' });

/** The object of the counters, as the cmdlet's MonitoringContext names it. */
const OBJECT = 'MSExchange Monitoring POPConnectivity';

/** Every five minutes, and two of them for the script: less than the interval, more than the command's own 110 s. */
const USUAL = { IntervalSeconds: '300', SyncTime: '', TimeoutSeconds: '130' };

/** @type {readonly Setting[]} */
const SCHEDULE = [
  ['IntervalSeconds', 'integer'],
  ['SyncTime', 'string'],
  ['TimeoutSeconds', 'integer'],
];
/** @type {readonly Setting[]} */
const WHERE = [
  ['Node', 'string'],
  ['Command', 'string'],
  ['TargetFile', 'string'],
];
/** @type {readonly Setting[]} */
const RUN = [...SCHEDULE, ...WHERE];
/** @type {readonly Setting[]} */
const OF_SERVER = [...RUN, ['Server', 'string']];
/** @type {readonly Setting[]} */
const MATCH = [['MatchCount', 'integer']];
/** @type {readonly Setting[]} */
const BOUNDS = [
  ['Warning', 'double'],
  ['Critical', 'double'],
];

const COMPUTER = 'Property[Type="Windows!Microsoft.Windows.Computer"]/PrincipalName$';

/** What a workflow on a server is configured with. All have the same run, so that SCOM runs it once for all of them. */
const ofServer = [
  ...values(USUAL),
  ...Object.keys(PLACES).map((name) => plain(name, `$Target/Host/Property[Type="${WATCHER}"]/${name}$`)),
  plain('Server', `$Target/Property[Type="${SERVER}"]/Server$`),
];

/** @param {string} name */
function inBag(name) {
  return `Property[@Name='${name}']`;
}

/** @param {string} name */
function data(name) {
  return `$Data/${inBag(name)}$`;
}

/**
 * In an alert.
 *
 * @param {string} name
 */
function context(name) {
  return `$Data/Context/${inBag(name)}$`;
}

const source = element('DataSource', { ID: 'Test', TypeID: TEST }, ...handedOn(RUN));

/** A bag is for one server; one that names none says why none was tested. */
const isOfServer = filter(
  'IsOfServer',
  joined(
    'Or',
    compare('String', inBag('Server'), 'Equal', '$Config/Server$'),
    compare('String', inBag('Server'), 'Equal', ''),
  ),
);

/** A number that was not measured is not in the bag, and must not be read as 0. */
const isMeasured = filter('IsMeasured', matches(inBag('$Config/Property$'), '^-?[0-9]'));

/**
 * @param {...string} states
 * @returns {Element}
 */
function stateIs(...states) {
  const [first, ...others] = states.map((state) => compare('String', inBag('State'), 'Equal', state));
  return others.length === 0 ? /** @type {Element} */ (first) : joined('Or', /** @type {Element} */ (first), ...others);
}

/**
 * A monitor type that compares a number with two bounds.
 *
 * @param {string} id
 * @param {'Above' | 'Below'} worse
 */
function boundsType(id, worse) {
  const [beyond, within] = worse === 'Above' ? ['Greater', 'LessEqual'] : ['Less', 'GreaterEqual'];
  /** @param {string} operator @param {string} bound */
  const is = (operator, bound) => compare('Double', inBag('$Config/Property$'), operator, `$Config/${bound}$`);
  return monitorType(
    id,
    [...OF_SERVER, ['Property', 'string'], ...BOUNDS, ...MATCH],
    [...SCHEDULE, ...BOUNDS, ...MATCH],
    {
      source,
      shared: [isOfServer, isMeasured],
      states: [
        ['Good', is(within, 'Warning'), null],
        ['Warned', joined('And', is(beyond, 'Warning'), is(within, 'Critical')), '$Config/MatchCount$'],
        ['Bad', is(beyond, 'Critical'), '$Config/MatchCount$'],
      ],
    },
  );
}

/** @param {Ingredients} ingredients */
function modules({ testScript }) {
  return [
    dataSourceType(
      TEST,
      RUN,
      SCHEDULE,
      [
        SCHEDULER,
        element(
          'ProbeAction',
          { ID: 'Script', TypeID: 'Windows!Microsoft.Windows.PowerShellPropertyBagTriggerOnlyProbe' },
          plain('ScriptName', 'Test-PopServers.ps1'),
          plain('ScriptBody', testScript),
          parameters({
            ...Object.fromEntries(Object.entries(PLACES).map(([name, parameter]) => [parameter, `$Config/${name}$`])),
            TimeoutSeconds: '$Config/TimeoutSeconds$',
          }),
          plain('TimeoutSeconds', '$Config/TimeoutSeconds$'),
          plain('StrictErrorHandling', 'true'),
        ),
      ],
      'System!System.PropertyBagData',
    ),
    dataSourceType(
      PERFORMANCE,
      [...OF_SERVER, ['Property', 'string'], ['Counter', 'string']],
      SCHEDULE,
      [
        source,
        isOfServer,
        isMeasured,
        element(
          'ConditionDetection',
          { ID: 'Mapper', TypeID: 'Performance!System.Performance.DataGenericMapper' },
          ...values({
            ObjectName: OBJECT,
            CounterName: '$Config/Counter$',
            InstanceName: data('CounterInstance'),
            Value: `$Data/${inBag('$Config/Property$')}$`,
          }),
        ),
      ],
      'Performance!System.Performance.Data',
    ),
    dataSourceType(OF_ONE, OF_SERVER, SCHEDULE, [source, isOfServer], 'System!System.PropertyBagData'),
  ];
}

/** @param {Readonly<Record<string, string>>} given */
function parameters(given) {
  return plain(
    'Parameters',
    ...Object.entries(given).map(([name, value]) => plain('Parameter', plain('Name', name), plain('Value', value))),
  );
}

const monitorTypes = [
  monitorType(`${ID}.Verdict.MonitorType`, [...OF_SERVER, ...MATCH], [...SCHEDULE, ...MATCH], {
    source,
    shared: [isOfServer],
    states: [
      ['Good', stateIs('OK'), null],
      ['Warned', stateIs('WARNING', 'UNKNOWN'), '$Config/MatchCount$'],
      ['Bad', stateIs('CRITICAL'), '$Config/MatchCount$'],
    ],
  }),
  monitorType(`${ID}.Event.MonitorType`, OF_SERVER, SCHEDULE, {
    source,
    shared: [isOfServer],
    states: [
      ['Succeeded', compare('Integer', inBag('EventId'), 'Equal', '1000'), null],
      ['Failed', compare('Integer', inBag('EventId'), 'Equal', '1001'), null],
    ],
  }),
  boundsType(`${ID}.Above.MonitorType`, 'Above'),
  boundsType(`${ID}.Below.MonitorType`, 'Below'),
];

/** @param {Ingredients} ingredients */
function discoveries({ findScript }) {
  /** @param {string} name @param {string} value */
  const setting = (name, value) => plain('Setting', plain('Name', name), plain('Value', value));
  /** @param {string} name @param {string} path @param {string} kind */
  const attribute = (name, path, kind) =>
    plain(
      'RegistryAttributeDefinition',
      ...values({ AttributeName: name, Path: path, PathType: kind, AttributeType: kind }),
    );
  const host = `$Target/Host/${COMPUTER}`;
  const common = { Enabled: 'true', ConfirmDelivery: 'false', Remotable: 'true', Priority: 'Normal' };
  return [
    element(
      'Discovery',
      { ID: `${WATCHER}.Discovery`, Target: 'Windows!Microsoft.Windows.Server.OperatingSystem', ...common },
      plain('Category', 'Discovery'),
      plain(
        'DiscoveryTypes',
        element(
          'DiscoveryClass',
          { TypeID: WATCHER },
          ...Object.keys(PLACES).map((name) => element('Property', { TypeID: WATCHER, PropertyID: name })),
        ),
      ),
      element(
        'DataSource',
        { ID: 'Registry', TypeID: 'Windows!Microsoft.Windows.FilteredRegistryDiscoveryProvider' },
        plain('ComputerName', host),
        plain(
          'RegistryAttributeDefinitions',
          attribute('KeyExists', KEY, '0'),
          ...Object.keys(PLACES).map((name) => attribute(name, `${KEY}\\${name}`, '1')),
        ),
        plain('Frequency', '14400'),
        plain('ClassId', `$MPElement[Name="${WATCHER}"]$`),
        plain(
          'InstanceSettings',
          plain(
            'Settings',
            setting('$MPElement[Name="Windows!Microsoft.Windows.Computer"]/PrincipalName$', host),
            setting('$MPElement[Name="System!System.Entity"]/DisplayName$', 'POP3 watcher'),
            ...Object.keys(PLACES).map((name) =>
              setting(`$MPElement[Name="${WATCHER}"]/${name}$`, `$Data/Values/${name}$`),
            ),
          ),
        ),
        plain('Expression', compare('String', 'Values/KeyExists', 'Equal', 'true')),
      ),
    ),
    element(
      'Discovery',
      { ID: `${SERVER}.Discovery`, Target: WATCHER, ...common },
      plain('Category', 'Discovery'),
      plain(
        'DiscoveryTypes',
        element('DiscoveryClass', { TypeID: SERVER }, element('Property', { TypeID: SERVER, PropertyID: 'Server' })),
      ),
      element(
        'DataSource',
        { ID: 'Script', TypeID: 'Windows!Microsoft.Windows.TimedPowerShell.DiscoveryProvider' },
        ...values({ IntervalSeconds: '14400', SyncTime: '', ScriptName: 'Find-PopServers.ps1' }),
        plain('ScriptBody', findScript),
        parameters({
          SourceId: '$MPElement$',
          ManagedEntityId: '$Target/Id$',
          ComputerName: host,
          ...Object.fromEntries(
            Object.entries(PLACES).map(([name, parameter]) => [
              parameter,
              `$Target/Property[Type="${WATCHER}"]/${name}$`,
            ]),
          ),
          TimeoutSeconds: '60',
        }),
        plain('TimeoutSeconds', '60'),
      ),
    ),
  ];
}

/** @param {string} counter */
function ruleOf(counter) {
  return `${ID}.Collect.${counter.charAt(0).toUpperCase()}${counter.slice(1)}`;
}

/** @param {Ingredients} ingredients */
function rules({ counters }) {
  /** @param {string} id @param {string} category @param {readonly (Element | null)[]} modules */
  const rule = (id, category, ...modules) =>
    element(
      'Rule',
      {
        ...{ ID: id, Enabled: 'true', Target: SERVER, ConfirmDelivery: 'false', Remotable: 'true', Priority: 'Normal' },
        DiscardLevel: '100',
      },
      plain('Category', category),
      ...modules,
    );
  /** @param {string} database @param {string} warehouse */
  const into = (database, warehouse) =>
    plain(
      'WriteActions',
      element('WriteAction', { ID: 'Database', TypeID: database }),
      element('WriteAction', { ID: 'Warehouse', TypeID: warehouse }),
    );
  return [
    ...counters.map(({ counter, property }) =>
      rule(
        ruleOf(counter),
        'PerformanceCollection',
        plain(
          'DataSources',
          element(
            'DataSource',
            { ID: 'Value', TypeID: PERFORMANCE },
            ...ofServer,
            ...values({ Property: property, Counter: counter }),
          ),
        ),
        into(
          'SystemCenter!Microsoft.SystemCenter.CollectPerformanceData',
          'Warehouse!Microsoft.SystemCenter.DataWarehouse.PublishPerformanceData',
        ),
      ),
    ),
    rule(
      `${ID}.Collect.Events`,
      'EventCollection',
      plain('DataSources', element('DataSource', { ID: 'Test', TypeID: OF_ONE }, ...ofServer)),
      element(
        'ConditionDetection',
        { ID: 'Mapper', TypeID: 'System!System.Event.GenericDataMapper' },
        ...values({
          EventOriginId: '$Target/Id$',
          PublisherId: '$MPElement$',
          PublisherName: data('EventSource'),
          Channel: 'Application',
          LoggingComputer: `$Target/Host/Host/${COMPUTER}`,
          EventNumber: data('EventId'),
          EventCategory: '0',
          EventLevel: data('EventLevel'),
          UserName: '',
          Description: data('EventMessage'),
          Params: '',
        }),
      ),
      into(
        'SystemCenter!Microsoft.SystemCenter.CollectEvent',
        'Warehouse!Microsoft.SystemCenter.DataWarehouse.PublishEventData',
      ),
    ),
  ];
}

const THREE = /** @type {const} */ ({ Good: 'Success', Warned: 'Warning', Bad: 'Error' });
const VERDICT = `${ID}.Verdict.Monitor`;
const EVENTS = `${ID}.Event.Monitor`;

/**
 * Bounds on a number of the bag, which an administrator overrides. Those on time are on; of the certificate the verdict
 * has its own.
 *
 * @type {readonly {
 *   readonly id: string, readonly name: string, readonly property: string, readonly what: string, readonly unit: string,
 *   readonly worse: 'Above' | 'Below', readonly isOn: boolean, readonly about: 'Performance' | 'Configuration',
 *   readonly warning: string, readonly critical: string }[]}
 */
const BOUNDED = [
  {
    id: `${ID}.Latency.Monitor`,
    name: 'POP3 latency',
    property: 'LatencyMs',
    what: 'The whole test took',
    unit: 'ms',
    worse: 'Above',
    isOn: true,
    about: 'Performance',
    warning: '30000',
    critical: '60000',
  },
  {
    id: `${ID}.Delivery.Monitor`,
    name: 'POP3 delivery',
    property: 'DeliveryMs',
    what: 'The test message was under way for',
    unit: 'ms',
    worse: 'Above',
    isOn: false,
    about: 'Performance',
    warning: '30000',
    critical: '60000',
  },
  {
    id: `${ID}.Certificate.Monitor`,
    name: 'POP3 certificate',
    property: 'CertificateDays',
    what: 'The certificate of the server is good for',
    unit: 'days',
    worse: 'Below',
    isOn: false,
    about: 'Configuration',
    warning: '21',
    critical: '7',
  },
];

const monitors = [
  unitMonitor({
    id: VERDICT,
    target: SERVER,
    type: `${ID}.Verdict.MonitorType`,
    about: 'Availability',
    alertOn: 'Warning',
    parameters: [
      ...['Server', 'Text', 'Phase', 'Reason', 'Hint', 'Message', 'Address', 'Port', 'UserName', 'ConnectionType'].map(
        context,
      ),
    ],
    states: THREE,
    settings: [...ofServer, plain('MatchCount', '1')],
  }),
  unitMonitor({
    id: EVENTS,
    target: SERVER,
    type: `${ID}.Event.MonitorType`,
    // It would raise a second alert for what the verdict already tells.
    isOn: false,
    about: 'Availability',
    alertOn: 'Error',
    parameters: ['Server', 'EventMessage', 'EventId', 'EventSource'].map(context),
    states: { Succeeded: 'Success', Failed: 'Error' },
    settings: ofServer,
  }),
  ...BOUNDED.map(({ id, property, worse, isOn, about, warning, critical }) =>
    unitMonitor({
      ...{ id, target: SERVER, type: `${ID}.${worse}.MonitorType`, isOn, about, alertOn: 'Warning', states: THREE },
      parameters: [context('Server'), context(property), context('Text')],
      settings: [...ofServer, ...values({ Property: property, Warning: warning, Critical: critical, MatchCount: '1' })],
    }),
  ),
  element(
    'DependencyMonitor',
    {
      ID: `${WATCHER}.Rollup`,
      Accessibility: 'Public',
      Enabled: 'true',
      Target: WATCHER,
      ParentMonitorID: 'Health!System.Health.AvailabilityState',
      Remotable: 'true',
      Priority: 'Normal',
      RelationshipType: HOSTS,
      MemberMonitor: 'Health!System.Health.AvailabilityState',
    },
    plain('Category', 'AvailabilityHealth'),
    plain('Algorithm', 'WorstOf'),
    plain('MemberUnAvailable', 'Error'),
  ),
];

const classes = [
  element(
    'ClassType',
    {
      ...{
        ID: WATCHER,
        Accessibility: 'Public',
        Abstract: 'false',
        Base: 'Windows!Microsoft.Windows.LocalApplication',
      },
      ...{ Hosted: 'true', Singleton: 'false' },
    },
    ...Object.keys(PLACES).map((name) => classProperty(name)),
  ),
  element(
    'ClassType',
    {
      ...{
        ID: SERVER,
        Accessibility: 'Public',
        Abstract: 'false',
        Base: 'Windows!Microsoft.Windows.ApplicationComponent',
      },
      ...{ Hosted: 'true', Singleton: 'false' },
    },
    classProperty('Server', true),
  ),
];

const relationships = [
  element(
    'RelationshipType',
    { ID: HOSTS, Accessibility: 'Public', Abstract: 'false', Base: 'System!System.Hosting' },
    element('Source', { ID: 'Source', Type: WATCHER }),
    element('Target', { ID: 'Target', Type: SERVER }),
  ),
];

/**
 * @param {Ingredients} ingredients
 * @returns {readonly Name[]}
 */
function names({ counters }) {
  /** @param {string} id @param {Readonly<Record<string, string>>} parts @returns {Name[]} */
  const partsOf = (id, parts) => Object.entries(parts).map(([part, name]) => [id, part, name]);
  const three = { Good: 'Good', Warned: 'Warned, or not measured', Bad: 'Bad' };
  return [
    [
      ID,
      null,
      'POP3 connectivity',
      'Tests POP3 servers with scom_pop3: logs on, sends a message, finds it and deletes it.',
    ],
    [WATCHER, null, 'POP3 watcher', `A machine that tests POP3 servers: it has the key HKLM\\${KEY}.`],
    ...partsOf(WATCHER, { Node: 'Node.js', Command: 'scom_pop3', TargetFile: 'File of targets' }),
    [SERVER, null, 'POP3 server', 'A server in the file of targets of a watcher.'],
    [SERVER, 'Server', 'Server'],
    [HOSTS, null, 'POP3 watcher hosts POP3 server'],
    [TEST, null, 'POP3 test', 'Runs scom_pop3 once for all servers of a watcher: a property bag for each.'],
    [PERFORMANCE, null, 'POP3 performance data'],
    [OF_ONE, null, 'POP3 test of a server', 'The bags of one server.'],
    [`${ID}.Verdict.MonitorType`, null, 'POP3 verdict'],
    [`${ID}.Event.MonitorType`, null, 'POP3 event'],
    [`${ID}.Above.MonitorType`, null, 'POP3 value above its bounds'],
    [`${ID}.Below.MonitorType`, null, 'POP3 value below its bounds'],
    [`${WATCHER}.Discovery`, null, 'POP3 watchers', 'By their registry key.'],
    [`${SERVER}.Discovery`, null, 'POP3 servers', 'By the file of targets of the watcher.'],
    ...counters.map(({ counter }) => /** @type {Name} */ ([ruleOf(counter), null, `POP3 ${counter} (ms)`])),
    [`${ID}.Collect.Events`, null, 'POP3 events', '1000 succeeded, 1001 failed, 1002 warned or not tested.'],
    [VERDICT, null, 'POP3 verdict', 'Whether users can log on and get their mail.'],
    ...partsOf(VERDICT, three),
    [
      messageOf(VERDICT),
      null,
      'POP3: {0}: {3}',
      '{1}\n\nPhase: {2}\nReason: {3}\nLook at first: {4}\nMet: {5}\n\nServer {0}, address {6}, port {7}, {9}, user {8}.\nThe product knowledge has a section on each reason.',
    ],
    [EVENTS, null, 'POP3 event', 'Event 1001 makes it bad, event 1000 good again.'],
    ...partsOf(EVENTS, { Succeeded: 'Event 1000', Failed: 'Event 1001' }),
    [messageOf(EVENTS), null, 'POP3: event {2} for {0}', '{3} {2}: {1}'],
    ...BOUNDED.flatMap(({ id, name, property, what, unit }) => [
      /** @type {Name} */ ([id, null, name, `Compares ${property} with Warning and Critical, in ${unit}.`]),
      ...partsOf(id, { Good: 'Within bounds', Warned: 'Beyond the first bound', Bad: 'Beyond the second bound' }),
      /** @type {Name} */ ([messageOf(id), null, `${name}: {0}`, `${what} {1} ${unit}.\n\n{2}`]),
    ]),
    [`${WATCHER}.Rollup`, null, 'POP3 servers', 'The worst of the servers of a watcher.'],
  ];
}

/**
 * The management pack.
 *
 * @param {Ingredients} ingredients
 */
export function windowsPack(ingredients) {
  const reasons = sectionsOf(ingredients.reasons);
  return packOf({
    id: ID,
    references: ['System', 'Windows', 'Health', 'Performance', 'SystemCenter', 'Warehouse'],
    types: { classes, relationships, modules: modules(ingredients), monitorTypes },
    monitoring: { discoveries: discoveries(ingredients), rules: rules(ingredients), monitors },
    messages: [VERDICT, EVENTS, ...BOUNDED.map(({ id }) => id)].map(messageOf),
    names: names(ingredients),
    articles: [
      article(VERDICT, [
        section(
          'Summary',
          para(
            'Error: users cannot log on, or do not get their mail. Warning: it works, but not well or not for long; or the probe could not measure (UNKNOWN in the text), and nothing is known about the mail service.',
          ),
          para('The alert names the reason. It is closed when the next test is good.'),
        ),
        ...reasons,
      ]),
      article(EVENTS, [
        section(
          'Summary',
          para(
            'Off as it comes, for the verdict tells the same. 1001 makes it bad and 1000 good again; 1002 leaves it as it is.',
          ),
        ),
        ...reasons,
      ]),
      ...BOUNDED.map(({ id, property, what }) =>
        article(id, [
          section(
            'Summary',
            para(`${what} a time that is beyond its bounds. Override Warning and Critical to move them.`),
            para(`It is the property ${property} of the bag. Where it was not measured the state stays as it is.`),
          ),
        ]),
      ),
    ],
  });
}

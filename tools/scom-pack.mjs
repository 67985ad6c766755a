/**
 * What both management packs are made of: the frame of a pack, filters, alerts, the names people read. The order of
 * elements is that of the schema of management packs, version 2.0.
 */
import { element, plain } from './scom-xml.mjs';

/** @typedef {import('./scom-xml.mjs').Element} Element */
/** @typedef {readonly [id: string, part: string | null, name: string, description?: string]} Name */
/**
 * @typedef {object} Pack
 * @property {string} id the file is called after it
 * @property {readonly string[]} references aliases, of REFERENCES
 * @property {Readonly<Record<'classes' | 'relationships' | 'modules' | 'monitorTypes', readonly Element[]>>} types
 * @property {Readonly<Record<'discoveries' | 'rules' | 'monitors', readonly Element[]>>} monitoring
 * @property {readonly string[]} messages the string resources of alerts
 * @property {readonly Name[]} names
 * @property {readonly Element[]} articles
 */
/** @typedef {readonly [name: string, type: 'string' | 'integer' | 'double']} Setting */

/** Raised when a pack changes: SCOM takes a newer one in place of an older. */
const VERSION = '1.0.0.0';

/** Microsoft's own packs, each in the least version that will do: that of System Center 2012 R2. */
const REFERENCES = /** @type {Readonly<Record<string, readonly [id: string, version: string]>>} */ ({
  System: ['System.Library', '7.5.8501.0'],
  Windows: ['Microsoft.Windows.Library', '7.5.8501.0'],
  Health: ['System.Health.Library', '7.0.8433.0'],
  Performance: ['System.Performance.Library', '7.0.8433.0'],
  SystemCenter: ['Microsoft.SystemCenter.Library', '7.0.8433.0'],
  Warehouse: ['Microsoft.SystemCenter.DataWarehouse.Library', '7.0.8433.0'],
  Unix: ['Microsoft.Unix.Library', '7.4.4515.0'],
  WSManagement: ['Microsoft.SystemCenter.WSManagement.Library', '6.1.7221.0'],
});

const TOKEN = '31bf3856ad364e35';

/** @param {Pack} pack */
export function packOf({ id, references, types, monitoring, messages, names, articles }) {
  return element(
    'ManagementPack',
    { SchemaVersion: '2.0', ContentReadable: 'true', 'xmlns:xsd': 'http://www.w3.org/2001/XMLSchema' },
    plain(
      'Manifest',
      plain('Identity', plain('ID', id), plain('Version', VERSION)),
      plain('Name', names[0]?.[2] ?? id),
      plain('References', ...references.map(reference)),
    ),
    plain(
      'TypeDefinitions',
      plain(
        'EntityTypes',
        plain('ClassTypes', ...types.classes),
        types.relationships.length === 0 ? null : plain('RelationshipTypes', ...types.relationships),
      ),
      plain('ModuleTypes', ...types.modules),
      plain('MonitorTypes', ...types.monitorTypes),
    ),
    plain(
      'Monitoring',
      plain('Discoveries', ...monitoring.discoveries),
      monitoring.rules.length === 0 ? null : plain('Rules', ...monitoring.rules),
      plain('Monitors', ...monitoring.monitors),
    ),
    plain('Presentation', plain('StringResources', ...messages.map((ID) => element('StringResource', { ID })))),
    plain(
      'LanguagePacks',
      element(
        'LanguagePack',
        { ID: 'ENU', IsDefault: 'true' },
        plain('DisplayStrings', ...names.map(displayString)),
        plain('KnowledgeArticles', ...articles),
      ),
    ),
  );
}

/** @param {string} alias */
function reference(alias) {
  const [id, version] = /** @type {readonly [string, string]} */ (REFERENCES[alias]);
  return element(
    'Reference',
    { Alias: alias },
    plain('ID', id),
    plain('Version', version),
    plain('PublicKeyToken', TOKEN),
  );
}

/** @param {Name} name */
function displayString([id, part, name, description]) {
  return element(
    'DisplayString',
    { ElementID: id, ...(part === null ? {} : { SubElementID: part }) },
    plain('Name', name),
    description === undefined ? null : plain('Description', description),
  );
}

/**
 * The article of an element.
 *
 * @param {string} id
 * @param {readonly Element[]} sections
 */
export function article(id, sections) {
  return element('KnowledgeArticle', { ElementID: id, Visible: 'true' }, plain('MamlContent', ...sections));
}

/**
 * A property of a class.
 *
 * @param {string} id
 * @param {boolean} [isKey]
 */
export function classProperty(id, isKey = false) {
  const usual = { AutoIncrement: 'false', CaseSensitive: 'false', MaxLength: '256', MinLength: '0' };
  return element('Property', { ID: id, Type: 'string', Key: String(isKey), ...usual, Required: 'false', Scale: '0' });
}

/**
 * Parameters, as elements that have a value each.
 *
 * @param {Readonly<Record<string, string>>} values
 */
export function values(values) {
  return Object.entries(values).map(([name, value]) => (value === '' ? plain(name) : plain(name, value)));
}

/**
 * Parameters that are handed on to what is inside.
 *
 * @param {readonly Setting[]} settings
 */
export function handedOn(settings) {
  return settings.map(([name]) => plain(name, `$Config/${name}$`));
}

/** @param {readonly Setting[]} settings */
export function configuration(settings) {
  return plain(
    'Configuration',
    ...settings.map(([name, type]) => element('xsd:element', { minOccurs: '1', name, type: `xsd:${type}` })),
  );
}

/**
 * What of the settings an administrator may override.
 *
 * @param {readonly Setting[]} settings
 */
export function overrideable(settings) {
  const types = { string: 'string', integer: 'int', double: 'double' };
  return plain(
    'OverrideableParameters',
    ...settings.map(([name, type]) =>
      element('OverrideableParameter', { ID: name, Selector: `$Config/${name}$`, ParameterType: types[type] }),
    ),
  );
}

/**
 * Modules one after the other, the first one first.
 *
 * @param {readonly string[]} ids
 * @returns {Element}
 */
export function chain(ids) {
  const [last = '', ...before] = ids.slice().reverse();
  const inner = before.length === 0 ? [] : [chain(before.reverse())];
  return element('Node', { ID: last }, ...inner);
}

/**
 * A filter that lets through what meets the expression, after it did so some times in a row.
 *
 * @param {string} id
 * @param {Element} expression
 * @param {string | null} [times]
 */
export function filter(id, expression, times = null) {
  return element(
    'ConditionDetection',
    { ID: id, TypeID: 'System!System.ExpressionFilter' },
    plain('Expression', expression),
    times === null ? null : plain('SuppressionSettings', plain('MatchCount', times)),
  );
}

/**
 * @param {'String' | 'Integer' | 'Double'} type
 * @param {string} xpath
 * @param {string} operator
 * @param {string} value
 */
export function compare(type, xpath, operator, value) {
  return plain(
    'SimpleExpression',
    plain('ValueExpression', element('XPathQuery', { Type: type }, xpath)),
    plain('Operator', operator),
    plain('ValueExpression', element('Value', { Type: type }, ...(value === '' ? [] : [value]))),
  );
}

/**
 * Whether a text is of some form; what is not there is of none.
 *
 * @param {string} xpath
 * @param {string} pattern
 */
export function matches(xpath, pattern) {
  return plain(
    'RegExExpression',
    plain('ValueExpression', element('XPathQuery', { Type: 'String' }, xpath)),
    plain('Operator', 'MatchesRegularExpression'),
    plain('Pattern', pattern),
  );
}

/**
 * @param {'And' | 'Or'} how
 * @param {...Element} expressions
 */
export function joined(how, ...expressions) {
  return plain(how, ...expressions.map((each) => plain('Expression', each)));
}

/**
 * A type of monitor: a data source, filters that all states share, and a filter for each state.
 *
 * @param {string} id
 * @param {readonly Setting[]} settings
 * @param {readonly Setting[]} overrides
 * @param {{ readonly source: Element, readonly shared: readonly Element[], readonly states: readonly (readonly [string, Element, string | null])[] }} inner
 */
export function monitorType(id, settings, overrides, { source, shared, states }) {
  const before = [source, ...shared].map((each) => /** @type {string} */ (each.attributes.ID));
  return element(
    'UnitMonitorType',
    { ID: id, Accessibility: 'Internal' },
    plain(
      'MonitorTypeStates',
      ...states.map(([state]) => element('MonitorTypeState', { ID: state, NoDetection: 'false' })),
    ),
    configuration(settings),
    overrideable(overrides),
    plain(
      'MonitorImplementation',
      plain(
        'MemberModules',
        source,
        ...shared,
        ...states.map(([state, expression, times]) => filter(`Is${state}`, expression, times)),
      ),
      plain(
        'RegularDetections',
        ...states.map(([state]) =>
          element('RegularDetection', { MonitorTypeStateID: state }, chain([...before, `Is${state}`])),
        ),
      ),
    ),
  );
}

/** What begins every run: each interval, in step with a time of day if there is one. */
export const SCHEDULER = element(
  'DataSource',
  { ID: 'Scheduler', TypeID: 'System!System.Scheduler' },
  plain(
    'Scheduler',
    plain(
      'SimpleReccuringSchedule',
      element('Interval', { Unit: 'Seconds' }, '$Config/IntervalSeconds$'),
      plain('SyncTime', '$Config/SyncTime$'),
    ),
    plain('ExcludeDates'),
  ),
);

/**
 * A type of data source made of others.
 *
 * @param {string} id
 * @param {readonly Setting[]} settings
 * @param {readonly Setting[]} overrides
 * @param {readonly Element[]} modules in the order of their work
 * @param {string} output
 */
export function dataSourceType(id, settings, overrides, modules, output) {
  return element(
    'DataSourceModuleType',
    { ID: id, Accessibility: 'Internal', Batching: 'false' },
    configuration(settings),
    overrideable(overrides),
    element(
      'ModuleImplementation',
      { Isolation: 'Any' },
      plain(
        'Composite',
        plain('MemberModules', ...modules),
        plain('Composition', chain(modules.map((each) => /** @type {string} */ (each.attributes.ID)))),
      ),
    ),
    plain('OutputType', output),
  );
}

/**
 * @typedef {object} Monitor
 * @property {string} id
 * @property {string} target
 * @property {string} type
 * @property {boolean} [isOn]
 * @property {'Availability' | 'Performance' | 'Configuration'} about
 * @property {'Warning' | 'Error'} alertOn
 * @property {readonly string[]} parameters of the alert's text
 * @property {Readonly<Record<string, 'Success' | 'Warning' | 'Error'>>} states
 * @property {readonly Element[]} settings
 */

/** @param {Monitor} monitor */
export function unitMonitor({ id, target, type, isOn = true, about, alertOn, parameters, states, settings }) {
  return element(
    'UnitMonitor',
    {
      ID: id,
      Accessibility: 'Public',
      Enabled: String(isOn),
      Target: target,
      ParentMonitorID: `Health!System.Health.${about}State`,
      Remotable: 'true',
      Priority: 'Normal',
      TypeID: type,
      ConfirmDelivery: 'true',
    },
    plain('Category', `${about}Health`),
    element(
      'AlertSettings',
      { AlertMessage: messageOf(id) },
      plain('AlertOnState', alertOn),
      plain('AutoResolve', 'true'),
      plain('AlertPriority', 'Normal'),
      plain('AlertSeverity', 'MatchMonitorHealth'),
      plain('AlertParameters', ...parameters.map((each, index) => plain(`AlertParameter${index + 1}`, each))),
    ),
    plain(
      'OperationalStates',
      ...Object.entries(states).map(([state, HealthState]) =>
        element('OperationalState', { ID: state, MonitorTypeStateID: state, HealthState }),
      ),
    ),
    plain('Configuration', ...settings),
  );
}

/** @param {string} monitor */
export function messageOf(monitor) {
  return `${monitor}.AlertMessage`;
}

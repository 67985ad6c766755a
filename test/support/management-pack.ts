import { all, child, readXml, type Tree } from './xml-tree.ts';

/**
 * What is wrong with a management pack, as far as that can be told without Operations Manager: its schema ships with
 * Microsoft's tools alone. The tables below are written from Microsoft's documentation and from published packs.
 *
 * @param fileName it has to be called after its ID
 * @param properties the names that the bags of our scripts have
 */
export function problemsOf(document: string, fileName: string, properties: readonly string[]): readonly string[] {
  let pack: Tree;
  try {
    pack = readXml(document);
  } catch (problem) {
    return [`not well-formed: ${(problem as Error).message}`];
  }
  const found: string[] = [];
  const wrong = (at: Tree, what: string): void => {
    found.push(`line ${at.line}, ${at.name}: ${what}`);
  };
  const context: Context = { pack, wrong, properties, own: ownOf(pack) };
  checkOrder(context);
  checkManifest(context, fileName);
  checkIds(context);
  checkReferences(context);
  checkModules(context);
  checkMonitorTypes(context);
  checkMonitors(context);
  checkStrings(context);
  checkPlaces(context);
  return found;
}

interface Context {
  readonly pack: Tree;
  readonly wrong: (at: Tree, what: string) => void;
  readonly properties: readonly string[];
  /** What the pack defines, by ID. */
  readonly own: ReadonlyMap<string, Tree>;
}

/** What may stand in an element, in this order; `?` may be missing, `*` and `+` may be there more than once. */
const ORDER: Readonly<Record<string, string>> = {
  ManagementPack: 'Manifest TypeDefinitions? Monitoring? Presentation? LanguagePacks?',
  Manifest: 'Identity Name References',
  Identity: 'ID Version',
  References: 'Reference*',
  Reference: 'ID Version PublicKeyToken',
  TypeDefinitions: 'EntityTypes? DataTypes? SchemaTypes? SecureReferences? ModuleTypes? MonitorTypes?',
  EntityTypes: 'ClassTypes? RelationshipTypes?',
  ClassTypes: 'ClassType+',
  ClassType: 'Property*',
  RelationshipTypes: 'RelationshipType+',
  RelationshipType: 'Source Target',
  ModuleTypes: 'DataSourceModuleType* ProbeActionModuleType* ConditionDetectionModuleType* WriteActionModuleType*',
  DataSourceModuleType: 'Configuration OverrideableParameters? ModuleImplementation OutputType',
  OverrideableParameters: 'OverrideableParameter+',
  ModuleImplementation: 'Composite',
  Composite: 'MemberModules Composition',
  MemberModules: 'DataSource* ProbeAction* ConditionDetection* WriteAction*',
  Composition: 'Node',
  MonitorTypes: 'UnitMonitorType+',
  UnitMonitorType: 'MonitorTypeStates Configuration OverrideableParameters? MonitorImplementation',
  MonitorTypeStates: 'MonitorTypeState+',
  MonitorImplementation: 'MemberModules RegularDetections OnDemandDetections?',
  RegularDetections: 'RegularDetection+',
  RegularDetection: 'Node',
  Monitoring: 'Discoveries? Rules? Tasks? Monitors? Diagnostics? Recoveries? Overrides?',
  Discoveries: 'Discovery+',
  Discovery: 'Category DiscoveryTypes DataSource',
  DiscoveryTypes: 'DiscoveryClass* DiscoveryRelationship*',
  DiscoveryClass: 'Property*',
  Rules: 'Rule+',
  Rule: 'Category DataSources ConditionDetection? WriteActions',
  DataSources: 'DataSource+',
  WriteActions: 'WriteAction+',
  Monitors: 'UnitMonitor* DependencyMonitor* AggregateMonitor*',
  UnitMonitor: 'Category AlertSettings? OperationalStates Configuration',
  DependencyMonitor: 'Category AlertSettings? Algorithm AlgorithmParameter? MemberInMaintenance? MemberUnAvailable?',
  AlertSettings: 'AlertOnState AutoResolve AlertPriority AlertSeverity AlertParameters?',
  OperationalStates: 'OperationalState+',
  Presentation: 'StringResources',
  StringResources: 'StringResource+',
  LanguagePacks: 'LanguagePack+',
  LanguagePack: 'DisplayStrings? KnowledgeArticles?',
  DisplayStrings: 'DisplayString+',
  DisplayString: 'Name Description?',
  KnowledgeArticles: 'KnowledgeArticle+',
  KnowledgeArticle: 'MamlContent',
  MamlContent: 'section+',
  section: 'title para* list? para* list? para* list?',
  list: 'listItem+',
  listItem: 'para+',
  SimpleExpression: 'ValueExpression Operator ValueExpression',
  RegExExpression: 'ValueExpression Operator Pattern',
  And: 'Expression+',
  Or: 'Expression+',
};

/** What an attribute or an element may say. */
const WORDS: Readonly<Record<string, RegExp>> = {
  '@Accessibility': /^(Public|Internal)$/,
  '@Abstract': /^(true|false)$/,
  '@Hosted': /^(true|false)$/,
  '@Singleton': /^(true|false)$/,
  '@Enabled': /^(true|false)$/,
  '@HealthState': /^(Success|Warning|Error)$/,
  '@ParameterType': /^(int|double|string|bool)$/,
  '@VariantType': /^\d+$/,
  AlertOnState: /^(Warning|Error)$/,
  AutoResolve: /^(true|false)$/,
  AlertPriority: /^(Low|Normal|High)$/,
  AlertSeverity: /^(MatchMonitorHealth|Information|Warning|Error)$/,
  Algorithm: /^(WorstOf|BestOf|Percentage)$/,
  MemberUnAvailable: /^(Success|Warning|Error)$/,
  Operator: /^(Equal|NotEqual|Greater|GreaterEqual|Less|LessEqual|MatchesRegularExpression)$/,
  Category:
    /^(Discovery|PerformanceCollection|EventCollection|AvailabilityHealth|PerformanceHealth|ConfigurationHealth)$/,
};

function checkOrder({ pack, wrong }: Context): void {
  const walk = (tree: Tree): void => {
    const model = ORDER[tree.name];
    // A class has properties with attributes, a discovery names properties: both are called Property.
    if (model !== undefined) {
      const names = tree.children.map(({ name }) => `${name} `).join('');
      const pattern = model.replace(/(\w+)([?*+]?)/g, '(?:$1 )$2').replace(/ (?=\()/g, '');
      if (!new RegExp(`^${pattern}$`).test(names)) wrong(tree, `holds ${names.trim()}, not ${model}`);
    }
    for (const [name, value] of Object.entries(tree.attributes)) {
      if (WORDS[`@${name}`]?.test(value) === false) wrong(tree, `${name} is ${value}`);
    }
    if (tree.children.length === 0 && WORDS[tree.name]?.test(tree.text) === false) wrong(tree, `says ${tree.text}`);
    if (tree.children.length > 0 && tree.text.trim() !== '')
      wrong(tree, `has text among elements: ${tree.text.trim()}`);
    tree.children.forEach(walk);
  };
  walk(pack);
  if (pack.name !== 'ManagementPack') wrong(pack, 'is no management pack');
}

function checkManifest({ pack, wrong }: Context, fileName: string): void {
  const id = textAt(pack, 'Manifest', 'Identity', 'ID');
  if (fileName !== `${id}.xml`) wrong(pack, `${fileName} has the ID ${id}`);
  if (pack.attributes.SchemaVersion !== '2.0') wrong(pack, 'schema version');
  for (const version of all(pack, 'Version')) {
    if (!/^\d+\.\d+\.\d+\.\d+$/.test(version.text)) wrong(version, `version ${version.text}`);
  }
  for (const token of all(pack, 'PublicKeyToken')) {
    if (token.text !== '31bf3856ad364e35') wrong(token, `token ${token.text}`);
  }
}

const textAt = (tree: Tree, ...path: readonly string[]): string =>
  path.reduce<Tree | undefined>((at, name) => at && child(at, name), tree)?.text ?? '';

/** What has an ID that is one for the whole pack. */
const DEFINITIONS: readonly string[] = [
  ...['ClassType', 'RelationshipType', 'DataSourceModuleType', 'UnitMonitorType', 'Discovery', 'Rule', 'UnitMonitor'],
  ...['DependencyMonitor', 'StringResource'],
];

const definitionsIn = (pack: Tree): readonly Tree[] => DEFINITIONS.flatMap((name) => all(pack, name));
const ownOf = (pack: Tree): ReadonlyMap<string, Tree> =>
  new Map(definitionsIn(pack).map((each) => [each.attributes.ID ?? '', each]));

function checkIds({ pack, wrong }: Context): void {
  const seen = new Set<string>();
  const id = textAt(pack, 'Manifest', 'Identity', 'ID');
  for (const each of definitionsIn(pack)) {
    const own = each.attributes.ID ?? '';
    if (!/^[A-Za-z][A-Za-z0-9._]*$/.test(own)) wrong(each, `ID ${own}`);
    if (!own.startsWith(`${id}.`)) wrong(each, `ID ${own} does not begin with that of the pack`);
    if (seen.has(own)) wrong(each, `ID ${own} is there twice`);
    seen.add(own);
  }
}

/** A public type of module: its kind, and its configuration in order; what ends in `?` may be missing. */
interface Known {
  readonly kind: 'DataSource' | 'ProbeAction' | 'ConditionDetection' | 'WriteAction';
  readonly configuration: readonly string[];
  readonly output?: string;
}

const known = (kind: Known['kind'], configuration: string, output?: string): Known => ({
  kind,
  configuration: configuration === '' ? [] : configuration.split(' '),
  ...(output === undefined ? {} : { output }),
});

/** Public modules of Microsoft's packs, by the pack they are in. */
const MODULES: Readonly<Record<string, Readonly<Record<string, Known>>>> = {
  'System.Library': {
    'System.Scheduler': known('DataSource', 'Scheduler'),
    'System.ExpressionFilter': known('ConditionDetection', 'Expression SuppressionSettings?'),
    'System.Event.GenericDataMapper': known(
      'ConditionDetection',
      'EventOriginId PublisherId PublisherName Channel LoggingComputer EventNumber EventCategory EventLevel UserName Description? Params',
      'System.Event.Data',
    ),
    'System.Discovery.FilteredClassSnapshotDataMapper': known(
      'ConditionDetection',
      'ClassId InstanceSettings Expression',
      'System.Discovery.Data',
    ),
  },
  'System.Performance.Library': {
    'System.Performance.DataGenericMapper': known(
      'ConditionDetection',
      'ObjectName CounterName InstanceName Value',
      'System.Performance.Data',
    ),
  },
  'Microsoft.Windows.Library': {
    'Microsoft.Windows.PowerShellPropertyBagTriggerOnlyProbe': known(
      'ProbeAction',
      'ScriptName ScriptBody SnapIns? Parameters? TimeoutSeconds StrictErrorHandling?',
      'System.PropertyBagData',
    ),
    'Microsoft.Windows.TimedPowerShell.DiscoveryProvider': known(
      'DataSource',
      'IntervalSeconds SyncTime ScriptName ScriptBody SnapIns? Parameters? TimeoutSeconds StrictErrorHandling?',
      'System.Discovery.Data',
    ),
    'Microsoft.Windows.FilteredRegistryDiscoveryProvider': known(
      'DataSource',
      'ComputerName RegistryAttributeDefinitions Frequency ClassId InstanceSettings Expression',
      'System.Discovery.Data',
    ),
  },
  'Microsoft.SystemCenter.Library': {
    'Microsoft.SystemCenter.CollectPerformanceData': known('WriteAction', ''),
    'Microsoft.SystemCenter.CollectEvent': known('WriteAction', ''),
  },
  'Microsoft.SystemCenter.DataWarehouse.Library': {
    'Microsoft.SystemCenter.DataWarehouse.PublishPerformanceData': known('WriteAction', ''),
    'Microsoft.SystemCenter.DataWarehouse.PublishEventData': known('WriteAction', ''),
  },
  'Microsoft.Unix.Library': {
    'Microsoft.Unix.WSMan.Invoke.ProbeAction': known(
      'ProbeAction',
      'TargetSystem Uri Selector InvokeAction Input',
      'Microsoft.SystemCenter.WSManagement.WSManData',
    ),
  },
};

/** Other public elements: classes with their properties, data types, monitors. */
const ELEMENTS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'System.Library': {
    'System.Entity': ['DisplayName'],
    'System.Hosting': [],
    'System.PropertyBagData': [],
    'System.Event.Data': [],
    'System.Discovery.Data': [],
  },
  'System.Health.Library': {
    'System.Health.AvailabilityState': [],
    'System.Health.PerformanceState': [],
    'System.Health.ConfigurationState': [],
  },
  'System.Performance.Library': { 'System.Performance.Data': [] },
  'Microsoft.Windows.Library': {
    'Microsoft.Windows.Computer': ['PrincipalName', 'NetworkName'],
    'Microsoft.Windows.Server.OperatingSystem': [],
    'Microsoft.Windows.LocalApplication': [],
    'Microsoft.Windows.ApplicationComponent': [],
  },
  'Microsoft.SystemCenter.Library': {},
  'Microsoft.SystemCenter.DataWarehouse.Library': {},
  'Microsoft.Unix.Library': {
    'Microsoft.Unix.Computer': ['PrincipalName', 'NetworkName'],
    'Microsoft.Unix.LocalApplication': [],
  },
  'Microsoft.SystemCenter.WSManagement.Library': { 'Microsoft.SystemCenter.WSManagement.WSManData': [] },
};

/** What hosts the instances of a class, where that is not told by the pack itself. */
const HOSTS: Readonly<Record<string, string>> = {
  'Windows!Microsoft.Windows.Server.OperatingSystem': 'Windows!Microsoft.Windows.Computer',
  'Windows!Microsoft.Windows.LocalApplication': 'Windows!Microsoft.Windows.Computer',
  'Unix!Microsoft.Unix.LocalApplication': 'Unix!Microsoft.Unix.Computer',
};

/** The pack behind an alias. */
const packOf = (pack: Tree, alias: string): string | undefined => {
  const reference = all(child(pack, 'Manifest') ?? pack, 'Reference').find(
    ({ attributes }) => attributes.Alias === alias,
  );
  return reference && textAt(reference, 'ID');
};

/** The properties of a class, of ours or of Microsoft's; null where there is no such element. */
function propertiesOf({ pack, own }: Context, name: string): readonly string[] | null {
  if (!name.includes('!')) {
    const each = own.get(name);
    if (each === undefined) return null;
    return each.children.filter((inner) => inner.name === 'Property').map(({ attributes }) => attributes.ID ?? '');
  }
  const [alias = '', id = ''] = name.split('!');
  const from = packOf(pack, alias) ?? '';
  return ELEMENTS[from]?.[id] ?? (MODULES[from]?.[id] === undefined ? null : []);
}

/** Attributes, and elements, that name an element. */
const NAMING: readonly string[] = [
  ...['Base', 'Type', 'TypeID', 'Target', 'ParentMonitorID', 'RelationshipType', 'MemberMonitor'],
];

function checkReferences(context: Context): void {
  const { pack, wrong } = context;
  const used = new Set<string>();
  const refer = (at: Tree, name: string): void => {
    if (name.includes('!')) used.add(name.split('!')[0] as string);
    if (name.includes('!') && packOf(pack, name.split('!')[0] as string) === undefined) {
      wrong(at, `no reference has the alias of ${name}`);
    } else if (propertiesOf(context, name) === null) wrong(at, `there is no ${name}`);
  };
  const walk = (tree: Tree): void => {
    // Types of values, and of parameters of a schema, are no elements.
    const isValue = ['Property', 'XPathQuery', 'Value', 'xsd:element'].includes(tree.name);
    for (const name of NAMING) {
      const value = tree.attributes[name];
      if (value !== undefined && !(name === 'Type' && isValue)) refer(tree, value);
    }
    if (tree.name === 'OutputType') refer(tree, tree.text);
    for (const [, name = ''] of tree.text.matchAll(/\[(?:Type|Name)=["']([^"']+)["']\]/g)) refer(tree, name);
    tree.children.forEach(walk);
  };
  walk(pack);
  for (const reference of all(pack, 'Reference')) {
    const { Alias = '' } = reference.attributes;
    if (!used.has(Alias)) wrong(reference, `nothing needs ${Alias}`);
    if (ELEMENTS[textAt(reference, 'ID')] === undefined) wrong(reference, `unknown pack ${textAt(reference, 'ID')}`);
  }
}

const KINDS: readonly string[] = ['DataSource', 'ProbeAction', 'ConditionDetection', 'WriteAction'];

/** The settings a type declares, in order. */
const declared = (type: Tree): readonly string[] =>
  (child(type, 'Configuration')?.children ?? []).map(({ attributes }) => attributes.name ?? '');

function moduleOf({ pack, own }: Context, name: string): Known | null {
  const [alias = '', id = ''] = name.includes('!') ? name.split('!') : ['', name];
  if (alias !== '') return MODULES[packOf(pack, alias) ?? '']?.[id] ?? null;
  const type = own.get(id);
  if (type?.name !== 'DataSourceModuleType') return null;
  return known('DataSource', declared(type).join(' '), textAt(type, 'OutputType').replace(/^.*!/, ''));
}

/** What is handed to a type is what it takes, in its order. */
function checkConfiguration({ wrong }: Context, at: Tree, given: readonly string[], taken: readonly string[]): void {
  let place = 0;
  for (const each of taken) {
    const name = each.replace('?', '');
    if (given[place] === name) place++;
    else if (!each.endsWith('?')) {
      wrong(at, `configuration ${given.join(' ')}, not ${taken.join(' ')}`);
      return;
    }
  }
  if (place < given.length) wrong(at, `configuration has ${given[place]} too much`);
}

function checkModules(context: Context): void {
  const { pack, wrong } = context;
  for (const kind of KINDS) {
    for (const member of all(pack, kind)) {
      const type = moduleOf(context, member.attributes.TypeID ?? '');
      if (type === null) wrong(member, `there is no module ${member.attributes.TypeID}`);
      else if (type.kind !== kind) wrong(member, `${member.attributes.TypeID} is a ${type.kind}`);
      else
        checkConfiguration(
          context,
          member,
          member.children.map(({ name }) => name),
          type.configuration,
        );
    }
  }
  for (const type of [...all(pack, 'DataSourceModuleType'), ...all(pack, 'UnitMonitorType')]) checkType(context, type);
  for (const type of all(pack, 'DataSourceModuleType')) {
    const nodes = all(type, 'Composition').flatMap((each) => nodesIn(each));
    const last = all(type, 'MemberModules')[0]?.children.find(({ attributes }) => attributes.ID === nodes[0]);
    const output = last && outputOf(context, type, nodes);
    const promised = textAt(type, 'OutputType').replace(/^.*!/, '');
    if (output !== promised) wrong(type, `gives ${output}, not ${promised}`);
  }
  for (const at of all(pack, 'Composite')) checkNodes(context, at, all(at, 'Composition'));
}

/** What comes out of a chain of modules: of a filter, what went in. */
function outputOf(context: Context, type: Tree, nodes: readonly string[]): string | undefined {
  for (const id of nodes) {
    const member = all(type, 'MemberModules')[0]?.children.find(({ attributes }) => attributes.ID === id);
    const output = moduleOf(context, member?.attributes.TypeID ?? '')?.output;
    if (output !== undefined) return output;
  }
  return undefined;
}

const nodesIn = (tree: Tree): readonly string[] => all(tree, 'Node').map(({ attributes }) => attributes.ID ?? '');

/** Every member has its place, and every place a member. */
function checkNodes({ wrong }: Context, at: Tree, places: readonly Tree[]): void {
  const members = (child(at, 'MemberModules')?.children ?? []).map(({ attributes }) => attributes.ID ?? '');
  if (new Set(members).size < members.length) wrong(at, 'two members have one ID');
  const nodes = new Set(places.flatMap(nodesIn));
  for (const id of nodes) if (!members.includes(id)) wrong(at, `there is no member ${id}`);
  for (const id of members) if (!nodes.has(id)) wrong(at, `the member ${id} has no place`);
}

/** Every $Config/…$ in a type is declared, and what is declared is used. */
function checkType({ wrong }: Context, type: Tree): void {
  const names = declared(type);
  if (new Set(names).size < names.length) wrong(type, 'declares a setting twice');
  const used = new Set<string>();
  const walk = (tree: Tree): void => {
    const isOverride = tree.name === 'OverrideableParameter';
    const texts = [tree.text, ...Object.values(tree.attributes)];
    for (const [, name = ''] of texts.join('\n').matchAll(/\$Config\/([^$]*)\$/g)) {
      if (!names.includes(name)) wrong(tree, `$Config/${name}$ is not declared`);
      if (!isOverride) used.add(name);
    }
    tree.children.forEach(walk);
  };
  walk(type);
  for (const name of names) if (!used.has(name)) wrong(type, `$Config/${name}$ is not used`);
}

function checkMonitorTypes(context: Context): void {
  const { pack, wrong } = context;
  for (const type of all(pack, 'UnitMonitorType')) {
    const states = all(type, 'MonitorTypeState').map(({ attributes }) => attributes.ID ?? '');
    const detections = all(type, 'RegularDetection');
    for (const detection of detections) {
      const { MonitorTypeStateID = '' } = detection.attributes;
      if (!states.includes(MonitorTypeStateID)) wrong(detection, `there is no state ${MonitorTypeStateID}`);
    }
    for (const state of states) {
      const count = detections.filter(({ attributes }) => attributes.MonitorTypeStateID === state).length;
      if (count !== 1) wrong(type, `the state ${state} has ${count} detections`);
    }
    const implementation = child(type, 'MonitorImplementation');
    if (implementation !== undefined) checkNodes(context, implementation, all(implementation, 'RegularDetections'));
  }
}

function checkMonitors(context: Context): void {
  const { pack, wrong, own } = context;
  for (const monitor of all(pack, 'UnitMonitor')) {
    const type = own.get(monitor.attributes.TypeID ?? '');
    if (type?.name !== 'UnitMonitorType') {
      wrong(monitor, `there is no monitor type ${monitor.attributes.TypeID}`);
      continue;
    }
    const given = child(monitor, 'Configuration')?.children.map(({ name }) => name) ?? [];
    checkConfiguration(context, monitor, given, declared(type));
    const states = all(type, 'MonitorTypeState').map(({ attributes }) => attributes.ID ?? '');
    const operational = all(monitor, 'OperationalState').map(({ attributes }) => attributes);
    const mapped = operational.map(({ MonitorTypeStateID = '' }) => MonitorTypeStateID);
    if (mapped.slice().sort().join() !== states.slice().sort().join()) {
      wrong(monitor, `states ${mapped.join(' ')}, not ${states.join(' ')}`);
    }
    const health = operational.map(({ HealthState }) => HealthState);
    if (new Set(health).size < health.length) wrong(monitor, 'two states have the same health');
    if (!health.includes('Success')) wrong(monitor, 'no state is good');
    const parameters = child(all(monitor, 'AlertSettings')[0] ?? monitor, 'AlertParameters')?.children ?? [];
    parameters.forEach(({ name }, index) => {
      if (name !== `AlertParameter${index + 1}` || index > 9) wrong(monitor, `parameter ${name} at ${index + 1}`);
    });
    const { AlertMessage = '' } = all(monitor, 'AlertSettings')[0]?.attributes ?? {};
    if (own.get(AlertMessage)?.name !== 'StringResource') wrong(monitor, `there is no message ${AlertMessage}`);
    const message = stringOf(pack, AlertMessage);
    const text = message === undefined ? '' : `${textAt(message, 'Name')} ${textAt(message, 'Description')}`;
    for (const [, place] of text.matchAll(/\{(\d+)\}/g)) {
      if (Number(place) >= parameters.length) wrong(monitor, `the message has a place {${place}} for no parameter`);
    }
    parameters.forEach((_, index) => {
      if (!text.includes(`{${index}}`)) wrong(monitor, `the message has no place for parameter ${index + 1}`);
    });
  }
}

const stringOf = (pack: Tree, id: string): Tree | undefined =>
  all(pack, 'DisplayString').find(
    ({ attributes }) => attributes.ElementID === id && attributes.SubElementID === undefined,
  );

function checkStrings({ pack, wrong, own }: Context): void {
  const id = textAt(pack, 'Manifest', 'Identity', 'ID');
  const seen = new Set<string>();
  for (const string of all(pack, 'DisplayString')) {
    const { ElementID = '', SubElementID } = string.attributes;
    const key = `${ElementID} ${SubElementID}`;
    if (seen.has(key)) wrong(string, `${key} is there twice`);
    seen.add(key);
    const each = own.get(ElementID);
    if (each === undefined && ElementID !== id) wrong(string, `there is no ${ElementID}`);
    else if (SubElementID !== undefined) {
      const parts = [...all(each ?? pack, 'Property'), ...all(each ?? pack, 'OperationalState')];
      if (!parts.some(({ attributes }) => attributes.ID === SubElementID)) wrong(string, `no part ${SubElementID}`);
    }
    if (textAt(string, 'Name') === '') wrong(string, 'has no name');
  }
  for (const each of own.keys()) if (!seen.has(`${each} undefined`)) wrong(pack, `${each} has no name for people`);
  for (const monitor of all(pack, 'UnitMonitor')) {
    for (const { attributes } of all(monitor, 'OperationalState')) {
      if (!seen.has(`${monitor.attributes.ID} ${attributes.ID}`)) wrong(monitor, `state ${attributes.ID} has no name`);
    }
  }
  for (const resource of all(pack, 'StringResource')) {
    const messages = all(pack, 'AlertSettings').map(({ attributes }) => attributes.AlertMessage);
    if (!messages.includes(resource.attributes.ID)) wrong(resource, `nothing says ${resource.attributes.ID}`);
  }
  const articles = all(pack, 'KnowledgeArticle').map(({ attributes }) => attributes.ElementID);
  for (const article of all(pack, 'KnowledgeArticle')) {
    if (!own.has(article.attributes.ElementID ?? '')) wrong(article, `there is no ${article.attributes.ElementID}`);
    for (const section of all(article, 'section')) {
      const { xmlns } = section.attributes;
      if (xmlns !== 'http://schemas.microsoft.com/maml/2004/10') wrong(section, `namespace ${xmlns}`);
    }
  }
  for (const { attributes } of all(pack, 'UnitMonitor')) {
    if (!articles.includes(attributes.ID)) wrong(pack, `${attributes.ID} has no article`);
  }
}

/** What SCOM puts something in place of. A setting may stand in the name of a property. */
const PLACE = /\$(Config|Data|Target|MPElement|RunAs)\b((?:[^$\n]|\$Config\/\w+\$)*)\$/g;

function checkPlaces(context: Context): void {
  const { pack, wrong, properties } = context;
  const targetOf = (tree: Tree): string | null =>
    tree.name === 'Discovery' || tree.name === 'Rule' || tree.name === 'UnitMonitor'
      ? (tree.attributes.Target ?? null)
      : tree.parent && targetOf(tree.parent);
  const inType = (tree: Tree): boolean =>
    ['DataSourceModuleType', 'UnitMonitorType'].includes(tree.name) || (tree.parent !== null && inType(tree.parent));
  const walk = (tree: Tree): void => {
    for (const [, , name = ''] of tree.text.matchAll(/(Property)\[@Name='([^'$]+)'\]/g)) {
      if (!properties.includes(name)) wrong(tree, `no bag has ${name}`);
    }
    if (tree.name === 'Property' && /^\w+$/.test(tree.text) && !properties.includes(tree.text)) {
      wrong(tree, `no bag has ${tree.text}`);
    }
    for (const [whole, kind, path = ''] of tree.text.matchAll(PLACE)) {
      if (kind === 'Config' && !inType(tree)) wrong(tree, `${whole} stands in no type`);
      if (kind === 'Target') checkTarget(context, tree, targetOf(tree), path);
      if (kind === 'MPElement' && path !== '') checkElement(context, tree, path);
      const isContext = path.startsWith('/Context/');
      if (kind === 'Data' && isContext !== /^AlertParameter/.test(tree.name)) wrong(tree, `${whole} is not there`);
    }
    if (tree.name === 'ScriptBody') checkScript(context, tree);
    tree.children.forEach(walk);
  };
  walk(pack);
  for (const settings of all(pack, 'InstanceSettings')) {
    for (const name of all(settings, 'Setting').map((each) => textAt(each, 'Name'))) {
      if (!/^\$MPElement\[Name="[^"]+"\]\/\w+\$$/.test(name)) wrong(settings, `sets ${name}`);
    }
  }
  for (const each of all(pack, 'DiscoveryClass').flatMap(({ children }) => children)) {
    const { TypeID = '', PropertyID = '' } = each.attributes;
    if (propertiesOf(context, TypeID)?.includes(PropertyID) !== true) wrong(each, `${TypeID} has no ${PropertyID}`);
  }
  for (const shell of all(pack, 'ShellCommand')) {
    if (shell.text.includes("'")) wrong(shell, 'a single quote ends the command');
  }
}

/** `/Host/Host/Property[Type="…"]/Name`, as far up as the class is hosted. */
function checkTarget(context: Context, at: Tree, target: string | null, path: string): void {
  if (path === '/Id') return;
  const [, hosts = '', type = '', property = ''] =
    /^((?:\/Host)*)\/Property\[Type="([^"]+)"\]\/(\w+)$/.exec(path) ?? [];
  if (property === '') {
    context.wrong(at, `$Target${path}$ cannot be read`);
    return;
  }
  let holder = target;
  for (let up = hosts.length / '/Host'.length; up > 0; up--) holder = holder && hostOf(context, holder);
  if (holder !== type) context.wrong(at, `$Target${path}$ is of ${holder}, not of ${type}`);
  if (propertiesOf(context, type)?.includes(property) !== true) context.wrong(at, `${type} has no ${property}`);
}

function hostOf({ pack, own }: Context, name: string): string | null {
  for (const { children } of all(pack, 'RelationshipType')) {
    const [source, target] = children;
    if (target?.attributes.Type === name) return source?.attributes.Type ?? null;
  }
  const base = own.get(name)?.attributes.Base ?? name;
  return HOSTS[base] ?? null;
}

function checkElement(context: Context, at: Tree, path: string): void {
  const [, name = '', property] = /^\[Name=["']([^"']+)["']\](?:\/(\w+))?$/.exec(path) ?? [];
  if (name === '') {
    context.wrong(at, `$MPElement${path}$ cannot be read`);
    return;
  }
  const properties = propertiesOf(context, name);
  if (property !== undefined && properties?.includes(property) !== true) {
    context.wrong(at, `${name} has no ${property}`);
  }
}

/** The parameters a script gets are those it takes, and none of its variables is one of SCOM's places. */
function checkScript({ wrong }: Context, body: Tree): void {
  const [, header = ''] = /^param\(\n(.*?)^\)/ms.exec(body.text) ?? [];
  const taken = Array.from(header.matchAll(/\[(string|int)\]\$(\w+)/g), ([, , name]) => name);
  const given = all(body.parent as Tree, 'Parameter').map((each) => textAt(each, 'Name'));
  if (taken.join() !== given.join()) wrong(body, `takes ${taken.join(' ')}, gets ${given.join(' ')}`);
  for (const [name] of body.text.matchAll(/\$(?:Config|Data|Target|RunAs|File)\b/gi))
    wrong(body, `has a variable ${name}`);
}

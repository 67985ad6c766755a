import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import { Language, Parser } from 'web-tree-sitter';
import { optionsOf } from '../src/cli/options.ts';
import { scomJson } from '../src/reporters/scom.ts';
import { judge, refuse, type Verdict } from '../src/verdict/judge.ts';
import { METRIC_NAMES } from '../src/verdict/metric.ts';
import { REASONS } from '../src/verdict/severity.ts';
import { FILES, ingredients } from '../tools/scom.mjs';
import { problemsOf } from './support/management-pack.ts';
import { failed, GOOD, made, PIPED, policy, REFUSED } from './support/people.ts';
import { GOOD_TLS } from './support/samples.ts';
import { alertBy, type Bag, collectedBy, stateBy } from './support/workflow.ts';
import { all, child, readXml, type Tree } from './support/xml-tree.ts';

const inTree = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const WINDOWS = inTree('plugins/scom/PopConnectivity.xml');
const UNIX = inTree('plugins/scom/PopConnectivity.Unix.xml');

/** Every name a bag can have: those of a test that reached every phase. */
const PHASES = METRIC_NAMES.filter((name) => name.startsWith('time_')).map((name) => name.slice('time_'.length));
const EVERYWHERE = made({ phases: PHASES.map((name) => ({ name: name as 'dns', ms: 1 })) });
const PROPERTIES: readonly string[] = JSON.parse(
  scomJson(judge(EVERYWHERE, policy()), PIPED).stdout,
).bags[0].properties.map(({ name }: { name: string }) => name);

const windows = (document: string): readonly string[] => problemsOf(document, 'PopConnectivity.xml', PROPERTIES);
const unix = (document: string): readonly string[] => problemsOf(document, 'PopConnectivity.Unix.xml', PROPERTIES);

describe('the management packs', () => {
  test.each(Object.keys(FILES))('%s is up to date (else: node tools/scom.mjs)', async (path) => {
    expect(inTree(path)).toBe(FILES[path]?.(await ingredients()));
  });

  test('have no fault that can be found without Operations Manager', () => {
    expect(windows(WINDOWS)).toEqual([]);
    expect(unix(UNIX)).toEqual([]);
  });

  test.each([
    ['PopConnectivity', WINDOWS],
    ['PopConnectivity.Unix', UNIX],
  ])('%s has knowledge of each reason where its alert is', (id, document) => {
    const article = all(readXml(document), 'KnowledgeArticle').find(
      ({ attributes }) => attributes.ElementID === `${id}.Verdict.Monitor`,
    ) as Tree;
    const titles = all(article, 'section').map((section) => child(section, 'title')?.text);
    expect(titles).toEqual(['Summary', ...titlesOf(inTree('docs/reasons.md'))]);
    expect(titles).toEqual(expect.arrayContaining(REASONS.slice()));
    for (const { text } of [...all(article, 'para'), ...all(article, 'title')]) {
      expect(text).not.toMatch(/`|\]\(|^\* |\n/);
      expect(text).not.toBe('');
    }
  });

  test('collect each phase and the whole, in milliseconds, by the names of the cmdlet', () => {
    const rules = all(readXml(WINDOWS), 'Rule').filter(
      (rule) => child(rule, 'Category')?.text === 'PerformanceCollection',
    );
    const counters = rules.map((rule) => all(rule, 'Counter')[0]?.text);
    expect(counters).toEqual(['Latency', ...PHASES]);
    expect(WINDOWS).toContain('<ObjectName>MSExchange Monitoring POPConnectivity</ObjectName>');
  });

  test('run the command once for all workflows of a watcher: each configures the run alike', () => {
    const pack = readXml(WINDOWS);
    const RUN = ['IntervalSeconds', 'SyncTime', 'TimeoutSeconds', 'Node', 'Command', 'TargetFile'];
    const runs = [
      ...all(pack, 'UnitMonitor').map((monitor) => child(monitor, 'Configuration') as Tree),
      ...all(pack, 'Rule').map((rule) => all(rule, 'DataSource')[0] as Tree),
    ].map((settings) => JSON.stringify(RUN.map((name) => child(settings, name)?.text)));
    expect(runs.length).toBeGreaterThan(20);
    expect(new Set(runs).size).toBe(1);
  });

  test('give the command less time than the script, and the script less than the interval', () => {
    const settings = child(all(readXml(WINDOWS), 'UnitMonitor')[0] as Tree, 'Configuration') as Tree;
    const seconds = (name: string): number => Number(child(settings, name)?.text);
    const [, aside] = /\$SecondsAside = (\d+)/.exec(inTree('plugins/scom/Test-PopServers.ps1')) ?? [];
    expect(seconds('TimeoutSeconds') - Number(aside)).toBe(110);
    expect(seconds('IntervalSeconds')).toBeGreaterThan(seconds('TimeoutSeconds') + 60);
    const unixTimes = /<TimeoutSeconds>(\d+)<.*?<\/UnitMonitor>/s.exec(UNIX);
    const [, shell] = /<ShellTimeoutSeconds>(\d\d\d)</.exec(UNIX) ?? [];
    expect(Number(shell)).toBeGreaterThan(Number(unixTimes?.[1]));
  });

  test('name options the command has', () => {
    const names = optionsOf('scom_pop3').map(({ name }) => name);
    const scripts = ['Test-PopServers.ps1', 'Find-PopServers.ps1'].map((name) => inTree(`plugins/scom/${name}`));
    const commands = [
      ...scripts.flatMap((script) => Array.from(script.matchAll(/Arguments = '(.*?)'/g), ([, given]) => given)),
      ...all(readXml(UNIX), 'ShellCommand').map(({ text }) => text),
    ];
    const used = commands.flatMap((command) =>
      Array.from((command ?? '').matchAll(/--([a-z-]+)/g), ([, name]) => name),
    );
    expect(used).toEqual(['targets', 'timeout', 'targets', 'discover', 'format', 'targets', 'timeout']);
    expect(names).toEqual(expect.arrayContaining(used));
  });

  test('UNKNOWN warns, and never lets a monitor stay as green as it was', () => {
    for (const document of [WINDOWS, UNIX]) {
      const monitor = all(readXml(document), 'UnitMonitor')[0] as Tree;
      expect(all(monitor, 'OperationalState').map(({ attributes }) => [attributes.ID, attributes.HealthState])).toEqual(
        expect.arrayContaining([
          ['Good', 'Success'],
          ['Warned', 'Warning'],
          ['Bad', 'Error'],
        ]),
      );
    }
    const filters = all(all(readXml(WINDOWS), 'UnitMonitorType')[0] as Tree, 'ConditionDetection');
    const told = (id: string): readonly string[] =>
      all(filters.find(({ attributes }) => attributes.ID === id) as Tree, 'Value').map(({ text }) => text);
    expect([told('IsGood'), told('IsWarned'), told('IsBad')]).toEqual([['OK'], ['WARNING', 'UNKNOWN'], ['CRITICAL']]);
    // A bag that names no server is for all of them.
    expect(told('IsOfServer')).toEqual(['$Config/Server$', '']);
  });
});

describe('a bag on its way through the pack', () => {
  const pack = readXml(WINDOWS);
  const bagsOf = (verdict: Verdict): readonly Bag[] =>
    JSON.parse(scomJson(verdict, PIPED).stdout).bags.map(
      ({ properties }: { properties: readonly { name: string; value: string }[] }) =>
        Object.fromEntries(properties.map(({ name, value }) => [name, value])),
    );
  const refusal = refuse({ phase: null, reason: 'configuration', message: 'no file', hint: 'look for it' });
  const at = (server: string) => ({ Server: server });
  const slow = made({ latencyMs: 45_000 });
  const slower = made({ latencyMs: 60_001 });

  test.each<[string, Verdict, string | null, string | null]>([
    ['a good test', judge(GOOD, policy()), 'Success', 'Success'],
    ['one that warned', judge(made({ warnings: [{ ...REFUSED, reason: 'altered' }] }), policy()), 'Warning', null],
    ['a failed one', judge(failed(REFUSED), policy()), 'Error', 'Error'],
    [
      'one that could not measure',
      judge(failed({ ...REFUSED, reason: 'dns-unavailable' }), policy()),
      'Warning',
      'Error',
    ],
    ['a run that tested nothing', refusal, 'Warning', null],
  ])('%s comes to its state', (_, verdict, state, byEvent) => {
    const [bag = {}] = bagsOf(verdict);
    expect(stateBy(pack, 'PopConnectivity.Verdict.Monitor', bag, at('ex01.contoso.com'))).toBe(state);
    expect(stateBy(pack, 'PopConnectivity.Event.Monitor', bag, at('ex01.contoso.com'))).toBe(byEvent);
    // It is not another server's.
    const isForAll = bag.Server === '';
    expect(stateBy(pack, 'PopConnectivity.Verdict.Monitor', bag, at('ex02.contoso.com'))).toBe(isForAll ? state : null);
  });

  test.each<[string, string, Verdict, string | null]>([
    ['Latency', 'within its bounds', judge(GOOD, policy()), 'Success'],
    ['Latency', 'at the first bound', judge(made({ latencyMs: 30_000 }), policy()), 'Success'],
    ['Latency', 'beyond the first', judge(slow, policy()), 'Warning'],
    ['Latency', 'beyond the second', judge(slower, policy()), 'Error'],
    ['Latency', 'of a failure, which has none', judge(failed(REFUSED), policy()), null],
    ['Latency', 'of a refusal', refusal, null],
    ['Delivery', 'within its bounds', judge(GOOD, policy()), 'Success'],
    ['Delivery', 'of a logon, which has none', judge(made({ roundTrip: null }), policy()), null],
    ['Certificate', 'with 74 days', judge(GOOD, policy()), 'Success'],
    ['Certificate', 'with 20 days', judge(made({ tls: { ...GOOD_TLS, daysLeft: 20 } }), policy()), 'Warning'],
    ['Certificate', 'with 6 days', judge(made({ tls: { ...GOOD_TLS, daysLeft: 6 } }), policy()), 'Error'],
    ['Certificate', 'that is over', judge(made({ tls: { ...GOOD_TLS, daysLeft: -2 } }), policy()), 'Error'],
  ])('%s %s', (monitor, _, verdict, state) => {
    const [bag = {}] = bagsOf(verdict);
    expect(stateBy(pack, `PopConnectivity.${monitor}.Monitor`, bag, at('ex01.contoso.com'))).toBe(state);
  });

  test('is charted by each phase it reached, and by no other', () => {
    const [bag = {}] = bagsOf(judge(failed(REFUSED), policy()));
    const charted = (counter: string): string | null =>
      collectedBy(pack, `PopConnectivity.Collect.${counter}`, bag, at('ex01.contoso.com'));
    expect([charted('Dns'), charted('Connect'), charted('Login')]).toEqual(['2.4', '12.6', '84']);
    expect([charted('Latency'), charted('Verify'), charted('Send')]).toEqual([null, null, null]);
    expect(collectedBy(pack, 'PopConnectivity.Collect.Dns', bag, at('ex02.contoso.com'))).toBeNull();
  });

  test('becomes an alert with the phase, the reason and the hint', () => {
    const [bag = {}] = bagsOf(judge(failed(REFUSED), policy()));
    const [title, text] = alertBy(pack, 'PopConnectivity.Verdict.Monitor', bag);
    expect(title).toBe('POP3: ex01.contoso.com: login-refused');
    expect(text).toContain(
      `Phase: login\nReason: login-refused\nLook at first: ${REFUSED.hint}\nMet: ${REFUSED.message}\n`,
    );
    expect(text).toContain('Server ex01.contoso.com, address 192.0.2.1, port 110, tls, user probe@contoso.com.');
  });

  test.each([
    ['PopConnectivity.Latency.Monitor', judge(slower, policy()), /The whole test took 60001 ms\./],
    ['PopConnectivity.Certificate.Monitor', judge(GOOD, policy()), /good for 74 days\./],
    [
      'PopConnectivity.Event.Monitor',
      judge(failed(REFUSED), policy()),
      /POPConnectivity 1001: ex01\.contoso\.com: login-refused/,
    ],
  ])('%s says what it saw', (monitor, verdict, told) => {
    const [bag = {}] = bagsOf(verdict);
    expect(alertBy(pack, monitor, bag).join('\n')).toMatch(told);
    expect(alertBy(pack, monitor, bag).join('\n')).not.toContain('$');
  });
});

describe('the checker finds', () => {
  /** What is put in place of what, and what is to be said of it. */
  test.each<[string, string | RegExp, string, RegExp]>([
    ['a tag that is not closed', '</Manifest>', '', /^not well-formed/],
    ['a character XML has no place for', 'POP3 watcher', 'POP3 \u0001', /^not well-formed/],
    ['an undeclared prefix', / xmlns:xsd="[^"]*"/, '', /^not well-formed/],
    ['parts in the wrong order', /(<Identity>.*?<\/Identity>)\s*(<Name>.*?<\/Name>)/s, '$2$1', /Manifest: holds Name/],
    [
      'a part that does not belong there',
      '<StringResources>',
      '<Views /><StringResources>',
      /Presentation: holds Views/,
    ],
    ['text among elements', '<Monitors>', '<Monitors>x', /text among elements/],
    ['another name of the file', '<ID>PopConnectivity</ID>', '<ID>Pop</ID>', /has the ID Pop/],
    ['a version of three numbers', '<Version>1.0.0.0<', '<Version>1.0.0<', /version 1\.0\.0/],
    ['a foreign token', '31bf3856ad364e35', '31bf3856ad364e36', /token/],
    ['an ID with a blank', 'ID="PopConnectivity.Server"', 'ID="PopConnectivity Server"', /ID PopConnectivity Server/],
    ['an ID twice', 'ID="PopConnectivity.Collect.Dns"', 'ID="PopConnectivity.Collect.Tls"', /is there twice/],
    ['an ID outside of the pack', 'ID="PopConnectivity.Collect.Dns"', 'ID="Other.Dns"', /does not begin/],
    ['an alias nobody declared', 'Base="Windows!', 'Base="Win!', /no reference has the alias/],
    ['an alias nobody needs', 'Alias="Health"', 'Alias="Wealth"', /nothing needs Wealth/],
    ['a pack that is not known', '<ID>System.Health.Library<', '<ID>System.Wealth.Library<', /unknown pack/],
    ['a base that is not there', '!Microsoft.Windows.LocalApplication"', '!Microsoft.Windows.LocalApp"', /there is no/],
    ['a module that is not there', '!System.Scheduler"', '!System.Sheduler"', /there is no module/],
    [
      'a module of the wrong kind',
      '<ProbeAction ID="Script" TypeID="Windows!Microsoft.Windows.PowerShellPropertyBagTriggerOnlyProbe"',
      '<ProbeAction ID="Script" TypeID="System!System.Scheduler"',
      /is a DataSource/,
    ],
    ['a misspelt setting of a public module', '<ScriptName>Test', '<SkriptName>Test', /^not well-formed|configuration/],
    [
      'settings in the wrong order',
      /(<ObjectName>.*?<\/ObjectName>)\s*(<CounterName>.*?<\/CounterName>)/s,
      '$2$1',
      /configuration CounterName/,
    ],
    ['a setting that is not handed on', '<TargetFile>$Config/TargetFile$</TargetFile>', '', /configuration/],
    [
      'a $Config that is not declared',
      '$Config/MatchCount$</MatchCount>',
      '$Config/Count$</MatchCount>',
      /\$Config\/Count\$ is not declared/,
    ],
    [
      'a declared setting nobody uses',
      'name="Counter" type',
      'name="Unused" type',
      /\$Config\/Unused\$ is not used|not declared/,
    ],
    ['a $Config outside of a type', '<Counter>dns<', '<Counter>$Config/Counter$<', /stands in no type/],
    ['an override of nothing', 'Selector="$Config/Warning$"', 'Selector="$Config/Warming$"', /\$Config\/Warming\$/],
    [
      'a type of parameter there is none of',
      'ParameterType="double"',
      'ParameterType="float"',
      /ParameterType is float/,
    ],
    ['a node without a member', '<Node ID="Scheduler" />', '<Node ID="Timer" />', /there is no member Timer/],
    [
      'a member without a node',
      /<Node ID="IsMeasured">\s*(<Node ID="IsOfServer">.*?<\/Node>)\s*<\/Node>/s,
      '$1',
      /has no place/,
    ],
    [
      'the wrong output',
      '<OutputType>Performance!System.Performance.Data<',
      '<OutputType>System!System.PropertyBagData<',
      /gives System.Performance.Data/,
    ],
    ['a state nobody detects', 'MonitorTypeStateID="Warned">', 'MonitorTypeStateID="Bad">', /has 0 detections/],
    [
      'a state that is not declared',
      '<RegularDetection MonitorTypeStateID="Good">',
      '<RegularDetection MonitorTypeStateID="Fine">',
      /no state Fine/,
    ],
    [
      'a state of a monitor that its type has not',
      'ID="Succeeded" MonitorTypeStateID="Succeeded"',
      'ID="Succeeded" MonitorTypeStateID="Good"',
      /states Good Failed/,
    ],
    ['two states of one health', 'HealthState="Error"', 'HealthState="Warning"', /same health/],
    ['a health there is none of', 'HealthState="Error"', 'HealthState="Critical"', /HealthState is Critical/],
    [
      'a monitor of no type',
      'TypeID="PopConnectivity.Verdict.MonitorType"',
      'TypeID="PopConnectivity.Test.DataSource"',
      /no monitor type/,
    ],
    [
      'a monitor without a parent',
      'ParentMonitorID="Health!System.Health.AvailabilityState"',
      'ParentMonitorID="Health!System.Health.Availability"',
      /there is no Health!/,
    ],
    [
      'an alert without its message',
      'AlertMessage="PopConnectivity.Verdict.Monitor.AlertMessage"',
      'AlertMessage="PopConnectivity.Verdict"',
      /no message/,
    ],
    ['a place for no parameter', 'Phase: {2}', 'Phase: {12}', /place \{12\}/],
    ['a parameter without a place', 'Phase: {2}', 'Phase', /no place for parameter 3/],
    ['a gap in the parameters', /AlertParameter2>/g, 'AlertParameter11>', /parameter AlertParameter11/],
    ['a word an alert does not know', '<AlertSeverity>MatchMonitorHealth<', '<AlertSeverity>Match<', /says Match/],
    [
      'a name no bag has, in an alert',
      "$Data/Context/Property[@Name='Reason']$",
      "$Data/Context/Property[@Name='Cause']$",
      /no bag has Cause/,
    ],
    ['a name no bag has, in a filter', ">Property[@Name='State']<", ">Property[@Name='Status']<", /no bag has Status/],
    ['a name no bag has, in a setting', '<Property>PhaseDnsMs<', '<Property>DnsMs<', /no bag has DnsMs/],
    [
      'the context of an alert outside of one',
      ">$Data/Property[@Name='EventId']$<",
      ">$Data/Context/Property[@Name='EventId']$<",
      /is not there/,
    ],
    ['one host too many', '$Target/Host/Host/Property', '$Target/Host/Host/Host/Property', /is of null/],
    [
      'a property of the target that it has not',
      'PopConnectivity.Server"]/Server$',
      'PopConnectivity.Server"]/Name$',
      /has no Name/,
    ],
    [
      'a class that is not there, in a place',
      '$MPElement[Name="PopConnectivity.Watcher"]/Node$',
      '$MPElement[Name="PopConnectivity.Watch"]/Node$',
      /there is no PopConnectivity.Watch/,
    ],
    [
      'a property that is not there, in a script',
      "$MPElement[Name='PopConnectivity.Server']/Server$",
      "$MPElement[Name='PopConnectivity.Server']/Host$",
      /has no Host/,
    ],
    [
      'a variable SCOM would take for its own',
      '$printed = $reading.Result',
      '$data = $reading.Result',
      /has a variable \$data/,
    ],
    ['a parameter the script does not take', '<Name>Node</Name>', '<Name>Nod</Name>', /takes Node/],
    ['a discovered property that is not there', 'PropertyID="Node"', 'PropertyID="Nod"', /has no Nod/],
    [
      'a name of nothing',
      '<DisplayString ElementID="PopConnectivity.Server">',
      '<DisplayString ElementID="PopConnectivity.Serv">',
      /there is no PopConnectivity.Serv/,
    ],
    ['a name of no part', 'SubElementID="Succeeded"', 'SubElementID="Success"', /no part Success/],
    [
      'an element without a name',
      /<DisplayString ElementID="PopConnectivity\.Collect\.Dns">.*?<\/DisplayString>/s,
      '',
      /has no name for people/,
    ],
    [
      'a message nobody says',
      '<StringResource ID="PopConnectivity.Event.Monitor.AlertMessage" />',
      '<StringResource ID="PopConnectivity.Event.Message" />',
      /nothing says|no message/,
    ],
    [
      'an article on nothing',
      'KnowledgeArticle ElementID="PopConnectivity.Verdict.Monitor"',
      'KnowledgeArticle ElementID="PopConnectivity.Verdict"',
      /there is no PopConnectivity.Verdict/,
    ],
    ['an article of no namespace', 'maml/2004/10', 'maml/2004/11', /namespace/],
  ])('%s', (_, from, to, told) => {
    const spoilt = WINDOWS.replace(from, to);
    expect(spoilt).not.toBe(WINDOWS);
    expect(windows(spoilt).join('\n')).toMatch(told);
  });

  test('a quote that would end the command of the shell', () => {
    const spoilt = UNIX.replace('<ShellCommand>test -x', "<ShellCommand>test -x 'a'");
    expect(unix(spoilt).join('\n')).toMatch(/single quote/);
  });
});

describe('the PowerShell scripts', () => {
  let parser: Parser;
  beforeAll(async () => {
    await Parser.init();
    const require = createRequire(import.meta.url);
    const grammar = require.resolve('tree-sitter-powershell/tree-sitter-powershell.wasm');
    parser = new Parser();
    parser.setLanguage(await Language.load(grammar));
  });

  test.each(['Test-PopServers.ps1', 'Find-PopServers.ps1'])(
    '%s is PowerShell, in ASCII, and stands in the pack',
    (name) => {
      const script = inTree(`plugins/scom/${name}`);
      expect(parser.parse(script)?.rootNode.hasError).toBe(false);
      // Windows PowerShell reads a file without a mark in the code page of the machine.
      expect(script).toMatch(/^[\n -~]*$/);
      expect(all(readXml(WINDOWS), 'ScriptBody').map(({ text }) => text)).toContain(script);
    },
  );

  test('a script that is not PowerShell is found out', () => {
    expect(parser.parse('foreach ($a in $b) { $c = (1 }')?.rootNode.hasError).toBe(true);
  });

  test('know each type a value of a bag has', () => {
    const script = inTree('plugins/scom/Test-PopServers.ps1');
    const { bags } = JSON.parse(scomJson(judge(GOOD, policy()), PIPED).stdout);
    const types = new Set(bags[0].properties.map(({ type }: { type: string }) => type));
    expect(types).toEqual(new Set(['String', 'Integer', 'Double', 'Boolean']));
    for (const type of ['Integer', 'Double', 'Boolean']) expect(script).toMatch(new RegExp(`'${type}' \\{ return \\[`));
  });

  test('say themselves what every bag has, where the command said nothing', () => {
    const script = inTree('plugins/scom/Test-PopServers.ps1');
    const [, refusal = ''] = /\[ordered\]@\{\n(.*?)\n {4}\}/s.exec(script) ?? [];
    const names = Array.from(refusal.matchAll(/^ {8}(\w+) = /gm), ([, name]) => name);
    const { bags } = JSON.parse(
      scomJson(
        { state: 'unknown', text: '', parts: [{ state: 'unknown', text: 'usage - see --help', parts: [] }] },
        PIPED,
      ).stdout,
    );
    expect(names).toEqual(bags[0].properties.map(({ name }: { name: string }) => name));
  });
});

const titlesOf = (page: string): readonly string[] =>
  Array.from(page.matchAll(/^## (.*)$/gm), ([, title]) => title as string);

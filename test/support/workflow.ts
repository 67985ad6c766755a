import { all, child, type Tree } from './xml-tree.ts';

/** A property bag as a filter sees it: everything is text until it is compared. */
export type Bag = Readonly<Record<string, string | number | boolean>>;

/**
 * The state a monitor of a pack comes to by a bag, by the expressions of its type; null where no filter lets it
 * through, and the state stays as it was.
 *
 * @param places what stands for the places in its configuration ($Target/…$)
 */
export function stateBy(
  pack: Tree,
  monitor: string,
  bag: Bag,
  places: Readonly<Record<string, string>>,
): string | null {
  const unit = all(pack, 'UnitMonitor').find(({ attributes }) => attributes.ID === monitor) as Tree;
  const type = all(pack, 'UnitMonitorType').find(({ attributes }) => attributes.ID === unit.attributes.TypeID) as Tree;
  const settings = settingsOf(child(unit, 'Configuration') as Tree, places);
  const states = all(type, 'RegularDetection')
    .filter((detection) => passes(type, all(detection, 'Node'), settings, bag))
    .map(({ attributes }) => attributes.MonitorTypeStateID ?? '');
  if (states.length > 1) throw new Error(`${monitor} is ${states.join(' and ')} at once`);
  const mapped = all(unit, 'OperationalState').find(({ attributes }) => attributes.MonitorTypeStateID === states[0]);
  return mapped?.attributes.HealthState ?? null;
}

/** The value a performance rule collects of a bag; null where its filters let nothing through. */
export function collectedBy(
  pack: Tree,
  rule: string,
  bag: Bag,
  places: Readonly<Record<string, string>>,
): string | null {
  const each = all(pack, 'Rule').find(({ attributes }) => attributes.ID === rule) as Tree;
  const source = all(each, 'DataSource')[0] as Tree;
  const type = all(pack, 'DataSourceModuleType').find(
    ({ attributes }) => attributes.ID === source.attributes.TypeID,
  ) as Tree;
  const settings = settingsOf(source, places);
  if (!passes(type, all(all(type, 'Composition')[0] as Tree, 'Node'), settings, bag)) return null;
  const value = filled(all(type, 'Value').at(-1)?.text ?? '', settings);
  return value.replace(/\$Data\/Property\[@Name='(\w+)'\]\$/, (_, name) => String(bag[name]));
}

/** The title and the text of the alert that a monitor raises by a bag. */
export function alertBy(pack: Tree, monitor: string, bag: Bag): readonly [string, string] {
  const unit = all(pack, 'UnitMonitor').find(({ attributes }) => attributes.ID === monitor) as Tree;
  const parameters = all(unit, 'AlertParameters')[0]?.children.map(({ text }) =>
    text.replace(/^\$Data\/Context\/Property\[@Name='(\w+)'\]\$$/, (whole, name) => String(bag[name] ?? whole)),
  );
  const message = all(unit, 'AlertSettings')[0]?.attributes.AlertMessage;
  const string = all(pack, 'DisplayString').find(({ attributes }) => attributes.ElementID === message) as Tree;
  const told = (name: string): string =>
    (child(string, name)?.text ?? '').replace(/\{(\d+)\}/g, (_, place) => parameters?.[Number(place)] ?? '');
  return [told('Name'), told('Description')];
}

type Settings = Readonly<Record<string, string>>;

const settingsOf = (from: Tree, places: Readonly<Record<string, string>>): Settings =>
  Object.fromEntries(from.children.map(({ name, text }) => [name, places[name] ?? text]));

const filled = (text: string, settings: Settings): string =>
  text.replace(/\$Config\/(\w+)\$/g, (_, name) => settings[name] ?? '');

/** Whether a bag comes through each filter of a chain. */
const passes = (type: Tree, chain: readonly Tree[], settings: Settings, bag: Bag): boolean =>
  // The innermost node comes first.
  chain
    .slice()
    .reverse()
    .map(({ attributes }) => all(type, 'ConditionDetection').find((each) => each.attributes.ID === attributes.ID))
    .filter((filter) => filter?.attributes.TypeID === 'System!System.ExpressionFilter')
    .every((filter) => holds(child(filter as Tree, 'Expression')?.children[0] as Tree, settings, bag));

function holds(expression: Tree, settings: Settings, bag: Bag): boolean {
  const inner = (): readonly boolean[] =>
    expression.children.map(({ children }) => holds(children[0] as Tree, settings, bag));
  if (expression.name === 'And') return inner().every((each) => each);
  if (expression.name === 'Or') return inner().some((each) => each);
  const [left, right] = all(expression, 'ValueExpression').map(({ children }) => children[0] as Tree);
  const name = /^Property\[@Name='(\w+)'\]$/.exec(filled(left?.text ?? '', settings))?.[1] ?? '';
  const value = bag[name];
  // What SCOM makes of a value that is not there is not known: no filter may come to depend on it.
  if (expression.name === 'RegExExpression') {
    return value !== undefined && new RegExp(child(expression, 'Pattern')?.text ?? '').test(String(value));
  }
  if (value === undefined) throw new Error(`a filter compares ${name}, which is not in the bag`);
  const bound = filled(right?.text ?? '', settings);
  const type = left?.attributes.Type;
  if (type !== right?.attributes.Type) throw new Error(`compares a ${type} with a ${right?.attributes.Type}`);
  const [a, b] = type === 'String' ? [String(value), bound] : [Number(value), Number(bound)];
  const operator = child(expression, 'Operator')?.text ?? '';
  const compared = COMPARED[operator];
  if (compared === undefined) throw new Error(`operator ${operator}`);
  return compared(a, b);
}

const COMPARED: Readonly<Record<string, (a: string | number, b: string | number) => boolean>> = {
  Equal: (a, b) => a === b,
  NotEqual: (a, b) => a !== b,
  Greater: (a, b) => a > b,
  GreaterEqual: (a, b) => a >= b,
  Less: (a, b) => a < b,
  LessEqual: (a, b) => a <= b,
};

/** An element of an XML document, as far as a reader of SOAP needs it. */
export interface Element {
  /** Without its prefix: which one a server takes for a namespace is its own affair. */
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly Element[];
  /** Its own characters, those of its children left out. */
  readonly text: string;
}

/**
 * The root of an XML 1.0 document, or null where it is not well-formed, or more than SOAP may hold.
 *
 * Not a library: SOAP 1.1 §3 forbids document type declarations, and with them goes all that makes XML dangerous to
 * read (entities, external ones too) and a parser of it large. What is left is tags, attributes, five entities and
 * numbers. Anything else is no answer, and a message counts as taken only where an answer says so; a slip here cannot
 * make it count.
 */
export function parseXml(xml: string): Element | null {
  const outside: Open = { qualified: '', name: '', attributes: new Map(), children: [], text: '' };
  const open = [outside];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < xml.length) {
    const token = TOKEN.exec(xml)?.groups;
    if (token === undefined) return null;
    const current = open[open.length - 1] as Open;
    const { cdata, chars, start, attributes = '', empty, end } = token;
    if (cdata !== undefined) current.text += cdata;
    if (chars !== undefined) {
      const plain = unescaped(chars);
      if (plain === null) return null;
      current.text += plain;
    }
    if (start !== undefined) {
      const read = attributesIn(attributes);
      if (read === null) return null;
      const element = { qualified: start, name: localName(start), attributes: read, children: [], text: '' };
      current.children.push(element);
      if (empty === '') open.push(element);
    }
    if (end !== undefined && (current === outside || open.pop()?.qualified !== end)) return null;
  }
  const [root, ...more] = outside.children;
  const isWhole = open.length === 1 && more.length === 0 && outside.text.trim() === '';
  return root !== undefined && isWhole ? root : null;
}

/** The element at the end of a path of names that begins below another, the first of each; null where there is none. */
export function elementAt(from: Element | null, ...path: readonly string[]): Element | null {
  return path.reduce<Element | null>(
    (element, name) => element?.children.find((child) => child.name === name) ?? null,
    from,
  );
}

/** An element while it is read. */
interface Open extends Element {
  readonly qualified: string;
  readonly children: Element[];
  text: string;
}

const NAME = '[A-Za-z_][\\w.-]*(?::[A-Za-z_][\\w.-]*)?';
const ATTRIBUTE = `\\s+${NAME}\\s*=\\s*(?:"[^"<]*"|'[^'<]*')`;

/** What may come next. No alternative begins as another does, so none is tried twice at a place. */
const TOKEN = new RegExp(
  [
    '<\\?[^]*?\\?>',
    '<!--[^]*?-->',
    '<!\\[CDATA\\[(?<cdata>[^]*?)\\]\\]>',
    `</(?<end>${NAME})\\s*>`,
    `<(?<start>${NAME})(?<attributes>(?:${ATTRIBUTE})*)\\s*(?<empty>/?)>`,
    '(?<chars>[^<]+)',
  ].join('|'),
  'y',
);

const localName = (qualified: string): string => qualified.slice(qualified.indexOf(':') + 1);

/** The attributes of a tag that is in order; null where one stands twice, or its value cannot be read. */
function attributesIn(written: string): ReadonlyMap<string, string> | null {
  const attributes = new Map<string, string>();
  for (const [, name = '', quoted, apostrophed] of written.matchAll(/([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    const value = unescaped(quoted ?? apostrophed ?? '');
    if (value === null || attributes.has(name)) return null;
    attributes.set(name, value);
  }
  return attributes;
}

/** XML 1.0 §4.6: what needs no declaration. */
const ENTITIES: ReadonlyMap<string, string> = new Map(
  Object.entries({ lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }),
);

/** Characters with the references in them resolved (XML 1.0 §4.1), or null where one stands for nothing. */
function unescaped(written: string): string | null {
  let isSound = true;
  const plain = written.replace(/&(?:([a-z]+)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));|&/g, (_, name, decimal, hex) => {
    const character =
      name === undefined ? characterOf(Number(hex === undefined ? decimal : `0x${hex}`)) : ENTITIES.get(name);
    isSound &&= character !== undefined;
    return character ?? '';
  });
  return isSound ? plain : null;
}

/** XML 1.0 §2.2: the characters there are. NaN is none. */
const characterOf = (point: number): string | undefined =>
  [0x9, 0xa, 0xd].includes(point) ||
  (point >= 0x20 && point < 0xd800) ||
  (point > 0xdfff && point < 0xfffe) ||
  (point > 0xffff && point <= 0x10ffff)
    ? String.fromCodePoint(point)
    : undefined;

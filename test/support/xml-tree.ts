import { SaxesParser } from 'saxes';

/** An element of a document that is well-formed, with its namespaces right. */
export interface Tree {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Tree[];
  /** The text directly in it. */
  readonly text: string;
  readonly parent: Tree | null;
  readonly line: number;
}

/**
 * Reads a document strictly (XML 1.0, namespaces).
 *
 * @throws where it is not well-formed
 */
export function readXml(document: string): Tree {
  type Growing = { -readonly [K in keyof Tree]: Tree[K] } & { children: Tree[] };
  const parser = new SaxesParser({ xmlns: true, fileName: 'document' });
  let root: Growing | null = null;
  let open: Growing | null = null;
  parser.on('error', (problem) => {
    throw problem;
  });
  parser.on('opentag', ({ name, attributes }) => {
    const values = Object.entries(attributes).map(([key, { value }]) => [key, value]);
    const each: Growing = {
      ...{ name, attributes: Object.fromEntries(values), children: [], text: '', parent: open, line: parser.line },
    };
    if (open === null) root = each;
    else open.children.push(each);
    open = each;
  });
  const said = (text: string): void => {
    if (open !== null) open.text += text;
  };
  parser.on('text', said);
  parser.on('cdata', said);
  parser.on('closetag', () => {
    open = (open as Growing).parent as Growing | null;
  });
  parser.write(document).close();
  if (root === null) throw new Error('no document');
  return root;
}

/** Every element of that name, in the order of the document. */
export function all(tree: Tree, name: string): readonly Tree[] {
  const below = tree.children.flatMap((child) => all(child, name));
  return tree.name === name ? [tree, ...below] : below;
}

export const child = (tree: Tree, name: string): Tree | undefined => tree.children.find((each) => each.name === name);

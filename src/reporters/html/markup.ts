import { printable } from '../../probe/printable.ts';

/** A piece of HTML: the only thing html`…` takes as it is. */
export class Markup {
  readonly source: string;

  /** @param source markup of our own; nothing from outside gets here unescaped */
  constructor(source: string) {
    this.source = source;
  }
}

/** What may stand in a hole: text, which is escaped; markup, which is not; nothing. */
type Piece = string | number | Markup | readonly Markup[] | null;

/**
 * The one door to a page: html`<td title="${error}">${error}</td>`. Whatever is not markup is text: it is escaped for
 * text and for quoted attributes alike (an attribute is always quoted), and what could drive, reorder or hide what is
 * shown becomes visible escapes. It belongs in neither a style, a script, a comment nor a URL.
 */
export function html(words: TemplateStringsArray, ...given: readonly Piece[]): Markup {
  let source = words[0] as string;
  for (const [at, piece] of given.entries()) source += sourceOf(piece) + (words[at + 1] as string);
  return new Markup(source);
}

function sourceOf(piece: Piece): string {
  if (piece === null) return '';
  if (piece instanceof Markup) return piece.source;
  return typeof piece === 'object' ? piece.map(({ source }) => source).join('') : escaped(String(piece));
}

const ORDINARY = /^[\w .,:;/@()+=*-]*$/;

const escaped = (text: string): string =>
  ORDINARY.test(text)
    ? text
    : printable(text, Number.POSITIVE_INFINITY).replace(/[&<>"'`]/g, (character) => ENTITY[character] as string);

const ENTITY: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

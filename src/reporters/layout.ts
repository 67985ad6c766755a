/** Text in columns and lines for people: pure, in the widths a terminal gives to characters. */

/** How a value is to be coloured; the identity where it is not. */
export type Paint = (padded: string, value: string) => string;

export interface Column {
  readonly name: string;
  readonly isNumber?: boolean;
  /** Whether it may be broken into lines at its spaces before another has to. */
  readonly isWordy?: boolean;
  readonly paint?: Paint;
}

/** The least a last column of many words is still read in. */
const LEAST_WORDS = 20;

/**
 * A table as PowerShell draws it: a head, a rule under it, columns one space apart. The last column takes what room
 * there is and breaks into lines in it; nothing is ever cut. Where there is too little room each row becomes a list.
 *
 * @param width columns of the terminal; null for none, which breaks nothing
 */
export function tabulate(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): readonly string[] {
  const widths = widthsFor(columns, rows, width);
  if (widths === null) {
    const names = columns.map(({ name }) => name);
    const paints = columns.map(({ paint }) => paint);
    return separated(rows.map((row) => list(names, row, width, paints)));
  }
  const head = columns.map(({ name }) => name);
  const rule = head.map((name) => '-'.repeat(name.length));
  return [
    ...[head, rule].flatMap((row) => drawn(columns, row, widths, false)),
    ...rows.flatMap((row) => drawn(columns, row, widths, true)),
  ];
}

/** How wide each column is; null where they do not fit. */
function widthsFor(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): readonly number[] | null {
  const natural = columns.map(({ name }, at) =>
    Math.max(name.length, ...rows.map((row) => columnsOf(row[at] as string))),
  );
  if (width === null) return natural;
  const broken = columns.map(({ isWordy, name }, at) =>
    isWordy === true
      ? Math.max(name.length, ...rows.flatMap((row) => (row[at] as string).split(' ').map(columnsOf)))
      : (natural[at] as number),
  );
  const last = natural[natural.length - 1] as number;
  for (const fixed of [natural, broken].map((each) => each.slice(0, -1))) {
    const room = width - fixed.reduce((sum, each) => sum + each + 1, 0);
    if (room >= Math.min(last, LEAST_WORDS)) return [...fixed, room];
  }
  return null;
}

/** One row, in as many lines as its longest cell needs. */
function drawn(
  columns: readonly Column[],
  row: readonly string[],
  widths: readonly number[],
  isPainted: boolean,
): readonly string[] {
  const cells = row.map((cell, at) => wrap(cell, widths[at] as number));
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map(({ isNumber, paint }, at) => {
        const text = cells[at]?.[line] ?? '';
        const padding = ' '.repeat((widths[at] as number) - columnsOf(text));
        if (isNumber === true) return padding + text;
        return isPainted && paint !== undefined ? paint(text, row[at] as string) + padding : text + padding;
      })
      .join(' ')
      .trimEnd(),
  );
}

/** `Name : value`, the colons under each other; what is too long for the width goes on under the value. */
export function list(
  names: readonly string[],
  values: readonly string[],
  width: number | null,
  paints: readonly (Paint | undefined)[] = [],
): readonly string[] {
  const longest = Math.max(...names.map((name) => name.length));
  const isRoomy = width === null || width >= longest + 3 + LEAST_WORDS;
  return names.flatMap((name, at) => {
    const value = values[at] as string;
    const label = isRoomy ? `${name.padEnd(longest)} :` : `${name}:`;
    const indent = isRoomy ? longest + 3 : 2;
    const painted = (text: string): string => paints[at]?.(text, value) ?? text;
    if (width === null) return [`${label} ${painted(value)}`.trimEnd()];
    const [first = '', ...rest] = wrap(value, width - indent);
    // A value that does not fit beside its name goes below it.
    const isBeside = label.length + 1 + columnsOf(first) <= width;
    const beside = isBeside
      ? [`${label} ${painted(first)}`.trimEnd()]
      : [...wrap(label, width), indented(painted(first), indent)];
    return [...beside, ...rest.map((line) => indented(painted(line), indent))];
  });
}

const indented = (text: string, by: number): string => ' '.repeat(by) + text;

/** A line in as many as it takes, all but the first indented. */
export function paragraph(text: string, width: number | null): readonly string[] {
  if (width === null) return [text];
  return wrap(text, width, width - 2).map((line, at) => (at === 0 ? line : indented(line, 2)));
}

/** Blocks of lines with an empty one between them; empty blocks are none. */
export const separated = (blocks: readonly (readonly string[])[]): readonly string[] =>
  blocks.filter(({ length }) => length > 0).flatMap((block, at) => (at === 0 ? block : ['', ...block]));

/**
 * Breaks a text at its spaces into lines of at most that many columns; a word that is longer is broken itself.
 *
 * @param later what all lines but the first may have, where that is less
 */
export function wrap(text: string, width: number, later = width): readonly string[] {
  if (columnsOf(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').filter((each) => each !== '')) {
    for (const [at, piece] of pieces(word, later).entries()) {
      const longer = line === '' ? piece : `${line} ${piece}`;
      if (at === 0 && columnsOf(longer) <= (lines.length === 0 ? width : later)) line = longer;
      else {
        if (line !== '') lines.push(line);
        line = piece;
      }
    }
  }
  return [...lines, line];
}

/** A word in pieces of at most that many columns: as wide as they can be, marks with the letter they stand on. */
function pieces(word: string, width: number): readonly string[] {
  if (columnsOf(word) <= width) return [word];
  const found: string[] = [];
  let piece = '';
  for (const letter of word.match(/\P{M}\p{M}*|\p{M}+/gu) ?? []) {
    if (piece !== '' && columnsOf(piece) + columnsOf(letter) > width) {
      found.push(piece);
      piece = '';
    }
    piece += letter;
  }
  return [...found, piece];
}

/** How many columns of a terminal a text takes: none for marks, two for East Asian letters and emoji (UAX #11). */
export function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += UNSEEN.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return columns;
}

/** The mark that makes a sign an emoji makes it wide. */
const UNSEEN = /^(?!\ufe0f)[\p{Mn}\p{Me}]$/u;
const WIDE =
  /^(?![\uff61-\uffdc])[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\p{Script=Tangut}\p{Script=Nushu}\p{Script=Khitan_Small_Script}\u2329\u232a\u2ff0-\u303e\u3099-\u30ff\u3190-\u31ef\u3200-\u4dff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{1aff0}-\u{1b2ff}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}]$/u;

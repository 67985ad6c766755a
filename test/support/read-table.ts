import { columnsOf } from '../../src/reporters/layout.ts';

/**
 * Reads the rows of a piped table back by the places of its names, and by nothing else of ours: a column begins where
 * its name does and ends before the next. Letters of two columns count as such.
 */
export function readTable(output: string): readonly Readonly<Record<string, string>>[] {
  const [head = '', , ...lines] = output.split('\n');
  const names = head.split(/ +/);
  const starts = names.map((name) => head.indexOf(name));
  const rows = lines.slice(0, lines.indexOf(''));
  return rows.map((row) =>
    Object.fromEntries(
      names.map((name, at) => [name, between(row, starts[at] as number, starts[at + 1] ?? 1e9).trim()]),
    ),
  );
}

function between(row: string, from: number, to: number): string {
  let at = 0;
  let found = '';
  for (const character of row) {
    if (at >= from && at < to) found += character;
    at += columnsOf(character);
  }
  return found;
}

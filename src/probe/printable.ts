/**
 * Foreign text made fit for a line of output: control characters, which could forge lines or drive a terminal, and
 * characters that reorder or hide text become escapes; what is too long ends in an ellipsis.
 *
 * @param limit characters at the most
 */
export function printable(foreign: string, limit: number): string {
  let shown = '';
  let length = 0;
  for (const character of foreign) {
    const next = isSafe(character.codePointAt(0) as number) ? character : escaped(character.codePointAt(0) as number);
    if (length + next.length > limit - 1) return `${shown}…`;
    shown += next;
    length += next.length;
  }
  return shown;
}

const UNSAFE: readonly (readonly [number, number])[] = [
  [0x00, 0x1f], // C0
  [0x7f, 0x9f], // DEL and C1
  [0xad, 0xad], // soft hyphen
  [0x200b, 0x200f], // zero width, marks of direction
  [0x2028, 0x202e], // line and paragraph separators, overrides of direction
  [0x2060, 0x206f],
  [0xd800, 0xdfff], // half a character
  [0xfeff, 0xfeff],
  [0xfff0, 0xfffb],
];

const isSafe = (point: number): boolean =>
  (point >= 0x20 && point < 0x7f) || !UNSAFE.some(([first, last]) => point >= first && point <= last);

const escaped = (point: number): string =>
  point < 0x100 ? `\\x${point.toString(16).padStart(2, '0')}` : `\\u{${point.toString(16)}}`;

/**
 * The width of a text on a terminal, for the help text alone: all of it is ASCII, where a character is one column.
 *
 * @param {string} text
 */
export default function stringWidth(text) {
  return text.length;
}

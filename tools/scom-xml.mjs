/**
 * XML as a tree of elements, written out with an indent.
 *
 * @typedef {{ readonly name: string, readonly attributes: Readonly<Record<string, string>>, readonly content: readonly Content[] }} Element
 * @typedef {Element | string} Content
 */

/**
 * An element. What is null among its content is left out.
 *
 * @param {string} name
 * @param {Readonly<Record<string, string>>} attributes
 * @param {...(Content | null)} content
 * @returns {Element}
 */
export function element(name, attributes, ...content) {
  return { name, attributes, content: content.filter((each) => each !== null) };
}

/**
 * An element without attributes.
 *
 * @param {string} name
 * @param {...(Content | null)} content
 */
export function plain(name, ...content) {
  return element(name, {}, ...content);
}

/**
 * A document.
 *
 * @param {Element} root
 * @param {string} comment
 */
export function written(root, comment) {
  return `<?xml version="1.0" encoding="utf-8"?>\n<!--\n${comment}\n-->\n${lines(root, '').join('\n')}\n`;
}

/**
 * @param {Element} each
 * @param {string} indent
 * @returns {string[]}
 */
function lines({ name, attributes, content }, indent) {
  const pairs = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value).replace(/"/g, '&quot;')}"`);
  const head = `${name}${pairs.join('')}`;
  if (content.length === 0) return [`${indent}<${head} />`];
  const texts = content.filter((each) => typeof each === 'string');
  // Text is a value: nothing may be added to it.
  if (texts.length > 0) return [`${indent}<${head}>${texts.map(escaped).join('')}</${name}>`];
  const inner = /** @type {readonly Element[]} */ (content).flatMap((each) => lines(each, `${indent}  `));
  return [`${indent}<${head}>`, ...inner, `${indent}</${name}>`];
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

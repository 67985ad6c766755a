/**
 * The product knowledge of the management pack: docs/reasons.md, as the console shows it.
 */
import { element, plain } from './scom-xml.mjs';

/** @typedef {import('./scom-xml.mjs').Element} Element */

const MAML = 'http://schemas.microsoft.com/maml/2004/10';

/**
 * A section of an article.
 *
 * @param {string} title
 * @param {...Element} content
 */
export function section(title, ...content) {
  return element('section', { xmlns: MAML }, plain('title', title), ...content);
}

/** @param {string} text */
export function para(text) {
  return plain('para', text);
}

/**
 * The sections on each reason, in the order of the page.
 *
 * @param {string} page docs/reasons.md
 */
export function sectionsOf(page) {
  return page
    .split(/^## /m)
    .slice(1)
    .map((each) => {
      const [title = '', ...rest] = each.split('\n');
      return section(title.trim(), ...blocksOf(rest.join('\n')));
    });
}

/**
 * Paragraphs and lists of Markdown, which is all that the page has.
 *
 * @param {string} text
 * @returns {Element[]}
 */
function blocksOf(text) {
  return text
    .split(/\n{2,}/)
    .map((block) => block.trim())
    .filter((block) => block !== '')
    .map((block) => {
      if (!block.startsWith('* ')) return para(bare(block));
      const items = block.split(/^\* /m).filter((item) => item !== '');
      return plain('list', ...items.map((item) => plain('listItem', para(bare(item)))));
    });
}

/**
 * Text without its marks, on one line.
 *
 * @param {string} markdown
 */
function bare(markdown) {
  return markdown
    .replace(/\s+/g, ' ')
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .replace(/`/g, '')
    .replace(/(^|\W)\*([^*]+)\*(?=\W|$)/g, '$1$2')
    .trim();
}

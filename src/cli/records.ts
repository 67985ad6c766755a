import { parse as parseCsv } from 'csv-parse/sync';
import { parse as parseYaml } from 'yaml';

/**
 * What reads a list of targets. It stands alone, for it is kept compressed in the command and unpacked only where there
 * is such a list (docs/decisions/0002): nothing of ours may be imported here.
 *
 * Both throw an Error with the place of what they cannot read.
 */
export default {
  /**
   * YAML 1.2, and JSON, which is a part of it. Every value is the text that stands there: a password of digits is no
   * number. An alias may stand for little more than itself.
   */
  yaml: (text: string): unknown => parseYaml(text, { schema: 'failsafe', merge: true, maxAliasCount: 100 }),
  /** RFC 4180, and with `;` for a comma, as spreadsheets of many countries write it. */
  csv: (text: string, delimiter: string): readonly (readonly string[])[] =>
    parseCsv(text, { delimiter, skip_empty_lines: true, trim: true, relax_column_count: false }),
} as const;

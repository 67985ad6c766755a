/**
 * What a user set, by the long names of the options, whatever border it came through: command line, file, exporter
 * module. Texts are unparsed; a flag is true; a counted flag is a number; a repeatable option is a list.
 */
export interface Settings {
  readonly [option: string]: string | true | number | readonly string[] | undefined;
}

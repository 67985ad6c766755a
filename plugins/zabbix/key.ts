/**
 * The arguments that the key of an item gives. A key has a place for each of them, and the macro in one may be empty:
 * `--option=` is then no argument. Where the server has no name of its own it goes by the address of the Zabbix host.
 */
export function fromKey(argv: readonly string[]): readonly string[] {
  const given = argv.filter((argument) => !/^--[a-z][a-z0-9-]*=$/.test(argument));
  if (given.some((argument) => NAMES_A_SERVER.test(argument))) return given;
  return given.map((argument) => argument.replace(/^--address=/, '--client-access-server='));
}

const NAMES_A_SERVER = /^(?:-H|--(?:client-access-server|targets)(?:=|$))/;

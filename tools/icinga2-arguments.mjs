/**
 * What check_pop3's options are to Icinga 2: one table of arguments, made from the option table, for the CheckCommand and
 * for the Director.
 */
import { load } from './load.mjs';

/**
 * An argument of the CheckCommand.
 *
 * @typedef {object} Argument
 * @property {string} option the option's long name, without dashes
 * @property {string} custom the custom variable, `pop3_port`
 * @property {'text' | 'list' | 'optional' | 'flag' | 'count'} kind as the option table has it
 * @property {string} group
 * @property {string} description
 * @property {number} [order]
 * @property {string} [onlyIf] Icinga's statements whose value has to be true besides
 */

/**
 * A secret that has a custom variable of its own and goes to the plugin by its environment.
 *
 * @typedef {object} Secret
 * @property {string} option the option that names the environment variable, `password-env`
 * @property {string} custom `pop3_password`
 * @property {string} variable `POP3_PASSWORD`
 */

/** @typedef {import('../src/cli/options.ts').Option} Option */

/** Custom variables that are not called as their options are: an administrator of Icinga knows these names. */
const NAMES = /** @type {Readonly<Record<string, string>>} */ ({
  'client-access-server': 'server',
  'port-client-access-server': 'port',
  'mailbox-credential': 'user',
});

/** Options no service has a use for, and why. */
export const LEFT_OUT = /** @type {Readonly<Record<string, string>>} */ ({
  help: 'is for people',
  version: 'is for people',
  explain: 'is for people: it tells what a reason means',
  'what-if': 'tests nothing',
  confirm: 'asks at a terminal, and there is none',
  'password-stdin': 'reads what Icinga does not write',
  password: 'would stand in the command line: pop3_password goes by the environment',
  'oauth-client-secret': 'the same: pop3_oauth_client_secret',
  'oauth-refresh-token': 'the same: pop3_oauth_refresh_token',
  'oauth-token': 'the same: pop3_oauth_token',
  'deliver-password': 'the same: pop3_deliver_password',
  'deliver-token': 'the same: pop3_deliver_token',
  'directory-password': 'the same: pop3_directory_password',
});

/** What comes first in the command line that Icinga Web shows. */
const ORDER = /** @type {Readonly<Record<string, number>>} */ ({ 'client-access-server': -2, address: -1 });

/** Where a file, DNS or a directory says whom to test. */
const SAID_ELSEWHERE = ['targets', 'discover_srv', 'domain_controller', 'directory_domain'];
const IS_HERE = SAID_ELSEWHERE.map((name) => `!m("$pop3_${name}$")`).join('&&');

/**
 * The host's name and address are there for one server: not where something or an array names several. Dense, for the
 * Director has room for 255 characters.
 */
const ONLY_IF = /** @type {Readonly<Record<string, string>>} */ ({
  'client-access-server': `var m=macro;return ${IS_HERE}`,
  address:
    `var m=macro;var s=m("$pop3_server$");return bool(m("$pop3_address$"))&&${IS_HERE}&&!m("$pop3_all_addresses$")` +
    '&&typeof(s)==String&&!s.contains(",")',
});

/**
 * Every option of check_pop3 that a service may set.
 *
 * @param {readonly Option[]} options
 * @returns {readonly Argument[]}
 * @throws Error where a secret would get into the command line, or a name is there twice
 */
export function argumentsOf(options) {
  for (const name of Object.keys(LEFT_OUT)) {
    if (!options.some((option) => option.name === name)) throw new Error(`there is no --${name} to be left out`);
  }
  const kept = options.filter(({ name }) => LEFT_OUT[name] === undefined);
  const open = kept.find(({ secret }) => secret === true);
  if (open !== undefined) throw new Error(`--${open.name} would show a secret: LEFT_OUT does not have it`);
  const all = kept.map(
    ({ name, kind, group, help }) =>
      /** @type {Argument} */ ({
        ...{ option: name, custom: customOf(name), kind, group, description: help },
        ...(ORDER[name] === undefined ? {} : { order: ORDER[name] }),
        ...(ONLY_IF[name] === undefined ? {} : { onlyIf: ONLY_IF[name] }),
      }),
  );
  const customs = [...all, ...secretsOf(options)].map(({ custom }) => custom);
  const twice = customs.find((custom, index) => customs.indexOf(custom) !== index);
  if (twice !== undefined) throw new Error(`${twice} would be two options`);
  return all;
}

/**
 * The secrets, one for each option that takes the name of an environment variable.
 *
 * @param {readonly Option[]} options
 * @returns {readonly Secret[]}
 */
export function secretsOf(options) {
  return options
    .map(({ name }) => /^(.+)-env$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .map((name) => ({ option: `${name}-env`, custom: customOf(name), variable: customOf(name).toUpperCase() }));
}

/** @param {string} option */
function customOf(option) {
  return `pop3_${(NAMES[option] ?? option).replaceAll('-', '_')}`;
}

/**
 * The option table, which is TypeScript.
 *
 * @returns {Promise<readonly Option[]>}
 */
export async function optionsOfCheckPop3() {
  const { optionsOf } = await load("export { optionsOf } from './src/cli/options.ts';");
  return optionsOf('check_pop3');
}

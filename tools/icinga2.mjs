/**
 * Writes what an administrator of Icinga 2 imports: the CheckCommand and the Director's basket, from the option table.
 *
 *   node tools/icinga2.mjs
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { argumentsOf, optionsOfCheckPop3, secretsOf } from './icinga2-arguments.mjs';

/** @typedef {import('./icinga2-arguments.mjs').Argument} Argument */
/** @typedef {import('./icinga2-arguments.mjs').Secret} Secret */
/** @typedef {import('../src/cli/options.ts').Option} Option */

/** Where it belongs, and what belongs there. */
export const FILES = /** @type {Readonly<Record<string, (options: readonly Option[]) => string>>} */ ({
  'plugins/icinga2/check_pop3.conf': checkCommand,
  'plugins/icinga2/director-basket.json': basket,
});

/** More than the plugin's own 50 s and the delivery's 8: it ends by itself, and tells more than Icinga, which kills it. */
const TIMEOUT_S = 120;

/** How many times -v may stand, and what the custom variable is then. */
const VERBOSITY = [
  'var level = macro("$pop3_verbose$")',
  'if (level == 3) { return "-vvv" }',
  'if (level == 2) { return "-vv" }',
  'return "-v"',
];

/** @param {readonly Option[]} options */
function checkCommand(options) {
  const secrets = secretsOf(options);
  return `/*
 * CheckCommand "pop3": check_pop3 with each of its options as a custom variable.
 *
 * Made by tools/icinga2.mjs. Leave this file as it is, so that you can replace it by a newer one; what is yours goes
 * into services and templates (services.conf).
 */

object CheckCommand "pop3" {
  import "ipv4-or-ipv6"

  command = [ PluginContribDir + "/check_pop3" ]

  /*
   * The plugin ends by itself, with a reason: after 50 s (pop3_timeout), and 8 s for a delivery
   * (pop3_deliver_timeout). Icinga would kill it and could say no more than that. Where you give the plugin more time
   * than 100 s, give the service a check_timeout above that.
   */
  timeout = 2m

  arguments = {
${[...argumentsOf(options).map(argument), ...secrets.map(secretArgument)].join('')}  }

  /* Secrets: what stands in arguments, everyone on the machine can see, and everyone who may see the check in Icinga. */
  env = {
${secrets.map(({ variable, custom }) => `    ${variable} = ${quoted(`$${custom}$`)}\n`).join('')}  }

  /* Certificates are for names, so the name is verified, and the address is where the connection goes. */
  vars.pop3_server = "$host.name$"
  vars.pop3_address = "$check_address$"
  vars.check_ipv4 = "$pop3_ipv4$"
  vars.check_ipv6 = "$pop3_ipv6$"

  /* Where runs leave word for each other: unfinished round trips, tokens, results that could not be delivered. */
  vars.pop3_state_dir = DataDir + "/pop-connectivity"
}
`;
}

/** @param {Argument} given */
function argument({ option, custom, kind, description, order, onlyIf }) {
  const value = quoted(`$${custom}$`);
  const settings = {
    text: [`value = ${value}`],
    list: [`value = ${value}`, 'repeat_key = true'],
    optional: ['skip_key = true', `value = ${quoted(`--${option}=$${custom}$`)}`],
    flag: [`set_if = ${value}`],
    count: ['skip_key = true', `set_if = ${value}`, `value = {{\n${indented(VERBOSITY, 8)}\n      }}`],
  }[kind];
  return entry(`--${option}`, [
    ...settings,
    ...(onlyIf === undefined ? [] : [`set_if = {{ ${onlyIf} }}`]),
    ...(order === undefined ? [] : [`order = ${order}`]),
    `description = ${quoted(description)}`,
  ]);
}

/** Without the secret its variable would be there, and be empty. @param {Secret} given */
function secretArgument({ option, custom, variable }) {
  return entry(`--${option} ${variable}`, [
    `key = ${quoted(`--${option}`)}`,
    `value = ${quoted(variable)}`,
    `set_if = {{ return string(macro(${quoted(`$${custom}$`)})) != "" }}`,
    `description = ${quoted(`${custom} is there`)}`,
  ]);
}

/**
 * @param {string} name
 * @param {readonly string[]} settings
 */
function entry(name, settings) {
  return `    ${quoted(name)} = {\n${indented(settings, 6)}\n    }\n`;
}

/**
 * @param {readonly string[]} lines
 * @param {number} columns
 */
function indented(lines, columns) {
  return lines.map((line) => ' '.repeat(columns) + line).join('\n');
}

/** A string as Icinga reads it. @param {string} text */
function quoted(text) {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/**
 * The Director's form of the same. It knows neither `env` nor `key`, so the secrets themselves are not in it, only where
 * they are; nor what `ipv4-or-ipv6` finds out.
 *
 * @param {readonly Option[]} options
 */
function basket(options) {
  const all = argumentsOf(options);
  const categories = [...new Set(all.map(categoryOf))];
  const object = { object_type: 'object', disabled: false, imports: [], zone: null };
  const template = { object_type: 'template', imports: [], fields: [] };
  /** @type {readonly Readonly<Record<string, unknown>>[]} */
  const services = [
    {
      ...template,
      object_name: 'pop3-service',
      check_command: 'pop3',
      check_interval: '300',
      retry_interval: '60',
      max_check_attempts: '3',
    },
    { ...template, object_name: 'pop3-logon', imports: ['pop3-service'], vars: { pop3_light_mode: true } },
  ];
  const written = JSON.stringify(
    {
      DatafieldCategory: Object.fromEntries(
        categories.map((name) => [name, { category_name: name, description: null }]),
      ),
      Datafield: Object.fromEntries(all.map((each, index) => [index + 1, field(each)])),
      Command: {
        pop3: {
          ...object,
          object_name: 'pop3',
          methods_execute: 'PluginCheck',
          command: 'PluginContribDir + /check_pop3',
          timeout: String(TIMEOUT_S),
          is_string: null,
          arguments: Object.fromEntries(all.map((each) => [`--${each.option}`, directorArgument(each)])),
          vars: {
            pop3_server: '$host.name$',
            pop3_address: '$address$',
            pop3_state_dir: '/var/lib/icinga2/pop-connectivity',
          },
          fields: all.map((_, index) => ({ datafield_id: index + 1, is_required: 'n', var_filter: null })),
        },
      },
      ServiceTemplate: Object.fromEntries(services.map((service) => [service.object_name, service])),
    },
    null,
    2,
  );
  return `${written.replace(/\[\s+("[^"]*")\s+\]/g, '[$1]')}\n`; // as the formatter of this project has it
}

/** What its database takes for a condition. */
const DIRECTOR_ROOM = 255;

/** @param {Argument} given */
function directorArgument({ option, custom, kind, description, order, onlyIf }) {
  if ((onlyIf ?? '').length > DIRECTOR_ROOM) throw new Error(`set_if of --${option} is too long for the Director`);
  const value = `$${custom}$`;
  const settings = {
    text: { value },
    list: { value, repeat_key: true },
    optional: { skip_key: true, value: `--${option}=${value}` },
    flag: { set_if: value, set_if_format: 'string' },
    count: {
      skip_key: true,
      set_if: value,
      set_if_format: 'string',
      value: { type: 'Function', body: VERBOSITY.join('\n    ') },
    },
  }[kind];
  return {
    ...settings,
    ...(onlyIf === undefined ? {} : { set_if: onlyIf, set_if_format: 'expression' }),
    ...(order === undefined ? {} : { order: String(order) }),
    description,
  };
}

/** What one may write into. A list of servers is written with commas, and one file of targets is enough. */
const TYPES = /** @type {Readonly<Record<Argument['kind'], string>>} */ ({
  text: 'String',
  list: 'Array',
  optional: 'String',
  flag: 'Boolean',
  count: 'Number',
});

/** @param {Argument} given */
function field(given) {
  const { option, custom, kind, description } = given;
  const type = option === 'client-access-server' || option === 'targets' ? 'String' : TYPES[kind];
  return {
    varname: custom,
    caption: `--${option}`,
    description,
    datatype: `Icinga\\Module\\Director\\DataType\\DataType${type}`,
    format: null,
    settings: {},
    category: categoryOf(given),
  };
}

/** @param {Argument} given */
function categoryOf({ group }) {
  return `POP3: ${group}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const options = await optionsOfCheckPop3();
  for (const [path, write] of Object.entries(FILES)) writeFileSync(path, write(options));
}

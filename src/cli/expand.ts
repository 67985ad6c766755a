import { readExtraOpts, readsStandardInput } from '../credentials/extra-opts.ts';
import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { iniSetting, SECRET_NAMES, type SecretName, settingsOf } from '../request/secret.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import { settingOf } from './arguments.ts';
import { type Option, optionsOf } from './options.ts';

/**
 * Puts the options of `--extra-opts` before those of the command line, which therefore wins where the last one counts.
 *
 * @param given what the command line set
 * @param command its name is that of the section where none is named
 * @throws ProbeFailure `usage` or `configuration`, never with a value
 */
export async function expandExtraOpts(given: Settings, command: string, sources: Sources): Promise<Settings> {
  const locators = given['extra-opts'] as readonly string[];
  const options = optionsOf(command);
  const optionOf = (name: string): Option | undefined =>
    options.find((option) => (name.length === 1 ? option.short : option.name) === name);
  const isSecret = (name: string): boolean => optionOf(name)?.secret === true;
  const settings: Record<string, Settings[string]> = {};
  for (const { name, value, where } of await readExtraOpts(locators, command, sources, isSecret)) {
    const refuse = (why: string): ProbeFailure => new ProbeFailure('configuration', `--extra-opts ${where}: ${why}`);
    const option = optionOf(name);
    // Not even the name is repeated: it may be the rest of a password on a line of its own.
    if (option === undefined) throw refuse('there is no such option');
    if (option.name === 'extra-opts') throw refuse(`--${option.name} has no meaning in a file`);
    // It is a secret that is not on the command line, and must not be remarked on as if it were.
    const key = option.secret === true ? iniSetting(option.name as SecretName) : option.name;
    try {
      const inline = { value: value === '' ? undefined : value, inlineValue: true };
      settings[key] = settingOf(option, inline, settings[key]);
    } catch (problem) {
      throw problem instanceof ProbeFailure ? refuse(problem.message) : problem;
    }
  }
  const expanded = merge(settings, given);
  if (readsStandardInput(locators) && expanded['password-stdin'] !== undefined) {
    throw usage('--extra-opts=@- and --password-stdin both want standard input');
  }
  return expanded;
}

/** Settings of two borders as one: the last wins, of what may be repeated all stands. Servers are never added. */
export function merge(first: Settings, last: Settings): Settings {
  const merged: Record<string, Settings[string]> = { ...first };
  if (last['client-access-server'] !== undefined) delete merged['client-access-server'];
  for (const name of SECRET_NAMES)
    if (holds(name, last)) for (const setting of settingsOf(name)) delete merged[setting];
  for (const [name, value] of Object.entries(last)) {
    const before = merged[name];
    if (Array.isArray(value)) merged[name] = [...((before ?? []) as readonly string[]), ...value];
    else merged[name] = typeof value === 'number' ? value + Number(before ?? 0) : value;
  }
  return merged;
}

/** Of the places a secret may come from one counts, so the last one wins among them too. */
const holds = (name: SecretName, settings: Settings): boolean =>
  settingsOf(name).some((setting) => settings[setting] !== undefined) ||
  (name === 'password' && String(settings['mailbox-credential'] ?? '').startsWith('@'));

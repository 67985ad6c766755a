import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { OwnMachine } from '../../support/own-machine.ts';
import type { Ended } from '../../support/run.ts';

/** One of the examples in docs/examples.md. */
export interface Example {
  /** Its blocks that a shell runs as root, in their order. */
  readonly commands: readonly string[];
  /** Its files, in their order: where there are two with one path, the second is in the place of the first. */
  readonly files: readonly ExampleFile[];
  /** Its commands with a prompt, and what is shown to come of each. */
  readonly trials: readonly Trial[];
  /** What it says a red line looks like, each with what to look at. */
  readonly red: readonly string[];
  /** All of it. */
  readonly text: string;
}

export interface ExampleFile {
  /** As its first line names it. */
  readonly path: string;
  readonly text: string;
}

export interface Trial {
  readonly command: string;
  readonly shown: string;
}

const DOCUMENT = readFileSync(new URL('../../../docs/examples.md', import.meta.url), 'utf8');

/** @param heading how the heading of the example begins; without one, what stands before the first of them */
export function exampleOf(heading?: string): Example {
  const sections = DOCUMENT.split(/^## /m);
  const section = heading === undefined ? sections[0] : sections.find((each) => each.startsWith(heading));
  if (section === undefined) throw new Error(`docs/examples.md has no example "${heading}"`);
  const blocks = [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
  const files = blocks.flatMap(({ text }) => {
    const [, path] = PATH.exec(text) ?? [];
    return path === undefined ? [] : [{ path, text }];
  });
  return {
    commands: blocks.filter(({ language }) => language === 'sh').map(({ text }) => text),
    files,
    text: section,
    trials: blocks
      .filter(({ text }) => text.startsWith('$ '))
      .flatMap(({ text }) => text.split(/^\$ /m).slice(1).map(trialOf)),
    red: [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, shown = '']) => shown),
  };
}

/** A remark in the file's own language, with its path first. */
const PATH = /^(?:[#;]|\/\*|\/\/) (\/\S+?)[:,.]?(?: |\n)/;

const trialOf = (text: string): Trial => {
  const [, command = '', shown = ''] = /^((?:[^\n]*\\\n)*[^\n]*)\n(.*)$/s.exec(text) ?? [];
  return { command, shown };
};

/** Where a machine has what an administrator has fetched. */
export const PROJECT = '/run/project';

/** Runs commands of a document on a machine, as root and each having to succeed. */
export async function obey(machine: OwnMachine, commands: string): Promise<void> {
  // A process brings its folder along into the machine, so it goes there by itself.
  const ended = await machine.run(['sh', '-e', '-c', `cd ${PROJECT}\n${commands}`], { as: 'root' });
  expect(ended.code, `${commands}${ended.stdout}${ended.stderr}`).toBe(0);
}

/** Writes files of a document on a machine; one that is there keeps its owner and mode. */
export async function writeAsTheyStand(machine: OwnMachine, files: readonly ExampleFile[]): Promise<void> {
  for (const { path, text } of files) {
    const { code, stderr } = await machine.run(['sh', '-c', 'umask 022; cat >"$1"', 'sh', path], {
      as: 'root',
      stdin: text,
    });
    expect(code, stderr).toBe(0);
  }
}

/** The file with that path, or the one in its place. */
export function fileAt({ files }: Example, path: string, which: 'first' | 'second' = 'first'): ExampleFile {
  const file = files.filter((each) => each.path === path)[which === 'first' ? 0 : 1];
  if (file === undefined) throw new Error(`the example has no ${which} ${path}`);
  return file;
}

/** Runs what stands behind a prompt, as it stands: by root. */
export const attempt = (
  machine: OwnMachine,
  { command }: Pick<Trial, 'command'>,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> => machine.run(['sh', '-c', command], { as: 'root', env });

/** What is shown, but for what differs from run to run: times, days, counts of messages, and what `…` stands for. */
export function asShown(shown: string): RegExp {
  const pattern = shown
    .trim()
    .replace(/[\\^$*+?.()|[\]{}]/g, '\\$&')
    .replace(/\d+(?:\\\.\d+)? (?:m?s|days)\b/g, '\\d+(?:\\.\\d+)? (?:m?s|days)')
    .replace(/=\d+\\\.\d{3}s/g, '=\\d+\\.\\d{3}s')
    .replaceAll('…', '[^\\n]*');
  return new RegExp(pattern);
}

/** The one line of the table of what to look at that has these words. */
export function redLine({ red }: Example, words: string): RegExp {
  const lines = red.filter((line) => line.includes(words));
  if (lines.length !== 1) throw new Error(`${lines.length} lines of the document have "${words}"`);
  met.add(lines[0] as string);
  return asShown(lines[0] as string);
}

const met = new Set<string>();

/** The lines of that table that no test has asked for so far. */
export const unmet = ({ red }: Example): readonly string[] => red.filter((line) => !met.has(line));

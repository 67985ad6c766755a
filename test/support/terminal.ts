import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type Program, pathOf } from './installed.ts';
import { CHECK_POP3, type privateFolder } from './run.ts';

/** What `runOnTerminal` runs, for `missing()`. */
export const SCRIPT: Program = {
  name: 'script(1) of util-linux',
  commands: ['script', 'stty'],
  install: 'apt install bsdutils',
};

export interface Seen {
  readonly code: number | null;
  /** What the terminal showed. */
  readonly shown: string;
  /** What went to standard output, which is elsewhere. */
  readonly report: string;
}

export interface Typing {
  /** What is waited for before anything is typed. */
  readonly prompt: RegExp;
  readonly keys: string | Uint8Array;
  readonly folder: ReturnType<typeof privateFolder>;
  /** Called once it has asked. */
  readonly asked?: (child: ChildProcessWithoutNullStreams) => void;
}

let reports = 0;

/** Runs check_pop3 on a pseudo-terminal, types when asked, and looks afterwards whether the terminal is as it was. */
export async function runOnTerminal(argv: readonly string[], { prompt, keys, folder, asked }: Typing): Promise<Seen> {
  const report = folder.file(`report-${++reports}`, '');
  // The report goes elsewhere, as into a pipe: the question must not.
  const words = [CHECK_POP3, ...argv].map((word) => `'${word.replace(/'/g, "'\\''")}'`).join(' ');
  const command = `${words} >'${report}'; code=$?; stty -a; exit $code`;
  const child = spawn(pathOf('script'), ['-qec', command, '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh', CREDENTIALS_DIRECTORY: undefined },
  });
  let shown = '';
  let hasAsked = false;
  child.stderr.resume();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    if (hasAsked || !prompt.test(shown)) return;
    hasAsked = true;
    child.stdin.write(keys);
    asked?.(child);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  expect(shown).toMatch(/[ ;]echo[ ;]/);
  expect(shown).toMatch(/[ ;]icanon[ ;]/);
  return { code, shown: shown.slice(0, shown.search(/speed \d/)), report: readFileSync(report, 'utf8') };
}

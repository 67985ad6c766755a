import { ProbeFailure } from '../dialogue/failure.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import type { Hold } from '../runtimes/node/reach.ts';
import type { Destination, PassiveResult } from './destination.ts';

/**
 * Nagios' external command file: a named pipe that Nagios reads commands from, a line each
 * (PROCESS_SERVICE_CHECK_RESULT, https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/passivechecks.html).
 * It answers nothing: what was written counts as delivered.
 */
export const nagiosCommandFile = (path: string): Destination => ({
  async deliver(results, settled, hold) {
    const { closeSync } = builtin.fs();
    let isOver = false;
    hold(() => {
      isOver = true;
    });
    const pipe = open(path);
    try {
      for (const result of results) {
        const line = Buffer.from(commandOf(result), 'utf8');
        while (!written(pipe, line)) {
          await pause(hold);
          if (isOver) return;
        }
        settled(result, null);
      }
    } finally {
      closeSync(pipe);
    }
  },
});

/** Without waiting for a reader: one that is missing is told at once, and by the system. */
function open(path: string): number {
  const fs = builtin.fs();
  const { O_WRONLY, O_NONBLOCK, S_IFMT, S_IFIFO } = fs.constants;
  let file: number;
  try {
    file = fs.openSync(path, O_WRONLY | O_NONBLOCK);
  } catch (error) {
    const { code = '' } = error as { code?: string };
    const [reason, why] = CANNOT_OPEN[code] ?? ['configuration', `it cannot be opened (${code})`];
    throw new ProbeFailure(reason, why);
  }
  if ((fs.fstatSync(file).mode & S_IFMT) === S_IFIFO) return file;
  fs.closeSync(file);
  // A file would take what nobody ever reads.
  throw new ProbeFailure('configuration', 'this is no named pipe: it has to be the command_file of nagios.cfg');
}

type Cannot = readonly [ProbeFailure['reason'], string];

const CANNOT_OPEN: Readonly<Record<string, Cannot>> = {
  ENXIO: ['connection-refused', 'nobody reads the command file: Nagios does not run'],
  ENOENT: ['connection-refused', 'there is no command file: Nagios does not run, or check_external_commands is 0'],
  ENOTDIR: ['configuration', 'there is no such folder'],
  EACCES: ['configuration', 'this user may not write to it: it has to be in the group of the command file'],
  EISDIR: ['configuration', 'this is a folder'],
};

/** @returns false while the pipe is full */
function written(pipe: number, line: Uint8Array): boolean {
  try {
    // Up to PIPE_BUF octets go in whole or not at all (pipe(7)).
    builtin.fs().writeSync(pipe, line);
    return true;
  } catch (error) {
    const { code = '' } = error as { code?: string };
    if (code === 'EAGAIN') return false;
    throw new ProbeFailure('hung-up', `Nagios stopped reading the command file (${code})`);
  }
}

const RETRY_MS = 20;

const pause = (hold: Hold): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, RETRY_MS);
    hold(() => {
      clearTimeout(timer);
      resolve();
    });
  });

/** PIPE_BUF of Linux. */
const LONGEST_COMMAND = 4096;

/** One line. What does not fit is left out, from the end, by whole lines and whole values, and that is said. */
export function commandOf({ host, service, state, output, perfdata, ended }: PassiveResult): string {
  const command = `[${Math.floor(ended / 1000)}] PROCESS_SERVICE_CHECK_RESULT;${host};${service};${state};`;
  const [first = '', ...more] = output.split('\n').map(escaped);
  const parts = [...perfdata.map((value, at) => (at === 0 ? ' | ' : ' ') + value), ...more.map((line) => `\\n${line}`)];
  const whole = `${command}${first}${parts.join('')}\n`;
  if (Buffer.byteLength(whole) <= LONGEST_COMMAND) return whole;
  const room = LONGEST_COMMAND - Buffer.byteLength(`${command}${CUT}\n`);
  let text = cut(first, room);
  let left = room - Buffer.byteLength(text);
  for (const part of parts) {
    left -= Buffer.byteLength(part);
    if (left < 0) break;
    text += part;
  }
  return `${command}${text}${CUT}\n`;
}

const CUT = '\\n… the rest is left out';

/** A text of at most that many octets, without half a character at its end. */
function cut(text: string, octets: number): string {
  const all = Buffer.from(text, 'utf8');
  return all.length <= octets
    ? text
    : all
        .subarray(0, octets - 3)
        .toString('utf8')
        .replace(/\ufffd*$/, '…');
}

/** To Nagios a backslash and an n are a line end. */
const escaped = (line: string): string => line.replace(/\\/g, '\\\\');

import { ProbeFailure } from '../dialogue/failure.ts';
import { builtin } from '../runtimes/node/builtin.ts';

/**
 * Asks on the terminal, and shows nothing of what is typed.
 *
 * @returns what was typed, or null where nobody can be asked
 * @throws ProbeFailure `interrupted` on Ctrl-C, `configuration` where nothing comes
 */
export async function askOnTerminal(prompt: string): Promise<string | null> {
  const typed = await ask(prompt, 'hidden');
  if (typed?.includes('\ufffd')) throw new ProbeFailure('configuration', 'what was typed is not UTF-8');
  return typed;
}

/**
 * Asks a question that is answered by yes or no.
 *
 * @returns null where nobody can be asked
 * @throws ProbeFailure as above
 */
export async function confirmOnTerminal(question: string): Promise<boolean | null> {
  const typed = await ask(question, 'shown');
  return typed === null ? null : /^y(es)?$/i.test(typed.trim());
}

const NOTHING = { hidden: 'no password was typed', shown: 'no answer was typed' } as const;

async function ask(prompt: string, echo: 'hidden' | 'shown'): Promise<string | null> {
  const { isatty, ReadStream, WriteStream } = builtin.tty();
  if (!isatty(0) || !isatty(2)) return null;
  const fs = builtin.fs();
  let file: number;
  try {
    file = fs.openSync('/dev/tty', 'r+'); // whatever standard output is: that belongs to the report
  } catch {
    return null;
  }
  const show = (text: string): void => {
    try {
      fs.writeSync(file, text);
    } catch {
      // A terminal that is stopped or gone; what is typed may still come.
    }
  };
  const terminal = new ReadStream(file);
  // With no output there is no echo, and the keys that edit a line still do.
  const output = echo === 'shown' ? { output: new WriteStream(file) } : {};
  const line = builtin.readline().createInterface({ input: terminal, ...output, terminal: true, historySize: 0 });
  show(prompt); // not sooner: whoever pastes at once would see it
  try {
    return await new Promise<string>((resolve, reject) => {
      line.on('line', resolve);
      line.on('SIGINT', () => reject(new ProbeFailure('interrupted', 'ended by SIGINT')));
      line.on('close', () => reject(new ProbeFailure('configuration', NOTHING[echo])));
      terminal.on('error', () => reject(new ProbeFailure('configuration', 'the terminal cannot be read')));
    });
  } finally {
    line.close();
    show('\n');
    terminal.destroy();
  }
}

import type { Command } from './main.ts';
import { OPTIONS, type Option } from './options.ts';

const WIDTH = 80;

/** What -h prints, 80 columns wide. yargs lays it out and is loaded for nothing else. */
export async function helpFor({ name, summary, timeoutS, examples }: Command): Promise<string> {
  standSomewhere();
  const { default: yargs } = await import('yargs');
  const help = yargs([])
    .scriptName(name)
    .usage(`${summary}\n\nUsage: $0 -H HOST -u USER --password-file FILE --light-mode [options]`)
    .help(false)
    .version(false)
    .wrap(WIDTH);
  for (const option of OPTIONS) {
    const { name: long, short, group } = option;
    help.option(long, {
      group: `${group}:`,
      describe: describe(option, timeoutS),
      ...(short === undefined ? {} : { alias: short }),
    });
  }
  help.epilogue(`Examples:\n${examples.map(([command, about]) => `  ${about}:\n    ${name} ${command}`).join('\n')}`);
  // yargs gives a short option that is a digit two dashes.
  return `${(await help.getHelp()).replace(/--(?=[46]\b)/g, ' -')}\n`;
}

const describe = ({ name, value, help }: Option, timeoutS: number): string =>
  `${value === undefined ? '' : `${value}: `}${help}${name === 'timeout' ? `, ${timeoutS} if not given` : ''}`;

/** yargs asks for the current folder, and falls where that was removed. */
function standSomewhere(): void {
  try {
    process.cwd();
  } catch {
    process.chdir('/');
  }
}

import type { Command } from './main.ts';
import { type Option, optionsOf } from './options.ts';

const WIDTH = 80;

/** What -h prints, 80 columns wide. yargs lays it out and is loaded for nothing else. */
export async function helpFor({ name, summary, usage, timeoutS, examples, people }: Command): Promise<string> {
  standSomewhere();
  const { default: yargs } = await import('yargs');
  const help = yargs([])
    .scriptName(name)
    .usage(`${summary}\n\nUsage: $0 ${usage}`)
    .help(false)
    .version(false)
    .wrap(WIDTH);
  for (const option of optionsOf(name)) {
    const { name: long, short, cmdlet, group } = option;
    const aliases = [short, people === undefined ? undefined : cmdlet].filter((alias) => alias !== undefined);
    help.option(long, { group: `${group}:`, describe: describe(option, timeoutS), alias: aliases });
  }
  help.epilogue(`Examples:\n${examples.map(([command, about]) => `  ${about}:\n    ${name} ${command}`).join('\n')}`);
  // yargs gives two dashes to a short option that is a digit, and to the cmdlet's names.
  return `${(await help.getHelp()).replace(/--(?=[46]\b|[A-Z])/g, ' -')}\n`;
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

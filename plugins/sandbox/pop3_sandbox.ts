import { runSandbox } from '../../src/sandbox/command.ts';

const { stdin, stdout, stderr } = process;
const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
});

runSandbox(process.argv.slice(2), { stdin, stdout, stderr, interrupted }).then(
  (exitCode) => process.exit(exitCode),
  (bug: unknown) => {
    console.error(bug);
    process.exit(3);
  },
);

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Program } from './installed.ts';
import type { OwnMachine } from './own-machine.ts';
import type { Ended } from './run.ts';
import { until } from './until.ts';

/** What `startNrpe` runs, for `missing()`. */
export const NRPE: Program = {
  name: 'NRPE',
  commands: ['nrpe', 'check_nrpe'],
  install: 'apt-get install nagios-nrpe-server nagios-nrpe-plugin',
};

export interface Nrpe {
  /** Asks it by check_nrpe, from the same machine. */
  ask(command: string, ...options: readonly string[]): Promise<Ended>;
  /** Ends it, as its service would. */
  stop(): Promise<void>;
}

/**
 * Runs Debian's NRPE on a machine, by Debian's own nrpe.cfg; resolves when it answers.
 * @throws with its output when it does not come up
 */
export async function startNrpe(machine: OwnMachine): Promise<Nrpe> {
  const output = '/var/log/nagios4/nrpe.log';
  const daemon = machine.start(['nrpe', '-c', '/etc/nagios/nrpe.cfg', '-f'], output);
  const check = ['/usr/lib/nagios/plugins/check_nrpe', '-H', '127.0.0.1'];
  await until('NRPE answers', async () => {
    if (daemon.exitCode !== null)
      throw new Error(`NRPE did not start:\n${await readFile(machine.path(output), 'utf8')}`);
    return (await machine.run(check)).stdout.startsWith('NRPE v');
  });
  return {
    ask: (command, ...options) => machine.run([...check, ...options, '-c', command]),
    async stop() {
      if (daemon.exitCode !== null || daemon.signalCode !== null) return;
      const ended = once(daemon, 'exit');
      process.kill(-(daemon.pid as number), 'SIGTERM');
      await Promise.race([ended, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
    },
  };
}

const STOP_LIMIT_MS = 10_000;

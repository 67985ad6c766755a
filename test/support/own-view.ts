import { spawnSync } from 'node:child_process';
import { installed, type Program, pathOf } from './installed.ts';
import { isRoot, leaveRoot, type Place } from './own-server.ts';

/** Some servers have places in /etc and /run compiled in: they get an /etc and a /run that they alone see. */
export const VIEW_OF_FILES: Program = {
  name: 'a view of the file system of its own',
  commands: [canUnshare() ? 'unshare' : 'unshare-with-rights'],
  install: 'it needs root, or a kernel that lets users make namespaces',
};

/**
 * What to start so that the command, as the server's account, sees folders of the server in place of the machine's:
 * `etc` for /etc. It is process 1 of a namespace, and takes everything with it when it ends.
 */
export function inOwnView({ folder, account }: Place, names: readonly string[], command: readonly string[]): string[] {
  const mounts = names.map((name) => `mount --bind "$1/${name}" /${name} && `).join('');
  // The kernel ends it should the test runner be killed before it can clean up; unshare is deaf to SIGTERM.
  return [
    ...['setpriv', '--pdeathsig', 'KILL', 'unshare', ...ownView(), '--pid', '--fork', '--kill-child'],
    ...['sh', '-c', `${mounts}shift && exec "$@"`, 'sh', folder],
    ...['setpriv', ...leaveRoot(account), '--ambient-caps=-all', '--pdeathsig', 'KILL'], // which a new user clears
    ...command,
  ];
}

/** As root in a user namespace, a server would want to change its groups, which it may not there. */
function ownView(): readonly string[] {
  return isRoot() ? ['--mount'] : ['--user', '--map-current-user', '--keep-caps', '--mount'];
}

function canUnshare(): boolean {
  const setUp = 'mount -t tmpfs none /run';
  return (
    installed('unshare') !== null &&
    spawnSync(pathOf('unshare'), [...ownView(), '--pid', '--fork', 'sh', '-c', setUp]).status === 0
  );
}

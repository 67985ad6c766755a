import { spawnSync } from 'node:child_process';
import { installed, type Program, pathOf } from './installed.ts';

/** Leave to have a network, and a view of the files, of one's own. */
export const NAMESPACES: Program = {
  name: 'a network namespace of its own',
  commands: [mayUnshare() ? 'unshare' : 'unshare-with-leave', 'ip'],
  install: 'run as root, with util-linux and iproute2',
};

function mayUnshare(): boolean {
  const probe = ['--net', '--mount', '--map-root-user', 'true'];
  return installed('unshare') !== null && spawnSync(pathOf('unshare'), probe).status === 0;
}

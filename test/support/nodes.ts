import type { Program } from './installed.ts';

const FOLDER = new URL('../../.cache/nodes/', import.meta.url);

/** Another version of Node.js, as `make nodes` fetches it, for `missing()`. */
export const nodeVersion = (version: string): Program => ({
  name: `Node.js ${version}`,
  commands: [new URL(`${version}/node_modules/node-linux-${process.arch}/bin/node`, FOLDER).pathname],
  install: 'make nodes',
});

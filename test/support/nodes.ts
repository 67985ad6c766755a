import { existsSync, readdirSync } from 'node:fs';
import type { Program } from './installed.ts';

const FOLDER = new URL('../../.cache/nodes/', import.meta.url);

/** Other versions of Node.js, as `make nodes` fetches them: the version asked for, and where it is. */
export function otherNodes(): readonly { readonly version: string; readonly node: string }[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER)
    .sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b))
    .map((version) => ({
      version,
      node: new URL(`${version}/node_modules/node-linux-${process.arch}/bin/node`, FOLDER).pathname,
    }))
    .filter(({ node }) => existsSync(node));
}

/** One of them, for `missing()`. */
export const nodeVersion = (version: string): Program => ({
  name: `Node.js ${version}`,
  commands: [new URL(`${version}/node_modules/node-linux-${process.arch}/bin/node`, FOLDER).pathname],
  install: 'make nodes',
});

/**
 * Fetches the versions of Node.js that the commands promise to run on, and some they only promise to turn down, from
 * npm into .cache/nodes/<version>. Linux on x64 or arm64; elsewhere there is nothing to fetch and the tests say so.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';

const VERSIONS = ['12', '18', '20.19.0', '22', '24', '26'];

if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
  console.log(`no Node.js to be had from npm for ${process.platform} ${process.arch}`);
  process.exit(0);
}
const name = `node-linux-${process.arch}`;
for (const version of VERSIONS) {
  const folder = `.cache/nodes/${version}`;
  if (existsSync(`${folder}/node_modules/${name}/bin/node`)) continue;
  mkdirSync(folder, { recursive: true });
  console.log(`Node.js ${version}`);
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', ['install', ...options, '--prefix', folder, `${name}@${version}`], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
}

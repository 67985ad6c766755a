import { build } from 'esbuild';

/**
 * Takes modules of ours, which are TypeScript, into this process: for tools that write files from our own tables.
 *
 * @param {string} contents what is exported from where, in paths from the root of the repository
 * @param {import('esbuild').Plugin[]} [plugins]
 */
export async function load(contents, plugins = []) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    logLevel: 'warning',
    plugins,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? '').toString('base64')}`);
}

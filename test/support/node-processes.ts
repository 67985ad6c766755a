import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

/** A folder of its own for a test, and its end. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'pop-connectivity-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Somebody without rights, where the tests are run by root. */
export const NOBODY = 65534;
export const isRoot = process.getuid?.() === 0;

/**
 * Runs code in processes of their own, with our modules at hand, and gives what each says on standard output.
 *
 * @param code of a script; `import` paths are from test/support/
 * @param count how many processes, all at once
 * @param uid as whom, where the tests are run by root
 */
export async function inProcesses(
  code: string,
  { count = 1, uid, env = {} }: { count?: number; uid?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<readonly string[]> {
  const folder = temporaryFolder();
  try {
    const built = buildSync({
      stdin: { contents: code, resolveDir: import.meta.dirname, loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      write: false,
      logLevel: 'error',
    });
    const script = built.outputFiles[0]?.text ?? '';
    const path = join(folder.path, 'script.cjs');
    writeFileSync(path, script);
    return await Promise.all(
      Array.from(
        { length: count },
        () =>
          new Promise<string>((resolve, reject) => {
            // Read from standard input: who has no rights cannot open our folder.
            const child = spawn(process.execPath, ['-'], {
              stdio: ['pipe', 'pipe', 'pipe'],
              env: { PATH: process.env.PATH, ...env },
              ...(uid === undefined ? {} : { uid, gid: uid }),
            });
            let said = '';
            let complained = '';
            child.stdout.on('data', (octets) => {
              said += String(octets);
            });
            child.stderr.on('data', (octets) => {
              complained += String(octets);
            });
            child.on('error', reject);
            child.on('close', (code) => (code === 0 ? resolve(said) : reject(new Error(`${code}: ${complained}`))));
            child.stdin.end(script);
          }),
      ),
    );
  } finally {
    folder.remove();
  }
}

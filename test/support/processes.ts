import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** The processes that work in a folder or below it, whatever they call themselves. */
export async function processesIn(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(pids.map((pid) => readlink(join('/proc', pid, 'cwd')).catch(() => '')));
  return pids.filter((_, index) => places[index] === folder || places[index]?.startsWith(`${folder}/`));
}

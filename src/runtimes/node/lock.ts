import { builtin } from './builtin.ts';

/**
 * A lock between processes of one machine: a file that names its holder. A holder that died is told by its process
 * id and the moment it started (process ids are used again), or where the system does not tell that, by its time
 * being over: every run has a deadline.
 *
 * @param path of the lock
 * @param untilMs how long from now it is held at the most
 * @returns what gives it back, or null while somebody else has it
 * @throws Error where no file can be made there
 */
export function lock(path: string, untilMs: number): (() => void) | null {
  const fs = builtin.fs();
  const own = JSON.stringify({
    pid: process.pid,
    started: startOf(process.pid),
    until: Date.now() + untilMs + GRACE_MS,
  });
  const unfinished = `${path}.${process.pid}`;
  fs.writeFileSync(unfinished, own, { mode: 0o600 });
  try {
    // A link is made at once, content and all: nobody ever reads half a lock.
    if (!made(unfinished, path) && !(buried(path) && made(unfinished, path))) return null;
  } finally {
    fs.rmSync(unfinished, { force: true });
  }
  return () => {
    try {
      if (fs.readFileSync(path, 'utf8') === own) fs.rmSync(path, { force: true });
    } catch {
      // Gone already, or not to be reached: then it lapses.
    }
  };
}

/** Beyond its deadline a run has only to write its report. */
const GRACE_MS = 10_000;

function made(from: string, path: string): boolean {
  try {
    builtin.fs().linkSync(from, path);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Takes a dead holder's lock away. One process at a time may: who looks while another buries could else bury the next
 * holder's with the same shovel.
 */
function buried(path: string): boolean {
  const fs = builtin.fs();
  const shovel = `${path}.burying`;
  try {
    fs.mkdirSync(shovel, { mode: 0o700 });
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    // Who died over it takes no longer than that; the next try finds it gone.
    if (isOlder(shovel, GRACE_MS)) fs.rmSync(shovel, { recursive: true, force: true });
    return false;
  }
  try {
    if (isAlive(fs.readFileSync(path, 'utf8'))) return false;
    fs.rmSync(path, { force: true });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return true;
    throw error;
  } finally {
    fs.rmSync(shovel, { recursive: true, force: true });
  }
}

function isOlder(path: string, ms: number): boolean {
  try {
    return Date.now() - builtin.fs().statSync(path).mtimeMs > ms;
  } catch {
    return false;
  }
}

/** What cannot be read as a holder is a lock damaged by a crash or a full disk: nobody's. */
function isAlive(holder: string): boolean {
  let read: { pid?: unknown; started?: unknown; until?: unknown } | null;
  try {
    read = JSON.parse(holder);
  } catch {
    return false;
  }
  const { pid, started, until } = read ?? {};
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return false;
  if (!exists(pid)) return false;
  const current = startOf(pid);
  if (current !== null && typeof started === 'string') return current === started;
  return typeof until === 'number' && Date.now() < until;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'; // somebody else's
  }
}

/** When a process started, in the kernel's own count: field 22 of /proc/PID/stat (proc(5)); null where there is none. */
function startOf(pid: number): string | null {
  try {
    const stat = builtin.fs().readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

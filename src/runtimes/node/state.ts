import { builtin } from './builtin.ts';
import { readRegularFile } from './files.ts';

/** The folder where runs leave things for each other. */
export interface StateFolder {
  readonly path: string;
  /** Whether what is in it outlives a restart of the machine. */
  readonly isLasting: boolean;
  /** The content of a file in it, or null where there is none. Rejects what is there and cannot be read. */
  readonly read: (name: string) => Buffer | null;
  /** Writes a file that nobody else may read, whole or not at all; on request it is on the disk when this returns. */
  readonly write: (name: string, content: string, isFlushed?: boolean) => void;
  /** Writes a file unless there is one already. */
  readonly create: (name: string, content: string) => void;
  /** The names of the files in it that begin so, in their order. */
  readonly list: (beginning: string) => readonly string[];
  readonly remove: (name: string) => void;
  readonly rename: (from: string, to: string) => void;
}

/**
 * Finds the folder: the one named, else systemd's `$STATE_DIRECTORY`, else the user's own for state (XDG Base
 * Directory Specification), else a private one among the temporary files. Of those nobody named, one that cannot be
 * used is passed over: under Nagios `$HOME` may well be root's.
 *
 * @param named as given by --state-dir, or null
 * @throws Error that tells why there is none
 */
export function openState(named: string | null): StateFolder {
  if (named !== null) return prepared(named, false, 'to read');
  let why: unknown;
  for (const { path, isShared } of usualFolders()) {
    try {
      return prepared(path, isShared, 'to write');
    } catch (error) {
      why = error;
    }
  }
  throw why;
}

function usualFolders(): readonly { readonly path: string; readonly isShared: boolean }[] {
  const { STATE_DIRECTORY = '', XDG_STATE_HOME = '', HOME = '', LOCALAPPDATA = '' } = process.env;
  const [given = ''] = STATE_DIRECTORY.split(':');
  const own = XDG_STATE_HOME.startsWith('/') ? XDG_STATE_HOME : HOME === '' ? '' : `${HOME}/.local/state`;
  const user = process.getuid?.() ?? 'user';
  return [
    { path: given, isShared: false },
    { path: own === '' ? '' : `${own}/pop-connectivity`, isShared: false },
    { path: LOCALAPPDATA === '' ? '' : `${LOCALAPPDATA}\\pop-connectivity`, isShared: false },
    // The name is known to everyone, so whoever came first may have made it.
    { path: `${builtin.os().tmpdir()}/pop-connectivity-${user}`, isShared: true },
  ].filter(({ path }) => path !== '');
}

function prepared(path: string, isShared: boolean, what: 'to read' | 'to write'): StateFolder {
  const fs = builtin.fs();
  makeFolder(path);
  if (isShared) {
    const { uid, mode } = fs.lstatSync(path);
    const isOurs = (mode & fs.constants.S_IFMT) === fs.constants.S_IFDIR && uid === (process.getuid?.() ?? uid);
    if (!isOurs || (mode & 0o077) !== 0) throw new Error(`${path} is not ours alone`);
  }
  const { R_OK, W_OK, X_OK } = fs.constants;
  // One that was named and is read-only may still hold the key.
  fs.accessSync(path, what === 'to read' ? R_OK | X_OK : R_OK | W_OK | X_OK);
  return {
    path,
    isLasting: !isShared,
    read(name) {
      try {
        return readRegularFile(`${path}/${name}`).octets;
      } catch (error) {
        if ((error as { code?: string }).code === 'ENOENT') return null;
        throw error;
      }
    },
    write(name, content, isFlushed = false) {
      finished(`${path}/.${name}.${process.pid}`, content, isFlushed, (file) => fs.renameSync(file, `${path}/${name}`));
      if (isFlushed) flushFolder(path);
    },
    create: (name, content) =>
      finished(`${path}/.${name}.${process.pid}`, content, false, (file) => {
        try {
          fs.linkSync(file, `${path}/${name}`);
        } catch (error) {
          if ((error as { code?: string }).code !== 'EEXIST') throw error;
        }
      }),
    list: (beginning) =>
      fs
        .readdirSync(path)
        .filter((name) => name.startsWith(beginning))
        .sort(),
    remove: (name) => fs.rmSync(`${path}/${name}`, { force: true }),
    rename: (from, to) => fs.renameSync(`${path}/${from}`, `${path}/${to}`),
  };
}

/** Writes a file under another name first: what has its own name is never half a file. */
function finished(unfinished: string, content: string, flush: boolean, name: (file: string) => void): void {
  const fs = builtin.fs();
  try {
    fs.writeFileSync(unfinished, content, { mode: 0o600, flush });
    name(unfinished);
  } finally {
    fs.rmSync(unfinished, { force: true });
  }
}

/** The new name, too, is to be there after a power failure. Windows opens no folder, and needs none. */
function flushFolder(path: string): void {
  if (process.platform === 'win32') return;
  const fs = builtin.fs();
  const folder = fs.openSync(path, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(folder);
  } finally {
    fs.closeSync(folder);
  }
}

/**
 * Makes a folder and those above it. Node's own way (`recursive`) never returns where a folder cannot be made for
 * ENOENT though the one above it is there, as in /proc.
 */
function makeFolder(path: string): void {
  const fs = builtin.fs();
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as { code?: string };
    if (fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const above = builtin.path().dirname(path);
    if (code !== 'ENOENT' || above === path || fs.existsSync(above)) throw error;
    makeFolder(above);
    fs.mkdirSync(path, { mode: 0o700 });
  }
}

import { builtin } from './builtin.ts';

/** Longer than any password, key or bundle of certificates. */
export const LONGEST_FILE = 4 * 1024 * 1024;

/**
 * Reads a file that is one. A named pipe nobody writes to, or a device without an end, would hold a run for ever: it
 * is opened without waiting, and looked at before it is read.
 *
 * @throws Error with a `code` of the system's, or `EFTYPE` for what is no regular file, `EFBIG` for a large one
 */
export function readRegularFile(path: string): {
  readonly octets: Buffer;
  readonly mode: number;
  /** Whose it is; 0 on Windows. */
  readonly uid: number;
} {
  const fs = builtin.fs();
  const file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const { mode, size, uid } = fs.fstatSync(file);
    if ((mode & fs.constants.S_IFMT) !== fs.constants.S_IFREG) throw refused('EFTYPE', 'not a regular file');
    if (size > LONGEST_FILE) throw refused('EFBIG', `over ${LONGEST_FILE} octets`);
    return { octets: fs.readFileSync(file), mode, uid };
  } finally {
    fs.closeSync(file);
  }
}

/**
 * Whether everyone may read or write a file, by its mode. Windows has none: Node makes one up that says so of every file,
 * and who may do what is in an access control list that it does not show.
 *
 * @param system as `process.platform` has it
 */
export function openToAll(mode: number, system: string = process.platform): 'to read' | 'to write' | null {
  const { S_IROTH, S_IWOTH } = builtin.fs().constants;
  if (system === 'win32') return null;
  if ((mode & S_IROTH) !== 0) return 'to read';
  return (mode & S_IWOTH) !== 0 ? 'to write' : null;
}

const refused = (code: string, message: string): Error => Object.assign(new Error(message), { code });

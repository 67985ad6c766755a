import { ProbeFailure } from '../dialogue/failure.ts';
import type { FileKind, Sources } from '../request/sources.ts';
import { familyOf } from '../runtimes/node/address.ts';
import { certificatesIn } from '../runtimes/node/authorities.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { askOnTerminal } from './prompt.ts';

/** Longer than any password, key or bundle of certificates. */
const LONGEST_FILE = 4 * 1024 * 1024;

/** What a request takes from the machine it is made on, with Node. */
export const nodeSources: Sources = {
  file: readFile,
  environment: (name) => (Object.hasOwn(process.env, name) ? process.env[name] : undefined),
  standardInput: readStandardInput,
  exists: (path) => builtin.fs().existsSync(path),
  askOnTerminal,
  certificates: readCertificates,
  privateKey: readPrivateKey,
  family: familyOf,
  ascii: (name) => builtin.url().domainToASCII(name),
};

function readFile(option: string, path: string, kind: FileKind): string {
  const fs = builtin.fs();
  const refuse = (why: string): ProbeFailure => new ProbeFailure('configuration', `${option} ${path}: ${why}`);
  let file: number;
  try {
    // Without waiting: opening a named pipe that nobody writes to would block for ever.
    file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    throw refuse(OPEN_ERRORS[(error as { code?: string }).code ?? ''] ?? (error as Error).message);
  }
  try {
    const { mode, size } = fs.fstatSync(file);
    if ((mode & fs.constants.S_IFMT) !== fs.constants.S_IFREG) throw refuse('not a regular file');
    if (kind === 'secret' && (mode & fs.constants.S_IROTH) !== 0) throw refuse('everyone may read it (chmod o-r)');
    if (size > LONGEST_FILE) throw refuse(`over ${LONGEST_FILE} octets`);
    const octets = fs.readFileSync(file);
    if (!builtin.buffer().isUtf8(octets)) throw refuse('not UTF-8');
    return textOf(octets);
  } catch (error) {
    if (error instanceof ProbeFailure) throw error;
    throw refuse((error as Error).message);
  } finally {
    fs.closeSync(file);
  }
}

const OPEN_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  EISDIR: 'a directory',
  ENXIO: 'not a regular file',
};

/** Some editors put a byte order mark before UTF-8; it belongs to no password. */
const textOf = (octets: Buffer): string => octets.toString('utf8').replace(/^\ufeff/, '');

async function readStandardInput(): Promise<string> {
  const octets: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    octets.push(chunk as Uint8Array);
    size += (chunk as Uint8Array).length;
    if (size > LONGEST_FILE)
      throw new ProbeFailure('configuration', `standard input holds over ${LONGEST_FILE} octets`);
  }
  const whole = Buffer.concat(octets);
  if (!builtin.buffer().isUtf8(whole)) throw new ProbeFailure('configuration', 'standard input is not UTF-8');
  return textOf(whole);
}

/** OpenSSL would pass over what it cannot read in silence, and nobody would know why nothing is trusted. */
function readCertificates(option: string, path: string): string {
  const pem = readFile(option, path, 'public');
  const each = certificatesIn(pem);
  if (each.length === 0) throw new ProbeFailure('configuration', `${option} ${path}: no certificate in PEM`);
  try {
    const { X509Certificate } = builtin.crypto();
    return each.map((certificate) => new X509Certificate(certificate).toString()).join('');
  } catch {
    throw new ProbeFailure('configuration', `${option} ${path}: a certificate that cannot be read`);
  }
}

function readPrivateKey(option: string, path: string): string {
  const pem = readFile(option, path, 'secret');
  try {
    builtin.crypto().createPrivateKey(pem);
    return pem;
  } catch {
    throw new ProbeFailure('configuration', `${option} ${path}: no unencrypted private key in PEM`);
  }
}

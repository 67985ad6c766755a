import { ProbeFailure } from '../dialogue/failure.ts';
import type { FileKind, Sources } from '../request/sources.ts';
import { familyOf } from '../runtimes/node/address.ts';
import { certificatesIn } from '../runtimes/node/authorities.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { LONGEST_FILE, openToAll, readRegularFile } from '../runtimes/node/files.ts';
import { askOnTerminal, confirmOnTerminal } from './prompt.ts';

/** What a request takes from the machine it is made on, with Node. */
export const nodeSources: Sources = {
  file: readFile,
  environment: (name) => (Object.hasOwn(process.env, name) ? process.env[name] : undefined),
  standardInput: readStandardInput,
  exists: (path) => builtin.fs().existsSync(path),
  askOnTerminal,
  confirmOnTerminal,
  certificates: readCertificates,
  privateKey: readPrivateKey,
  family: familyOf,
  ascii: (name) => builtin.url().domainToASCII(name),
};

function readFile(option: string, path: string, kind: FileKind): string {
  const refuse = (why: string): ProbeFailure => new ProbeFailure('configuration', `${option} ${path}: ${why}`);
  try {
    const { octets, mode } = readRegularFile(path);
    const open = kind === 'secret' ? openToAll(mode) : null;
    if (open === 'to read') throw refuse('everyone may read it (chmod o-r)');
    if (open === 'to write') throw refuse('everyone may write it (chmod o-w)');
    if (builtin.buffer().isUtf8(octets)) return textOf(octets);
    if (kind === 'certificates') return octets.toString('latin1');
    throw refuse('not UTF-8');
  } catch (error) {
    if (error instanceof ProbeFailure) throw error;
    const { code = '', message } = error as Error & { code?: string };
    // A password in the place of its file's name is not to be repeated.
    if (kind === 'secret' && NO_FILE.includes(code) && !path.includes('/')) {
      throw new ProbeFailure('configuration', `${option}: no such file in the current folder`);
    }
    throw refuse(FILE_ERRORS[code] ?? message);
  }
}

const NO_FILE: readonly string[] = ['ENOENT', 'ENAMETOOLONG'];

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  ENXIO: 'not a regular file',
};

/** Some editors put a byte order mark before UTF-8; it belongs to no password. */
const textOf = (octets: Buffer): string => octets.toString('utf8').replace(/^\ufeff/, '');

async function readStandardInput(): Promise<string> {
  const octets: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of process.stdin) {
      octets.push(chunk as Uint8Array);
      size += (chunk as Uint8Array).length;
      if (size > LONGEST_FILE)
        throw new ProbeFailure('configuration', `standard input holds over ${LONGEST_FILE} octets`);
    }
  } catch (error) {
    if (error instanceof ProbeFailure) throw error;
    throw new ProbeFailure('configuration', `standard input cannot be read (${(error as { code?: string }).code})`);
  }
  const whole = Buffer.concat(octets);
  if (!builtin.buffer().isUtf8(whole)) throw new ProbeFailure('configuration', 'standard input is not UTF-8');
  return textOf(whole);
}

/** OpenSSL would pass over what it cannot read in silence, and nobody would know why nothing is trusted. */
function readCertificates(option: string, path: string): string {
  const pem = readFile(option, path, 'certificates');
  const known = lookedOver.get(pem);
  if (known !== undefined) return known;
  const each = certificatesIn(pem);
  if (each.length === 0) throw new ProbeFailure('configuration', `${option} ${path}: no certificate in PEM`);
  try {
    const { X509Certificate } = builtin.crypto();
    const all = each.map((certificate) => new X509Certificate(certificate).toString()).join('');
    lookedOver.set(pem, all);
    return all;
  } catch {
    throw new ProbeFailure('configuration', `${option} ${path}: a certificate that cannot be read`);
  }
}

/** What stood in the files: most targets of a sweep name the same one, and to look over a bundle takes 30 ms. */
const lookedOver = new Map<string, string>();

function readPrivateKey(option: string, path: string, certificates: string): string {
  const pem = readFile(option, path, 'secret');
  const { createPrivateKey, X509Certificate } = builtin.crypto();
  let fits: boolean;
  try {
    fits = new X509Certificate(certificates).checkPrivateKey(createPrivateKey(pem));
  } catch {
    throw new ProbeFailure('configuration', `${option} ${path}: no unencrypted private key in PEM`);
  }
  if (!fits) throw new ProbeFailure('configuration', `${option} ${path}: not the key of the client certificate`);
  return pem;
}

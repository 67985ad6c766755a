import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { keepSecret, privateFolder } from './run.ts';

/** What a full test needs beside a logon's arguments, `--light-mode` left out. */
export const fullTest = (
  { pop3Port, smtpPort }: Pick<Sandbox, 'pop3Port' | 'smtpPort'>,
  { passwordFile, caFile, stateDir }: Readonly<Record<'passwordFile' | 'caFile' | 'stateDir', string>>,
): readonly string[] => [
  ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(pop3Port), '-u', 'probe@example.com'],
  ...['--password-file', passwordFile, '--ca-file', caFile, '--smtp-port', String(smtpPort), '--state-dir', stateDir],
];

/** A healthy sandbox server for all tests of a file, and the files a logon to it needs. */
export interface Sandboxed {
  readonly server: () => Sandbox;
  readonly folder: ReturnType<typeof privateFolder>;
  readonly password: string;
  readonly passwordFile: string;
  readonly wrongFile: string;
  readonly caFile: string;
  /** Host, address, port, user, password file and test: over STLS unless another port is given. */
  readonly logon: (port?: number, passwordFile?: string) => readonly string[];
}

export function withSandbox(): Sandboxed {
  const password = keepSecret('correct-horse-battery-staple');
  const folder = privateFolder();
  const passwordFile = folder.file('password', `${password}\n`);
  const wrongFile = folder.file('wrong', `${keepSecret('wrong-horse-battery-staple')}\n`);
  const caFile = join(folder.path, 'ca.pem');
  let server: Sandbox;
  beforeAll(async () => {
    server = await startSandbox({ password });
    writeFileSync(caFile, server.caCertificate);
  });
  afterAll(() => server.close());
  return {
    server: () => server,
    folder,
    password,
    passwordFile,
    wrongFile,
    caFile,
    logon: (port = server.pop3Port, file = passwordFile) => [
      ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(port), '-u', 'probe@example.com'],
      ...['--password-file', file, '--light-mode'],
    ],
  };
}

import { execFile } from 'node:child_process';
import { type Program, pathOf } from './installed.ts';

/** Somebody else's mail client, by which our servers are judged. */
export const CURL: Program = { name: 'curl', commands: ['curl'], install: 'apt-get install curl' };

export type Submission = {
  readonly port: number;
  /** Default: STARTTLS. */
  readonly implicitTls?: boolean;
  /** A file with the authority that has to vouch for the server. */
  readonly authorityFile: string;
  /** The sender, and the user who logs on. */
  readonly from: string;
  readonly password: string;
  readonly to: string;
  /** The whole message. */
  readonly message: string;
};

/** Submits a message at 127.0.0.1; resolves to the server's last words, such as `250 2.0.0 Ok: queued as 4A`. */
export async function submit(plan: Submission): Promise<string> {
  const said = await curl(
    [
      ...['--verbose', '--upload-file', '-', '--mail-from', plan.from, '--mail-rcpt', plan.to],
      ...logon(plan),
      ...(plan.implicitTls === true ? [] : ['--ssl-reqd']),
      `${plan.implicitTls === true ? 'smtps' : 'smtp'}://127.0.0.1:${plan.port}`,
    ],
    plan.message,
  );
  const replies = said.split(/\r?\n/).flatMap((text) => (text.startsWith('< ') ? [text.slice(2)] : []));
  return replies.filter((text) => !text.startsWith('221')).at(-1) ?? said; // 221: goodbye
}

/** The first message of a mailbox, read by POP3S from 127.0.0.1. */
export function fetchFirst(plan: Pick<Submission, 'port' | 'authorityFile' | 'from' | 'password'>): Promise<string> {
  return curl([...logon(plan), `pop3s://127.0.0.1:${plan.port}/1`]);
}

function logon({ from, password, authorityFile }: Pick<Submission, 'from' | 'password' | 'authorityFile'>): string[] {
  return ['--silent', '--show-error', '--max-time', '20', '--cacert', authorityFile, '--user', `${from}:${password}`];
}

function curl(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(pathOf('curl'), args, { encoding: 'utf8' }, (_, stdout, stderr) => resolve(stdout + stderr));
    child.stdin?.on('error', () => {}); // it ended without reading: what it says tells
    child.stdin?.end(input);
  });
}

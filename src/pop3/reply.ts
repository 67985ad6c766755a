import { ProbeFailure, type Reason } from '../dialogue/failure.ts';

/** A server's one-line answer (RFC 1939 §3). */
export interface Reply {
  readonly ok: boolean;
  /** The response code in upper case without its brackets, `SYS/TEMP`, or null (RFC 2449 §8). */
  readonly code: string | null;
  /** What follows the status and one space. */
  readonly text: string;
  /** The whole line. */
  readonly said: string;
}

/**
 * Reads a status line: `+OK` or `-ERR` in upper case, alone or followed by a space and text (RFC 1939 §3,
 * RFC 2449 §9). `+OKAY`, ` +OK` and `+ok` are something else.
 *
 * @returns null where the line is no status line
 */
export function parseReply(said: string): Reply | null {
  const parts = /^(\+OK|-ERR)(?: ([\s\S]*))?$/.exec(said);
  if (parts === null) return null;
  const text = parts[2] ?? '';
  const code = /^\[([^\]\s]+)\]/.exec(text);
  return { ok: parts[1] === '+OK', code: code === null ? null : (code[1] as string).toUpperCase(), text, said };
}

/**
 * The challenge of an AUTH exchange still in base 64, or null where the line is none (RFC 5034 §4). Exchange sends
 * the empty one as `+` without the space.
 */
export function parseChallenge(said: string): string | null {
  if (said === '+') return '';
  return said.startsWith('+ ') ? said.slice(2) : null;
}

/** What response codes mean, by code in upper case. */
export type Codes = Readonly<Record<string, Reason>>;

/** Those any command may be refused with (RFC 3206 §4). */
const SYSTEM_CODES: Codes = { 'SYS/TEMP': 'server-temporary', 'SYS/PERM': 'server-permanent' };

/** Those a logon may be refused with as well (RFC 2449 §8.1, RFC 3206 §5); elsewhere they mean nothing. */
export const LOGIN_CODES: Codes = {
  ...SYSTEM_CODES,
  AUTH: 'login-refused',
  'IN-USE': 'mailbox-in-use', // RFC 2449 §8.1.2: the authentication was good, another session holds the mailbox
  'LOGIN-DELAY': 'login-delay',
};

/**
 * The failure a `-ERR` stands for: its response code decides, else what the caller expects of a plain refusal.
 * An unknown lower level counts as the level above: `[SYS/TEMP/QUOTA]` is `SYS/TEMP` (RFC 2449 §8).
 */
export function refusal(reply: Reply, otherwise: Reason, codes: Codes = SYSTEM_CODES): ProbeFailure {
  return new ProbeFailure(meaningOf(reply, codes) ?? otherwise, '', { said: reply.said });
}

/** What a reply's code means there, or null. */
export function meaningOf({ code: whole }: Reply, codes: Codes = SYSTEM_CODES): Reason | null {
  let code = whole ?? '';
  while (code !== '' && codes[code] === undefined)
    code = code.includes('/') ? code.slice(0, code.lastIndexOf('/')) : '';
  return codes[code] ?? null;
}

/**
 * The reply, provided it is `+OK`.
 *
 * @throws ProbeFailure what `refusal` makes of a `-ERR`
 */
export function accept(reply: Reply, otherwise: Reason, codes: Codes = SYSTEM_CODES): Reply {
  if (!reply.ok) throw refusal(reply, otherwise, codes);
  return reply;
}

import { base64, join, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { Secret, STARS } from '../dialogue/secret.ts';

/** One line for the wire, CRLF included, and what a trace shows of it. */
export interface Line {
  readonly octets: Uint8Array;
  /** Without the line end, secrets as stars. */
  readonly shown: string;
  /** What a failure calls it: the command's keyword. */
  readonly keyword: string;
}

/** The longest command, CRLF included: RFC 2449 §4. Lines inside an AUTH exchange are not bounded (RFC 5034 §4). */
const LONGEST_COMMAND = 255;

/**
 * The one door to the wire: line`PASS ${password}`. Text goes out as UTF-8 (RFC 6856 §2). An argument with CR, LF,
 * NUL or another control character never gets there: it would be a second command of somebody else's choosing.
 *
 * @throws ProbeFailure `configuration` for such an argument, or for a command over 255 octets
 */
export function line(words: TemplateStringsArray, ...given: readonly (string | number | Secret)[]): Line {
  let sent = words[0] as string;
  let shown = sent;
  for (const [at, argument] of given.entries()) {
    const spelt = argument instanceof Secret ? argument.reveal() : String(argument);
    if (hasControl(spelt)) {
      const what = argument instanceof Secret ? 'the secret' : `the argument ${JSON.stringify(spelt)}`;
      throw new ProbeFailure('configuration', `${what} of ${keywordOf(sent)} has a control character`);
    }
    sent += spelt + (words[at + 1] as string);
    shown += (argument instanceof Secret ? STARS : spelt) + (words[at + 1] as string);
  }
  const octets = utf8(`${sent}\r\n`);
  if (octets.length > LONGEST_COMMAND) {
    const limit = `RFC 2449 allows ${LONGEST_COMMAND}`;
    throw new ProbeFailure('configuration', `${keywordOf(sent)} would be ${octets.length} octets long, ${limit}`);
  }
  return { octets, shown, keyword: keywordOf(sent) };
}

/** A client's response inside an AUTH exchange (RFC 5034 §4): always a secret, of any length. */
export function response(octets: Uint8Array): Line {
  return { octets: utf8(`${base64(octets)}\r\n`), shown: STARS, keyword: 'AUTH' };
}

/**
 * `AUTH mechanism initial-response` where that fits a command line, else null: then the mechanism is named alone
 * and the response follows the server's empty challenge (RFC 5034 §4). An empty response is written `=`.
 */
export function authWithResponse(mechanism: string, octets: Uint8Array): Line | null {
  const start = `AUTH ${mechanism} `;
  const whole = join(utf8(start), utf8(`${octets.length === 0 ? '=' : base64(octets)}\r\n`));
  return whole.length > LONGEST_COMMAND ? null : { octets: whole, shown: start + STARS, keyword: 'AUTH' };
}

const keywordOf = (command: string): string => command.split(' ', 1)[0] as string;

/** C0 controls and DEL. */
export function hasControl(spelt: string): boolean {
  for (let at = 0; at < spelt.length; at++) {
    const code = spelt.charCodeAt(at);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

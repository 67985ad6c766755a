import { base64, fromBase64, text, utf8 } from './bytes.ts';

/** What stands in the place of a secret wherever it would have been shown. */
export const STARS = '****';

/**
 * A password or token. Interpolated, logged or serialised by mistake it shows stars: a forgotten mark breaks the
 * logon, it never leaks.
 */
export class Secret {
  private readonly value: () => string;

  constructor(value: string) {
    // Held in a closure: an object dump (console.log, a crash report) shows a function, not the password.
    this.value = () => value;
  }

  /** The secret itself. Only what writes to the wire, and what searches output for it, has business calling this. */
  reveal(): string {
    return this.value();
  }

  toString(): string {
    return STARS;
  }

  toJSON(): string {
    return STARS;
  }
}

/** Replaces every secret in a text by stars. */
export type Mask = (shown: string) => string;

/**
 * Makes the mask for some secrets: servers echo what they were sent (mailutils returns an over-long command line
 * whole), in clear or as the base 64 of AUTH. A run of base 64 is decoded wherever the secret might sit in it, since
 * the same secret encodes in three ways depending on what stands before it.
 */
export function maskFor(secrets: readonly Secret[]): Mask {
  const known = secrets.map((secret) => secret.reveal()).filter((secret) => secret !== '');
  if (known.length === 0) return (shown) => shown;
  // Longest first, so that a secret that contains another is covered whole.
  known.sort((a, b) => b.length - a.length);
  // Six bits a digit: a shorter run cannot hold it.
  const holds = (run: string): boolean =>
    known.some((secret) => run.length * 6 >= secret.length * 8 - 6 && encodes(run, secret));
  return (shown) => {
    let masked = shown.replace(/[A-Za-z0-9+/]{4,}={0,2}/g, (run) => (holds(run) ? STARS : run));
    for (const secret of known) {
      masked = masked.split(secret).join(STARS);
      // A server that does not know UTF-8 may hand the octets back one by one.
      masked = masked.split(latin1(secret)).join(STARS);
    }
    return masked;
  };
}

/** Whether a run of base 64 carries a secret, at whatever alignment it was cut out of a longer line. */
function encodes(run: string, secret: string): boolean {
  if (run.includes(base64(utf8(secret)).replace(/=+$/, ''))) return true;
  const digits = run.replace(/=+$/, '');
  for (let skipped = 0; skipped < 4; skipped++) {
    const cut = digits.slice(skipped);
    const octets = fromBase64(cut.slice(0, cut.length - (cut.length % 4))) ?? new Uint8Array(0);
    if (text(octets).includes(secret) || text(octets).includes(latin1(secret))) return true;
    // The last, incomplete group may hold the secret's end.
    const rest = cut.length % 4;
    if (rest < 2) continue;
    const padded = fromBase64(`${cut.slice(0, -1)}${zeroed(cut.slice(-1), rest)}${'='.repeat(4 - rest)}`);
    if (padded && text(padded).includes(secret)) return true;
  }
  return false;
}

/** The last base 64 digit of an incomplete group with the bits cleared that encode nothing. */
function zeroed(digit: string, rest: number): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return digits[digits.indexOf(digit) & (rest === 2 ? 0b110000 : 0b111100)] as string;
}

const latin1 = (secret: string): string => Array.from(utf8(secret), (octet) => String.fromCharCode(octet)).join('');

import type { HttpAnswer } from './http.ts';

/** Nobody's quota takes longer to fill again; more is a slip, and must not keep a check from ever trying again. */
export const LONGEST_WAIT_MS = 3_600_000;

/** Retry-After (RFC 9110 §10.2.3), seconds or a date; a date is held against the server's clock where it tells it. */
export function retryAfter({ headers }: HttpAnswer): number | null {
  const written = headers['retry-after']?.trim() ?? '';
  if (/^\d+$/.test(written)) return Math.min(Number(written) * 1000, LONGEST_WAIT_MS);
  const then = dateIn(written);
  if (then === null) return null;
  return Math.min(Math.max(then - (dateIn(headers.date ?? '') ?? Date.now()), 0), LONGEST_WAIT_MS);
}

/** An HTTP-date (RFC 9110 §5.6.7) in milliseconds since 1970; Date.parse alone takes almost anything for one. */
function dateIn(written: string): number | null {
  const time = /^[A-Z][a-z]+, \d\d[ -][A-Z][a-z]{2}[ -]\d+ \d\d:\d\d:\d\d GMT$/.test(written)
    ? Date.parse(written)
    : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

import { fromBase64, text, utf8 } from '../dialogue/bytes.ts';

/** The message of the full test, and how any message is read: its header, and as much of MIME as ours may come back in. */

/** The header that carries the marker; the subject has it too, for mail systems that drop what they do not know. */
export const MARKER_HEADER = 'X-Pop-Connectivity';
export const SUBJECT_START = 'Test-PopConnectivity-';

/** What a message of ours is made of. */
export interface Letter {
  /** The marker as it is spelt. */
  readonly marker: string;
  readonly run: string;
  readonly from: string;
  readonly to: string;
  readonly sentAt: Date;
}

/**
 * The message as it is sent (RFC 5322): seven bits, CRLF, no line of the body over 76 octets, so that nobody on the way has a
 * reason to re-encode it. Its dots show whether dot-stuffing works both ways (RFC 5321 §4.5.2, RFC 1939 §3).
 */
export function composed(letter: Letter): Uint8Array {
  const headers = [
    `From: <${letter.from}>`,
    `To: <${letter.to}>`,
    `Subject: ${subjectOf(letter.marker)}`,
    `Date: ${letter.sentAt.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: ${messageIdOf(letter)}`,
    `${MARKER_HEADER}: ${letter.marker}`,
    'Auto-Submitted: auto-generated', // RFC 3834 §5: nobody's vacation answers it
    'X-Auto-Response-Suppress: All', // the same for Exchange
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    'Content-Transfer-Encoding: 7bit',
  ];
  return utf8([...headers, '', ...bodyOf(letter.marker), ''].join('\r\n'));
}

const subjectOf = (marker: string): string => SUBJECT_START + marker;

/** RFC 5322 §3.6.4: of the sender's domain, and the run's name makes it the only one. */
export const messageIdOf = ({ run, from }: Pick<Letter, 'run' | 'from'>): string =>
  `<${run}@${from.slice(from.lastIndexOf('@') + 1)}>`;

const bodyOf = (marker: string): readonly string[] => [
  'pop-connectivity sent this message to test POP3, looks for it, and deletes',
  'it. Nobody needs to read or answer it.',
  '',
  marker,
  '',
  '.This line begins with a dot, the next one is nothing else.',
  '.',
  'End of the test message.',
];

/** One field of a header, unfolded. */
export interface Field {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

/** The header of a message and the lines after it. What is no field is passed over: real headers are not all clean. */
export function parsed(lines: readonly string[]): { readonly header: Header; readonly body: readonly string[] } {
  const fields: { name: string; value: string }[] = [];
  let at = 0;
  for (; at < lines.length && lines[at] !== ''; at++) {
    const line = lines[at] as string;
    const last = fields[fields.length - 1];
    if (/^[ \t]/.test(line)) {
      const more = line.trim();
      // Long fields are folded right after the colon too: Exchange and Python write `Subject:` and nothing else.
      if (last !== undefined && more !== '') last.value += last.value === '' ? more : ` ${more}`;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon > 0)
      fields.push({ name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1).trim() });
  }
  return { header: new Header(fields), body: lines.slice(at + 1) };
}

/** The fields of a header by name. */
export class Header {
  private readonly fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.fields = fields;
  }

  /** Every field of that name, in lower case, from the top. */
  all(name: string): readonly string[] {
    return this.fields.filter((field) => field.name === name).map(({ value }) => value);
  }

  /** The one field of that name, or null where there is none or more than one: which of two is meant nobody knows. */
  only(name: string): string | null {
    const [value, ...more] = this.all(name);
    return value === undefined || more.length > 0 ? null : value;
  }

  has(name: string): boolean {
    return this.fields.some((field) => field.name === name);
  }
}

/** The addr-spec in a From or a recipient field, in lower case: `Probe <Probe@Example.com>` is probe@example.com. */
export const addressIn = (field: string): string => (/<([^<>]*)>/.exec(field)?.[1] ?? field).trim().toLowerCase();

/** The body as its reader sees it: the transfer encoding undone (RFC 2045 §6) where all of it is one part. */
export function decoded(header: Header, body: readonly string[]): readonly string[] {
  switch ((header.only('content-transfer-encoding') ?? '').toLowerCase()) {
    case 'quoted-printable':
      return fromQuotedPrintable(body);
    case 'base64': {
      const octets = fromBase64(body.join('').replace(/\s/g, ''));
      return octets === null ? body : text(octets).split(/\r?\n/);
    }
    default:
      return body;
  }
}

/** A line without the blanks at its end. No pattern: on a long run of blanks that is not the end one takes minutes. */
export function withoutBlankEnd(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  return line.slice(0, end);
}

const fromQuotedPrintable = (body: readonly string[]): readonly string[] =>
  body
    .map(withoutBlankEnd)
    .join('\n')
    .replace(/=\n/g, '')
    .replace(/=([0-9A-F]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    .split('\n');

/**
 * What has become of our message on its way, one clause each; none where it came as it was sent. Another transfer
 * encoding is no change, and neither are empty lines at the end.
 */
export function changesIn(header: Header, body: readonly string[], marker: string): readonly string[] {
  const changes: string[] = [];
  if (header.only('subject') !== subjectOf(marker)) changes.push('its subject was changed');
  if (header.only(MARKER_HEADER.toLowerCase()) !== marker) changes.push(`its ${MARKER_HEADER} was dropped`);
  const sent = bodyOf(marker);
  const came = withoutEmptyEnd(decoded(header, body));
  const from = came.indexOf(sent[0] as string);
  const whole = sent.every((line, at) => came[from + at] === line);
  if (/^multipart\//i.test(header.only('content-type') ?? ''))
    return [...changes, 'it was wrapped in a multipart message'];
  if (!whole) changes.push('its text was changed');
  else if (from > 0) changes.push(`${lineCount(from)} added before its text`);
  if (whole && came.length > from + sent.length) {
    changes.push(`${lineCount(came.length - from - sent.length)} added after its text`);
  }
  return changes;
}

const lineCount = (count: number): string => (count === 1 ? 'a line was' : `${count} lines were`);

function withoutEmptyEnd(lines: readonly string[]): readonly string[] {
  let end = lines.length;
  while (end > 0 && (lines[end - 1] as string).trim() === '') end--;
  return lines.slice(0, end);
}

/** Whether a body still carries the marker, in clear or in an encoding that a mail system may have chosen. */
export function carries(header: Header, body: readonly string[], marker: string): boolean {
  if (decoded(header, body).some((line) => line.includes(marker))) return true;
  if (fromQuotedPrintable(body).some((line) => line.includes(marker))) return true;
  return encodedParts(body).some((part) => part.includes(marker));
}

/** The parts of a multipart message that are written in base 64. */
function encodedParts(body: readonly string[]): readonly string[] {
  const parts: string[] = [''];
  for (const line of body) {
    if (/^[A-Za-z0-9+/]{4,}={0,2}$/.test(line)) parts[parts.length - 1] += line;
    else if (parts[parts.length - 1] !== '') parts.push('');
  }
  return parts.map((part) => {
    const octets = fromBase64(part);
    return octets === null ? '' : text(octets);
  });
}

/** One stage of a message's way, by the clock of the server that wrote it down. */
export interface Hop {
  readonly by: string;
  /** Since the stage before; the first since it was sent. Clocks differ: it may be negative. */
  readonly seconds: number;
}

/** The way of a message by its Received fields (RFC 5321 §4.4), the first stage first. An estimate: clocks differ. */
export function hopsIn(header: Header, sentAt: number): readonly Hop[] {
  let before = sentAt;
  const hops: Hop[] = [];
  for (const field of header.all('received').slice().reverse()) {
    const received = withoutComments(field);
    const date = received.slice(received.lastIndexOf(';') + 1).trim();
    // Date.parse takes `id 12` for a day of the year 2001.
    const when = DATE.test(date) ? Date.parse(date) : Number.NaN;
    if (Number.isNaN(when)) continue;
    const seconds = Math.round(when / 1000);
    hops.push({ by: /\bby ([^\s;()]+)/i.exec(received)?.[1] ?? 'unnamed', seconds: seconds - before });
    before = seconds;
  }
  return hops;
}

/** RFC 5322 §3.3, by and large: `Fri, 16 Jan 2026 12:00:00 +0000`, also with a zone by its name. */
const DATE = /^(?:[a-z]{3,9},\s*)?\d{1,2}\s+[a-z]{3,9}\s+\d{4}\s+\d{1,2}:\d{2}(?::\d{2})?\s+(?:[+-]\d{4}|[a-z]{1,5})$/i;

/** Comments may nest (RFC 5322 §3.2.2); nobody goes deeper. */
function withoutComments(field: string): string {
  let rest = field;
  for (let depth = 0; depth < 3; depth++) rest = rest.replace(/\([^()]*\)/g, ' ');
  return rest;
}

import { base64, text, utf8 } from '../../dialogue/bytes.ts';
import type { Address } from '../../dialogue/dialogue.ts';
import type { ProbeFailure, Reason } from '../../dialogue/failure.ts';
import type { PasswordCredential } from '../../sasl/mechanism.ts';
import { type ProxyTalk, proxyFailed, serverFailed } from './proxy-talk.ts';

/** An HTTP proxy says nothing until it is told where to. */
export async function enter(): Promise<void> {}

/**
 * Has a server connected to: CONNECT (RFC 9110 §9.3.6), with Basic credentials (RFC 7617) where there are any. Whatever
 * comes behind the header of an answer that grants it is the server's, whatever that header says of a body.
 */
export async function connect(
  talk: ProxyTalk,
  to: string | Address,
  port: number,
  credential: PasswordCredential | null,
): Promise<void> {
  const host = typeof to === 'string' ? to : to.family === 6 ? `[${to.address}]` : to.address;
  const lines = [`CONNECT ${host}:${port} HTTP/1.1`, `Host: ${host}:${port}`, ...authorization(credential)];
  talk.say(utf8(`${lines.join('\r\n')}\r\n\r\n`));
  for (;;) {
    const header = text(await talk.takeUntil(headerEnd)).split(/\r?\n/);
    const [statusLine = '', ...fields] = header;
    const status = Number(/^HTTP\/\d(?:\.\d)? (\d{3})(?: |$)/.exec(statusLine)?.[1]);
    if (Number.isNaN(status)) throw proxyFailed(NO_PROXY, statusLine);
    if (status >= 200 && status <= 299) return;
    // What is below is only on the way to an answer (RFC 9110 §15.2).
    if (status >= 200) throw refusal(status, statusLine, fields, credential !== null);
  }
}

const authorization = (credential: PasswordCredential | null): readonly string[] =>
  credential === null
    ? []
    : [`Proxy-Authorization: Basic ${base64(utf8(`${credential.userName}:${credential.password.reveal()}`))}`];

const NO_PROXY = 'what answers there is no HTTP proxy';
const LONGEST_HEADER = 8 * 1024;
const LF = 0x0a;
const CR = 0x0d;

/** How long the header is, with the empty line that ends it; a lone LF will do for a line end (RFC 9112 §2.2). */
function headerEnd(unread: Uint8Array): number | null {
  const begun = text(unread.subarray(0, 'HTTP/'.length));
  // Another service may say less than a line, and then wait for us.
  if (!'HTTP/'.startsWith(begun)) throw proxyFailed(NO_PROXY, firstLine(unread));
  for (let at = unread.indexOf(LF); at >= 0; at = unread.indexOf(LF, at + 1)) {
    const next = unread[at + 1] === CR ? at + 2 : at + 1;
    if (unread[next] === LF) return withinBounds(next + 1);
  }
  withinBounds(unread.length);
  return null;
}

function withinBounds(length: number): number {
  if (length <= LONGEST_HEADER) return length;
  throw proxyFailed(`the proxy’s answer has a header of more than ${LONGEST_HEADER} octets`);
}

const firstLine = (octets: Uint8Array): string => (text(octets).split(/\r?\n/, 1)[0] as string).slice(0, 512);

const NO_CONNECTION = 'the proxy gets no connection to the server: refused, out of reach, or a name it cannot resolve';

/** The statuses that tell of the server. */
const ABOUT_SERVER: Readonly<Record<number, readonly [Reason, string]>> = {
  502: ['unreachable', NO_CONNECTION],
  503: ['unreachable', NO_CONNECTION],
  504: ['timed-out', 'the server does not answer the proxy'],
};

function refusal(status: number, said: string, fields: readonly string[], hadCredential: boolean): ProbeFailure {
  // 401 is wrong for a proxy, but is what tinyproxy says to a wrong password; and 500 to whatever it cannot connect to.
  if (status === 407 || status === 401) return proxyFailed(logonRefused(fields, hadCredential), said);
  const isTinyproxys = status === 500 && /unable to connect/i.test(said);
  const [reason, words] = ABOUT_SERVER[isTinyproxys ? 502 : status] ?? [];
  if (reason !== undefined) return serverFailed(reason, words as string, said);
  if (status === 403) return proxyFailed('the proxy’s rules do not allow this connection', said);
  return proxyFailed(`the proxy will not connect for us (${status})`, said);
}

/** What is wrong with our credentials, or their absence. */
function logonRefused(fields: readonly string[], hadCredential: boolean): string {
  const wanted = fields.filter((field) => /^Proxy-Authenticate:/i.test(field));
  if (wanted.length > 0 && !wanted.some((field) => /[\s:,]Basic\b/i.test(field))) {
    const schemes = wanted.map((field) => /: *([\w-]*)/.exec(field)?.[1]);
    return `the proxy wants a logon by ${schemes.join(' or ')}, and we only have Basic`;
  }
  return hadCredential
    ? 'the proxy does not accept the user name and password'
    : 'the proxy wants a user name and password';
}

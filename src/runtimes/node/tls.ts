import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { Secured } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { TlsTerms } from '../../probe/world.ts';
import { trustSystem } from './authorities.ts';
import { builtin } from './builtin.ts';
import { chainOf, factsOf } from './certificate.ts';
import { faultsOf, isPinned } from './certificate-faults.ts';
import { failureOf } from './errors.ts';

/**
 * What a handshake needs of this machine: the authorities, our own certificate. It takes longer than the handshake, and
 * is done before the connection, so that no server is charged with it.
 *
 * @throws ProbeFailure `configuration`
 */
export function prepareTls({ authorities, clientCertificate, sni }: TlsTerms): SecureContext {
  // Node will ask this of the server name, and its pattern for IPv6 takes 4 ms to compile.
  if (sni !== null) builtin.net().isIP(sni);
  const likeness = JSON.stringify([authorities ?? process.env.SSL_CERT_FILE, clientCertificate]);
  const prepared = contexts.get(likeness) ?? contextFor({ authorities, clientCertificate });
  contexts.set(likeness, prepared);
  return prepared;
}

/** A run visits its server several times, and most servers of a sweep are trusted alike. */
const contexts = new Map<string, SecureContext>();

function contextFor({
  authorities,
  clientCertificate,
}: Pick<TlsTerms, 'authorities' | 'clientCertificate'>): SecureContext {
  try {
    const context = builtin.tls().createSecureContext({
      minVersion: 'TLSv1.2', // RFC 8996
      ...(authorities === null ? {} : { ca: authorities }),
      ...(clientCertificate === null ? {} : { cert: clientCertificate.certificate, key: clientCertificate.key }),
    });
    if (authorities === null) trustSystem(context);
    return context;
  } catch (error) {
    // What the border could not see: OpenSSL may take exception to what Node's parser let pass.
    throw new ProbeFailure('configuration', `TLS could not be set up: ${(error as Error).message}`);
  }
}

/**
 * Starts TLS as a client on a connected socket. A certificate at fault does not end the handshake: its facts belong
 * in the result, and the dialogue decides before another octet is sent. NODE_TLS_REJECT_UNAUTHORIZED has no say.
 *
 * @param hadSpoken whether the server has said anything in clear before
 * @param release called at the moment TLS takes the socket over
 * @throws ProbeFailure `tls-failed`, `plaintext-after-stls`, `hung-up` …
 */
export async function startTls(
  plain: Socket,
  terms: TlsTerms,
  secureContext: SecureContext,
  hadSpoken: boolean,
  release: () => void,
): Promise<{ readonly socket: TLSSocket; readonly secured: Secured }> {
  release();
  // Node would hand them to TLS as if they had come after our first octet.
  if (plain.readableLength > 0) throw goesOnInClear(hadSpoken);
  const socket = builtin.tls().connect({
    socket: plain,
    servername: terms.sni ?? '', // Node takes an empty one for none
    secureContext,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', (error: Error & { code?: string }) => reject(handshakeFailure(error, hadSpoken)));
    socket.once('close', () =>
      reject(new ProbeFailure('hung-up', 'the server closed the connection in the TLS handshake')),
    );
  });
  socket.removeAllListeners();
  return { socket, secured: shownBy(socket, terms) };
}

/**
 * What a server showed in a handshake that is over, and what is wrong with it.
 *
 * @throws ProbeFailure `tls-failed` where it showed no certificate
 */
export function shownBy(socket: TLSSocket, terms: TlsTerms): Secured {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) throw new ProbeFailure('tls-failed', 'the server shows no certificate');
  const now = new Date();
  // A pinned certificate stands alone: nothing else vouches for it.
  const chain = isPinned({ leaf, terms }) ? [leaf] : chainOf(leaf);
  const faults = faultsOf({ leaf, chain, terms, verifyError: verifyError(socket), now });
  const facts = {
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName ?? socket.getCipher().name,
    ...factsOf(leaf, chain, socket.authorized, now),
    authorized: faults.length === 0,
  };
  return { facts, faults, bindings: bindingsOf(socket) };
}

/** TLS 1.3 has an exporter for it (RFC 9266); before, the first Finished message of the handshake (RFC 5929 §3). */
function bindingsOf(socket: TLSSocket): ReadonlyMap<string, Uint8Array> {
  if (socket.getProtocol() === 'TLSv1.3') {
    return new Map([['tls-exporter', socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))]]);
  }
  // No session is ever taken up again, so the client's own is the first.
  const finished = socket.getFinished();
  return finished === undefined ? new Map() : new Map([['tls-unique', finished]]);
}

/** What OpenSSL holds against the chain, `SELF_SIGNED_CERT_IN_CHAIN`; Node's types call it an Error, it is a text. */
function verifyError(socket: TLSSocket): string | null {
  if (socket.authorized) return null;
  const problem = socket.authorizationError as unknown as string | Error | null;
  return typeof problem === 'string' ? problem : ((problem as { code?: string } | null)?.code ?? String(problem));
}

/** The failure behind an error in the handshake. */
function handshakeFailure(error: Error & { code?: string; reason?: string }, hadSpoken: boolean): ProbeFailure {
  const code = error.code ?? '';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return goesOnInClear(hadSpoken);
  }
  const words = HANDSHAKE[code];
  if (words !== undefined) return new ProbeFailure('tls-failed', `${words} (${code})`);
  if (code.startsWith('ERR_')) return new ProbeFailure('tls-failed', `${error.reason ?? error.message} (${code})`);
  return failureOf(error);
}

const goesOnInClear = (hadSpoken: boolean): ProbeFailure =>
  hadSpoken
    ? new ProbeFailure('plaintext-after-stls', 'the server went on in clear where TLS should begin', { phase: 'stls' })
    : new ProbeFailure('tls-failed', 'the server does not speak TLS on this port');

const HANDSHAKE: Readonly<Record<string, string>> = {
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the server has no TLS 1.2 or later',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the server has no TLS 1.2 or later',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the server shares no cipher with us, or wants a client certificate',
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'the server does not know the name it was asked for',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'the server demands a client certificate',
};

/**
 * An error on an open connection. TLS 1.3 lets a server refuse the client's certificate, or its absence, after the
 * handshake seemed done (RFC 8446 §4.4.2.4): that is TLS's fault, whatever was being waited for.
 */
export function lateFailure(error: Error & { code?: string }): ProbeFailure {
  if (error.code?.startsWith('ERR_SSL_') !== true) return failureOf(error);
  const wanted = error.code.includes('CERTIFICATE_REQUIRED')
    ? 'the server demands a client certificate'
    : 'TLS broke off';
  return new ProbeFailure('tls-failed', `${wanted} (${error.code})`, { phase: 'tls' });
}

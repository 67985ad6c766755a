import { usage } from '../dialogue/failure.ts';
import type { TlsTerms } from '../probe/world.ts';
import { type Host, parseHost } from './host.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';

/** On what terms the POP3 server is trusted, and what it is shown. */
export function parseTls(settings: Settings, server: Host, sources: Sources): TlsTerms {
  const sni = settings.sni === undefined ? server : parseHost('--sni', settings.sni, sources);
  return {
    identity: server.ascii.replace(/\.$/, ''),
    sni: sni.address === null ? sni.ascii.replace(/\.$/, '') : null,
    authorities:
      settings['ca-file'] === undefined ? null : sources.certificates('--ca-file', settings['ca-file'] as string),
    clientCertificate: parseClientCertificate(settings, sources, ''),
    pins: parsePins(settings, 'pin'),
  };
}

/** The pinned certificates of an option that may be repeated. */
export const parsePins = (settings: Settings, option: 'pin' | 'deliver-pin'): readonly string[] =>
  ((settings[option] as readonly string[] | undefined) ?? []).map((pin) => parsePin(pin, option));

/** A fingerprint as `openssl x509 -fingerprint -sha256` prints it: colons, case and a `sha256:` before it are free. */
function parsePin(given: string, option: string): string {
  const digits = given
    .toLowerCase()
    .replace(/^sha-?256[:=]/, '')
    .replace(/:/g, '');
  if (!/^[0-9a-f]{64}$/.test(digits))
    throw usage(
      `--${option} takes the SHA-256 fingerprint of a certificate, 64 hexadecimal digits, not ${JSON.stringify(given)}`,
    );
  return digits;
}

/**
 * The certificate we show and its key.
 *
 * @param prefix of the options: that of whom it is shown to
 */
export function parseClientCertificate(
  settings: Settings,
  sources: Sources,
  prefix: '' | 'deliver-',
): TlsTerms['clientCertificate'] {
  const [certificateOption, keyOption] = [`${prefix}client-certificate`, `${prefix}client-key`];
  const path = settings[certificateOption] as string | undefined;
  const keyPath = (settings[keyOption] as string | undefined) ?? path;
  if (path === undefined && keyPath === undefined) return null;
  if (path === undefined) throw usage(`--${keyOption} needs --${certificateOption}`);
  const certificate = sources.certificates(`--${certificateOption}`, path);
  return { certificate, key: sources.privateKey(`--${keyOption}`, keyPath as string, certificate) };
}

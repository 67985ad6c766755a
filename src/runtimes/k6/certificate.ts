import type { Certificate, Secured as Shown } from 'k6/x/pop3';
import type { Secured, TlsFacts } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';

/** What a server showed in the handshake, in the words of the dialogue. */
export function securedFrom(shown: Shown, now: Date): Secured {
  return {
    facts: factsFrom(shown, now),
    bindings: new Map(Object.entries(shown.bindings).filter((each): each is [string, Uint8Array] => each[1] != null)),
    faults: shown.faults.map(({ code, message }) => new ProbeFailure(`certificate-${code}`, message)),
  };
}

const DAY_MS = 86_400_000;

function factsFrom({ version, cipher, peerCertificates, trusted, authorized }: Shown, now: Date): TlsFacts {
  const [leaf] = peerCertificates as readonly [Certificate];
  // The first of the chain to go takes the others with it; where a way to a root was found, what lies beside it does not.
  const ends = peerCertificates.map(({ validTo }) => timeOf(validTo)).filter((end) => !trusted || end > now.getTime());
  return {
    protocol: version,
    cipher,
    subject: leaf.subject,
    issuer: leaf.issuer,
    names: leaf.names,
    validFrom: leaf.validFrom,
    validTo: leaf.validTo,
    daysLeft: ends.length === 0 ? 0 : hundredths((Math.min(timeOf(leaf.validTo), ...ends) - now.getTime()) / DAY_MS),
    lifetimeDays: hundredths((timeOf(leaf.validTo) - timeOf(leaf.validFrom)) / DAY_MS),
    fingerprint: leaf.fingerprint,
    authorized,
  };
}

const timeOf = (date: string): number => new Date(date).getTime();
const hundredths = (days: number): number => Math.floor(days * 100) / 100;

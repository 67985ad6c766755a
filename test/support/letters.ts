import { createHmac } from 'node:crypto';
import { text, utf8 } from '../../src/dialogue/bytes.ts';
import type { Dialogue, Note } from '../../src/dialogue/dialogue.ts';
import { type Marker, type Seal, signing, spelt } from '../../src/probe/marker.ts';
import { composed } from '../../src/probe/message.ts';
import type { Sender } from '../../src/probe/recognise.ts';

/** Messages of the full test as one machine and others would send them, under a key that everybody here knows. */

export const PROBE = 'probe@example.com';
/** Noon of a day in January, in seconds since 1970. */
export const NOW = Date.UTC(2026, 0, 16, 12) / 1000;
export const KEY = Uint8Array.from({ length: 32 }, (_, at) => at);
export const SEAL: Seal = { key: KEY, recipient: PROBE };
export const SENDER: Sender = { seal: SEAL, from: PROBE };

/** A marker of a run that began ten seconds ago and is its own for an hour, unless told otherwise. */
export const markerOf = (run: string, sentAt = NOW - 10, expiresAt = sentAt + 3600): Marker => ({
  run,
  sentAt,
  expiresAt,
});

/** A marker as it is written. */
export function signed(marker: Marker, seal: Seal = SEAL): string {
  const recipe = signing(marker, seal);
  if (recipe.compute !== 'hmac') throw new Error('markers are signed by HMAC');
  return spelt(marker, createHmac('sha256', recipe.key).update(recipe.octets).digest());
}

/** The octets of the message that carries a marker. */
export const letterWith = (marker: Marker, seal: Seal = SEAL): Uint8Array =>
  composed({
    marker: signed(marker, seal),
    run: marker.run,
    from: PROBE,
    to: seal.recipient,
    sentAt: new Date(marker.sentAt * 1000),
  });

/** The same as lines, without the line ends. */
export const linesOf = (octets: Uint8Array): string[] => text(octets).split('\r\n').slice(0, -1);

/** Carries a dialogue through that has nothing but computations in it. */
export function computed<T>(dialogue: Dialogue<T>): { readonly value: T; readonly notes: readonly Note[] } {
  const notes: Note[] = [];
  for (let step = dialogue.next(); ; step = dialogue.next()) {
    if (step.done) return { value: step.value, notes };
    const want = step.value;
    if (want.want === 'note') notes.push(want.note);
    else if (want.want === 'derive' && want.recipe.compute === 'hmac')
      want.slot.put(createHmac(want.recipe.algorithm, want.recipe.key).update(want.recipe.octets).digest());
    else throw new Error(`a ${want.want} is no computation`);
  }
}

/** The messages that conversations are about, by whose they are. */
export const LETTERS = {
  /** Of the run under way. */
  ours: { marker: markerOf('000000000000aaaa'), seal: SEAL },
  /** Of a run of this machine that has ended; nobody else may touch it yet. */
  ended: { marker: markerOf('000000000000bbbb', NOW - 600), seal: SEAL },
  /** Of another machine, on its way. */
  other: { marker: markerOf('000000000000cccc'), seal: SEAL },
  /** Of another machine, its time over. */
  expired: { marker: markerOf('000000000000dddd', NOW - 7200), seal: SEAL },
  /** Of somebody who does not have the key, though it names the run under way. */
  forged: { marker: markerOf('000000000000aaaa'), seal: { key: KEY.map((octet) => octet ^ 1), recipient: PROBE } },
} as const;

export type Letter = keyof typeof LETTERS;

export const nameOfRun = (run: string): string =>
  Object.entries(LETTERS).find(([, { marker }]) => marker.run === run)?.[0] ?? run;

/** A report about a message, as Postfix writes it. */
export const bounceOf = (message: Uint8Array, action: 'failed' | 'delayed' = 'failed'): Uint8Array =>
  utf8(
    [
      'Return-Path: <>',
      'From: MAILER-DAEMON@mx.example.com (Mail Delivery System)',
      `To: ${PROBE}`,
      'Subject: Undelivered Mail Returned to Sender',
      'Content-Type: multipart/report; report-type=delivery-status;',
      '\tboundary="4Xb1Zq0W3J/mx.example.com"',
      'Message-Id: <20260116120001.4Xb1Zq0W3J@mx.example.com>',
      '',
      '--4Xb1Zq0W3J/mx.example.com',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example.com',
      '',
      `Final-Recipient: rfc822; ${PROBE}`,
      `Action: ${action}`,
      'Status: 5.2.2',
      'Diagnostic-Code: smtp; 552 5.2.2 Quota exceeded',
      '',
      '--4Xb1Zq0W3J/mx.example.com',
      'Content-Type: message/rfc822',
      '',
      ...linesOf(message),
      '--4Xb1Zq0W3J/mx.example.com--',
      '',
    ].join('\r\n'),
  );

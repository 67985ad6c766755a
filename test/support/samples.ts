import type { TlsFacts } from '../../src/dialogue/dialogue.ts';
import type { RoundTrip, Succeeded } from '../../src/probe/result.ts';

/** A good certificate of ninety days, seventy-four and a half of them left, under TLS 1.3. */
export const GOOD_TLS: TlsFacts = {
  protocol: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  subject: 'CN=mail.example.com',
  issuer: 'CN=Example CA',
  names: ['mail.example.com'],
  validFrom: '2026-01-01T00:00:00.000Z',
  validTo: '2026-04-01T00:00:00.000Z',
  daysLeft: 74.5,
  lifetimeDays: 90,
  fingerprint: '00'.repeat(32),
  authorized: true,
};

/** A message that went its whole way. */
export const GOOD_TRIP: RoundTrip = {
  sentVia: 'smtp',
  sendMs: 210.4,
  deliveryMs: 1900,
  isEstimate: false,
  polls: 3,
  retrieved: true,
  deleted: true,
  verified: true,
  stale: 0,
  staleRemoved: 0,
  pending: 0,
  lost: 0,
  hops: [
    { by: 'smtp.example.com', seconds: 0 },
    { by: 'mail.example.com', seconds: 2 },
  ],
};

/** A logon that went well; what a group of tests says differently it says itself. */
export const GOOD_LOGON: Succeeded = {
  schema: 1,
  casServer: 'mail.example.com',
  mailboxServer: null,
  localSite: null,
  scenario: 'Test POP3 Connectivity',
  latencyMs: 2310.4,
  warnings: [],
  connectionType: 'tls',
  port: 110,
  address: '192.0.2.1',
  deadAddresses: [],
  userName: 'probe@example.com',
  startTime: '2026-01-16T12:00:00.000Z',
  phases: [
    { name: 'dns', ms: 2.4 },
    { name: 'connect', ms: 12.6 },
    { name: 'login', ms: 84 },
  ],
  tls: GOOD_TLS,
  capabilities: ['TOP', 'USER', 'SASL PLAIN'],
  mailbox: { messages: 3, octets: 4096 },
  roundTrip: null,
  result: 'Success',
  error: null,
};

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { text } from '../src/dialogue/bytes.ts';
import { parsed } from '../src/probe/message.ts';
import { isReport, reported } from '../src/probe/report.ts';
import { computed, KEY, letterWith, linesOf, markerOf, PROBE, SENDER, signed } from './support/letters.ts';

const OURS = markerOf('0123456789abcdef');
const MARKER = signed(OURS);
const SENT = linesOf(letterWith(OURS));
const SENT_HEADER = SENT.slice(0, SENT.indexOf(''));

const report = (lines: readonly string[]) => computed(reported(lines, SENDER, 'delivery')).value;
const lines = (spelt: string): string[] => spelt.replace(/^\n/, '').split('\n');
const ABOUT = { marker: OURS, spelt: MARKER };

const POSTFIX = [
  ...lines(`
Return-Path: <>
X-Original-To: probe@example.com
Delivered-To: probe@example.com
Received: by mx.example.com (Postfix)
\tid 4Xb1Zq0W3J; Fri, 16 Jan 2026 12:00:01 +0000 (UTC)
Date: Fri, 16 Jan 2026 12:00:01 +0000 (UTC)
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: probe@example.com
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4Xb1Zq0W3J.1768564801/mx.example.com"
Content-Transfer-Encoding: 8bit
Message-Id: <20260116120001.4Xb1Zq0W3J@mx.example.com>

This is a MIME-encapsulated message.

--4Xb1Zq0W3J.1768564801/mx.example.com
Content-Description: Notification
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

This is the mail system at host mx.example.com.

<probe@example.com>: host store.example.com[private/dovecot-lmtp] said: 552 5.2.2
    <probe@example.com> Quota exceeded (mailbox for user is full) (in reply to
    end of DATA command)

--4Xb1Zq0W3J.1768564801/mx.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 4Xb1Zq0W3J
X-Postfix-Sender: rfc822; probe@example.com
Arrival-Date: Fri, 16 Jan 2026 12:00:00 +0000 (UTC)

Final-Recipient: rfc822; probe@example.com
Original-Recipient: rfc822;probe@example.com
Action: failed
Status: 5.2.2
Remote-MTA: dns; store.example.com
Diagnostic-Code: smtp; 552 5.2.2 <probe@example.com> Quota exceeded (mailbox
    for user is full)

--4Xb1Zq0W3J.1768564801/mx.example.com
Content-Description: Undelivered Message
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Return-Path: <probe@example.com>
Received: from client.example.com (client.example.com [192.0.2.7])
\tby mx.example.com (Postfix) with ESMTPSA id 4Xb1Zq0W3J
\tfor <probe@example.com>; Fri, 16 Jan 2026 12:00:00 +0000 (UTC)`),
  ...SENT,
  '',
  '--4Xb1Zq0W3J.1768564801/mx.example.com--',
];

const POSTFIX_DELAYED = POSTFIX.map((line) =>
  line
    .replace('Action: failed', 'Action: delayed')
    .replace('Content-Type: message/rfc822', 'Content-Type: text/rfc822-headers')
    .replace('Undelivered Mail Returned to Sender', 'Delayed Mail (still being retried)')
    .replace('Status: 5.2.2', 'Status: 4.4.1')
    .replace('smtp; 552 5.2.2 <probe@example.com> Quota exceeded (mailbox', 'X-Postfix; connect to store.example.com:')
    .replace('    for user is full)', '    Connection refused'),
).filter((line) => !SENT.slice(SENT.indexOf('') + 1).includes(line) || line === '');

const EXIM = [
  ...lines(`
Return-path: <>
Envelope-to: probe@example.com
Delivery-date: Fri, 16 Jan 2026 12:00:02 +0000
Received: from Debian-exim by exim.example.net with local (Exim 4.97)
\tid 1tYabd-000000001R0-1AbC
\tfor probe@example.com;
\tFri, 16 Jan 2026 12:00:02 +0000
X-Failed-Recipients: probe@example.com
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@exim.example.net>
To: probe@example.com
References: <0123456789abcdef@example.com>
Content-Type: multipart/report; report-type=delivery-status; boundary=1768564802-eximdsn-1804289383
MIME-Version: 1.0
Subject: Mail delivery failed: returning message to sender
Message-Id: <E1tYabd-000000001R0-1AbC@exim.example.net>
Date: Fri, 16 Jan 2026 12:00:02 +0000

--1768564802-eximdsn-1804289383
Content-type: text/plain; charset=us-ascii

This message was created automatically by mail delivery software.

--1768564802-eximdsn-1804289383
Content-type: message/delivery-status

Reporting-MTA: dns; exim.example.net

Action: failed
Final-Recipient: rfc822;probe@example.com
Status: 5.0.0
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 550 5.1.1 <probe@example.com>: Recipient address rejected: User unknown

--1768564802-eximdsn-1804289383
Content-type: message/rfc822

Return-path: <probe@example.com>`),
  ...SENT,
  '',
  '--1768564802-eximdsn-1804289383--',
];

const EXCHANGE = [
  ...lines(`
Received: from AM0PR01MB1234.eurprd01.prod.exchangelabs.com (::1) by
 VI1PR01MB5678.eurprd01.prod.exchangelabs.com with HTTPS; Fri, 16 Jan 2026
 12:00:03 +0000
MIME-Version: 1.0
From: <postmaster@example.com>
To: <probe@example.com>
Date: Fri, 16 Jan 2026 12:00:03 +0000
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="03b8e7a4-5f3c-4b07-9d66-2a5a0b7d4e11"
Content-Language: en-US
Message-ID:
 <b5f1f3a0-9d2e-4f4b-8a3e-1c2d3e4f5a6b@AM0PR01MB1234.eurprd01.prod.exchangelabs.com>
In-Reply-To: <0123456789abcdef@example.com>
References: <0123456789abcdef@example.com>
Subject: Undeliverable: Test-PopConnectivity-${MARKER}
Auto-Submitted: auto-replied

--03b8e7a4-5f3c-4b07-9d66-2a5a0b7d4e11
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="6f2bb9c1-2222-4a4c-9a9a-7c0d0e0f1011"

--6f2bb9c1-2222-4a4c-9a9a-7c0d0e0f1011
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Delivery has failed to these recipients or groups:

--6f2bb9c1-2222-4a4c-9a9a-7c0d0e0f1011
Content-Type: text/html; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

<html><body>Delivery has failed</body></html>

--6f2bb9c1-2222-4a4c-9a9a-7c0d0e0f1011--

--03b8e7a4-5f3c-4b07-9d66-2a5a0b7d4e11
Content-Type: message/delivery-status

Reporting-MTA: dns;AM0PR01MB1234.eurprd01.prod.exchangelabs.com
Received-From-MTA: dns;DB7PR01MB1111.eurprd01.prod.exchangelabs.com
Arrival-Date: Fri, 16 Jan 2026 12:00:02 +0000

Final-Recipient: rfc822;Probe@example.com
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp;554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException

--03b8e7a4-5f3c-4b07-9d66-2a5a0b7d4e11
Content-Type: message/rfc822

Received: from DB7PR01MB1111.eurprd01.prod.exchangelabs.com
 (2603:10a6:208:160::25) by AM0PR01MB1234.eurprd01.prod.exchangelabs.com with
 HTTPS; Fri, 16 Jan 2026 12:00:02 +0000`),
  ...SENT,
  '',
  '--03b8e7a4-5f3c-4b07-9d66-2a5a0b7d4e11--',
];

const GMAIL = [
  ...lines(`
Return-Path: <>
Received: from mail-sor-f69.google.com (mail-sor-f69.google.com. [209.85.220.69])
        by mx.google.com with SMTPS id b20sor1234567ede.1
        for <probe@example.com>;
        Fri, 16 Jan 2026 04:00:04 -0800 (PST)
Content-Type: multipart/report; boundary="0000000000001a2b3c0628f0aaaa"; report-type=delivery-status
To: probe@example.com
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
References: <0123456789abcdef@example.com>
In-Reply-To: <0123456789abcdef@example.com>
X-Failed-Recipients: probe@example.com
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
Message-ID: <6968f0aa.050a0220.1b2c3d.4e5f.GMR@mx.google.com>
Date: Fri, 16 Jan 2026 04:00:04 -0800 (PST)

--0000000000001a2b3c0628f0aaaa
Content-Type: multipart/related; boundary="0000000000001a2b3d0628f0bbbb"

--0000000000001a2b3d0628f0bbbb
Content-Type: text/plain; charset="UTF-8"

** Address not found **

--0000000000001a2b3d0628f0bbbb--
--0000000000001a2b3c0628f0aaaa
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Fri, 16 Jan 2026 04:00:03 -0800 (PST)
X-Original-Message-ID: <0123456789abcdef@example.com>

Final-Recipient: rfc822; probe@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.com. (192.0.2.25, the server for the domain example.com.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.
Last-Attempt-Date: Fri, 16 Jan 2026 04:00:04 -0800 (PST)

--0000000000001a2b3c0628f0aaaa
Content-Type: message/rfc822
`),
  ...SENT,
  '',
  '--0000000000001a2b3c0628f0aaaa--',
];

describe('a report about our message', () => {
  test.each([
    ['of Postfix', POSTFIX, 'failed', '552 5.2.2 <probe@example.com> Quota exceeded (mailbox for user is full)'],
    ['of Postfix, that it is late', POSTFIX_DELAYED, 'delayed', 'connect to store.example.com: Connection refused'],
    ['of Exim', EXIM, 'failed', '550 5.1.1 <probe@example.com>: Recipient address rejected: User unknown'],
    [
      'of Exchange, which has no Return-Path',
      EXCHANGE,
      'failed',
      '554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException',
    ],
    ['of Gmail', GMAIL, 'failed', '550-5.1.1 The email account that you tried to reach does not exist.'],
    ['without a diagnostic', EXIM.filter((line) => !line.startsWith('Diagnostic')), 'failed', '5.0.0'],
    [
      'with neither diagnostic nor status',
      EXIM.filter((line) => !/^(Diagnostic|Status)/.test(line)),
      'failed',
      'no diagnostic',
    ],
    [
      'cut off in the text of what it quotes, as TOP gives it',
      POSTFIX.slice(0, -4),
      'failed',
      '552 5.2.2 <probe@example.com> Quota exceeded (mailbox for user is full)',
    ],
    [
      'with the header of ours alone',
      [...EXIM.slice(0, EXIM.indexOf(SENT[0] as string)), ...SENT_HEADER].map((line) =>
        line.replace('message/rfc822', 'text/rfc822-headers'),
      ),
      'failed',
      '550 5.1.1 <probe@example.com>: Recipient address rejected: User unknown',
    ],
    [
      'in the form for addresses beyond ASCII (RFC 6533)',
      EXIM.map((line) =>
        line
          .replace('message/delivery-status', 'message/global-delivery-status')
          .replace('message/rfc822', 'message/global'),
      ),
      'failed',
      '550 5.1.1 <probe@example.com>: Recipient address rejected: User unknown',
    ],
    [
      'among those about others',
      EXIM.flatMap((line) =>
        line === 'Action: failed'
          ? ['Action: delivered', 'Final-Recipient: rfc822;alice@example.net', '', line]
          : [line],
      ),
      'failed',
      '550 5.1.1 <probe@example.com>: Recipient address rejected: User unknown',
    ],
  ])('%s is understood', (_, dsn, action, diagnostic) => {
    expect(isReport(parsed(dsn).header)).toBe(true);
    expect(report(dsn)).toEqual({ about: ABOUT, action, diagnostic });
  });

  test('is understood whatever the boundary looks like, as long as it is the one named', () => {
    for (const boundary of ['b', "a'()+_,-./:=? z", '--', '=_x']) {
      const dsn = EXIM.map((line) =>
        line
          .replace('boundary=1768564802-eximdsn-1804289383', () => `boundary="${boundary}"`)
          .replace('1768564802-eximdsn-1804289383', () => boundary),
      );
      expect(report(dsn)?.action, boundary).toBe('failed');
    }
  });
});

describe('no report about our message', () => {
  const replaced = (what: string, by: string): string[] => EXIM.map((line) => line.replace(what, () => by));
  const without = (part: string): string[] => {
    const marks = EXIM.flatMap((line, at) => (/^--1768564802-/.test(line) ? [at] : []));
    const from = marks.find((at) => (EXIM[at + 1] ?? '').includes(part)) as number;
    const to = marks.find((at) => at > from) as number;
    return [...EXIM.slice(0, from), ...EXIM.slice(to)];
  };
  const forged = signed(OURS, { key: KEY.map((octet) => octet ^ 1), recipient: PROBE });
  test.each<[string, readonly string[]]>([
    ['one about somebody else', replaced('rfc822;probe@example.com', 'rfc822;alice@example.net')],
    [
      'one about an address that only begins as ours',
      replaced('rfc822;probe@example.com', 'rfc822;probe@example.com.example.net'),
    ],
    ['one whose marker is forged', EXIM.map((line) => line.replace(MARKER, forged))],
    [
      'one whose marker is that of another mailbox',
      EXIM.map((line) => line.replace(MARKER, signed(OURS, { key: KEY, recipient: 'alice@example.com' }))),
    ],
    [
      'one that quotes a message with another Message-ID and another sender',
      EXIM.map((line) =>
        line
          .replace('Message-ID: <0123456789abcdef@', 'Message-ID: <fedcba9876543210@')
          .replace('From: <probe@example.com>', 'From: <somebody@example.com>'),
      ),
    ],
    [
      'one that quotes a message with another Message-ID and the marker in its subject alone',
      EXIM.filter((line) => !line.startsWith('X-Pop-Connectivity')).map((line) =>
        line.replace('Message-ID: <0123456789abcdef@', 'Message-ID: <fedcba9876543210@'),
      ),
    ],
    [
      'one with our field twice in what it quotes',
      EXIM.flatMap((line) => (line.startsWith('X-Pop-Connectivity') ? [line, line] : [line])),
    ],
    ['one that says it was delivered', replaced('Action: failed', 'Action: delivered')],
    ['one that says it was relayed', replaced('Action: failed', 'Action: relayed')],
    ['one without an action', EXIM.filter((line) => !line.startsWith('Action'))],
    ['one with two actions', EXIM.flatMap((line) => (line === 'Action: failed' ? [line, 'Action: delayed'] : [line]))],
    ['one that quotes nothing', without('message/rfc822')],
    ['one without a status', without('message/delivery-status')],
    [
      'one whose quoted message stands in its text',
      EXIM.map((line) => line.replace('Content-type: message/rfc822', 'Content-type: text/plain')),
    ],
    ['one whose parts have another boundary', replaced('boundary=1768564802-eximdsn-1804289383', 'boundary=another')],
    ['one without a boundary', replaced('; boundary=1768564802-eximdsn-1804289383', '')],
    ['one whose boundary is empty', replaced('boundary=1768564802-eximdsn-1804289383', 'boundary=""')],
    [
      'one that is over before its parts',
      EXIM.flatMap((line, at) =>
        EXIM[at - 1] === '' && line.startsWith('--1768564802') && at < 20 ? [`${line}--`, line] : [line],
      ),
    ],
    ['one with another content type as well', ['Content-Type: text/plain', ...EXIM]],
    ['our own message', SENT],
    ['nothing', []],
  ])('%s', (_, dsn) => {
    expect(report(dsn)).toBeNull();
  });

  test.each<[string, readonly string[]]>([
    ['that somebody can answer', replaced('Return-path: <>', 'Return-Path: <alice@example.net>')],
    ['that somebody can answer, with an empty path beside', ['Return-Path: <alice@example.net>', ...EXIM]],
    ['about having been read', replaced('report-type=delivery-status', 'report-type=disposition-notification')],
    ['of no type', replaced('report-type=delivery-status; ', '')],
    ['that is plain text', replaced('multipart/report', 'text/plain')],
    ['that is mixed', replaced('multipart/report', 'multipart/mixed')],
    ['that is another kind of report', replaced('multipart/report', 'multipart/reported')],
  ])('is one %s', (_, dsn) => {
    expect(isReport(parsed(dsn).header)).toBe(false);
  });

  test('comes of any octets', () => {
    const piece = fc.constantFrom(
      '--b\r\n',
      '--b--\r\n',
      '\r\n',
      'Content-Type: message/delivery-status\r\n',
      'Content-Type: message/rfc822\r\n',
      'Final-Recipient: rfc822;probe@example.com\r\n',
      'Action: failed\r\n',
      'X-Pop-Connectivity: ',
      `${MARKER.slice(0, -1)}`,
      'Message-ID: <0123456789abcdef@x>\r\n',
    );
    const octets = fc
      .array(
        fc.oneof(
          fc.uint8Array({ maxLength: 20 }),
          piece.map((spelt) => Buffer.from(spelt)),
        ),
        { maxLength: 40 },
      )
      .map((parts) => Buffer.concat(parts));
    fc.assert(
      fc.property(octets, (body) => {
        fc.pre(!body.includes(MARKER));
        const dsn = [
          'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
          '',
          ...text(body).split('\r\n'),
        ];
        expect(isReport(parsed(dsn).header)).toBe(true);
        expect(report(dsn)).toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['blanks and something after them', `--1768564802-eximdsn-1804289383${' '.repeat(500_000)}x`],
    ['dashes', '-'.repeat(500_000)],
  ])('holds a run up by a line of half a million %s', (_, line) => {
    const began = Date.now();
    expect(report([...EXIM.slice(0, 18), line, ...EXIM.slice(18)])?.action).toBe('failed');
    expect(Date.now() - began).toBeLessThan(1000);
  });
});

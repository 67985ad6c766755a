import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { text } from '../src/dialogue/bytes.ts';
import { parsed } from '../src/probe/message.ts';
import { recognised, type Sender } from '../src/probe/recognise.ts';
import { computed, KEY, letterWith, linesOf, markerOf, NOW, PROBE, SENDER, signed } from './support/letters.ts';

const OURS = markerOf('0123456789abcdef');
const MARKER = signed(OURS);
const SENT = linesOf(letterWith(OURS));

const ours = (lines: readonly string[], sender: Sender = SENDER) =>
  computed(recognised(parsed(lines).header, sender, 'delivery')).value;

/** The message with one field changed, dropped (null) or put in front. */
const withField = (name: string, value: string | null): string[] => {
  const isIt = (line: string): boolean => line.toLowerCase().startsWith(`${name.toLowerCase()}:`);
  const others = SENT.filter((line) => !isIt(line));
  return value === null ? others : [`${name}: ${value}`, ...others];
};
const alsoField = (...fields: readonly string[]): string[] => [...fields, ...SENT];
const but = (lines: readonly string[], ...changes: readonly [string, string | null][]): string[] =>
  changes.reduce<string[]>(
    (all, [name, value]) => {
      const others = all.filter((line) => !line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
      return value === null ? others : [`${name}: ${value}`, ...others];
    },
    [...lines],
  );

const REWRITTEN = '<AM0PR01MB1234@AM0PR01MB1234.eurprd01.prod.exchangelabs.com>';
const SUBJECT = `Test-PopConnectivity-${MARKER}`;

describe('a message is known as ours', () => {
  test.each<[string, readonly string[]]>([
    ['as it was sent', SENT],
    [
      'with what a mail system adds on top',
      alsoField(
        'Return-Path: <probe@example.com>',
        'Delivered-To: probe@example.com',
        'Received: from mx.example.com by store.example.com; Fri, 16 Jan 2026 12:00:01 +0000',
        'X-Spam-Status: No, score=-1.0',
        'Authentication-Results: mx.example.com; dkim=pass',
        'DKIM-Signature: v=1; h=from:to:subject:message-id;',
        '\tb=AbCd=',
      ),
    ],
    ['with [SPAM] before its subject', withField('Subject', `[SPAM] ${SUBJECT}`)],
    ['with a remark after its subject', withField('Subject', `${SUBJECT} [EXTERNAL]`)],
    ['with another subject altogether', withField('Subject', 'Quarantined')],
    ['with its subject gone', withField('Subject', null)],
    ['with its field gone', withField('X-Pop-Connectivity', null)],
    ['with its field in another case', but(SENT, ['X-Pop-Connectivity', null], ['x-POP-connectivity', MARKER])],
    [
      'with its field and its Message-ID folded after the colon, as Exchange does',
      SENT.map((line) => line.replace(/^((?:X-Pop-Connectivity|Message-ID|Subject):) /, '$1\n\t'))
        .join('\n')
        .split('\n'),
    ],
    ['with a Message-ID of Exchange, sent by Graph', withField('Message-ID', REWRITTEN)],
    [
      'with a Message-ID of Exchange, its clock two minutes behind',
      but(SENT, ['Message-ID', REWRITTEN], ['Date', 'Fri, 16 Jan 2026 11:57:50 +0000']),
    ],
    [
      'with a Message-ID of Exchange, and its sender with a name',
      but(SENT, ['Message-ID', REWRITTEN], ['From', 'Probe <Probe@Example.com>']),
    ],
    ['with no Message-ID, but our field, sender and date', withField('Message-ID', null)],
    [
      'with lines in its header that are no fields',
      alsoField('>From somebody', 'odd', '\xe9\xff: 8 bit', '\0\0: NUL', ' fold'),
    ],
    ['wrapped, its header kept, as a spam filter does', withField('Content-Type', 'multipart/mixed; boundary=x')],
  ])('%s', (_, lines) => {
    expect(ours(lines)).toEqual({ marker: OURS, spelt: MARKER });
  });

  test('when its time is over too: who may remove it is for others to say', () => {
    const expired = markerOf('0123456789abcdef', NOW - 90_000, NOW - 86_400);
    expect(ours(linesOf(letterWith(expired)))?.marker).toEqual(expired);
  });
});

describe('a message is somebody else\u2019s', () => {
  const forged = signed(OURS, { key: KEY.map((octet) => octet ^ 1), recipient: PROBE });
  const foreign = [
    'From: <alice@example.net>',
    'To: <probe@example.com>',
    'Date: Fri, 16 Jan 2026 12:00:00 +0000',
    'Message-ID: <1@example.net>',
  ];
  test.each<[string, readonly string[]]>([
    ['with nothing of ours', [...foreign, 'Subject: Hello', '', 'Hello']],
    ['signed with another key', linesOf(letterWith(OURS, { key: KEY.map((octet) => octet ^ 1), recipient: PROBE }))],
    ['that was for another mailbox', linesOf(letterWith(OURS, { key: KEY, recipient: 'alice@example.com' }))],
    [
      'with one digit of its marker altered',
      SENT.map((line) =>
        line.replace(
          MARKER,
          MARKER.replace(/.$/, (end) => (end === '0' ? '1' : '0')),
        ),
      ),
    ],
    [
      'with a forged marker in field and subject',
      but(SENT, ['X-Pop-Connectivity', forged], ['Subject', `Test-PopConnectivity-${forged}`]),
    ],
    ['with a forged field and our subject', withField('X-Pop-Connectivity', forged)],
    ['with our field and a forged subject', withField('Subject', `Test-PopConnectivity-${forged}`)],
    [
      'with our field and the subject of another run of ours',
      withField('Subject', `Test-PopConnectivity-${signed(markerOf('fedcba9876543210'))}`),
    ],
    ['with our field and a subject of ours that was cut', withField('Subject', SUBJECT.slice(0, -1))],
    ['with our field twice', alsoField(`X-Pop-Connectivity: ${MARKER}`)],
    ['with our field and a forged one', alsoField(`X-Pop-Connectivity: ${forged}`)],
    ['with our field and an empty one', alsoField('X-Pop-Connectivity:')],
    ['with our field twice and no subject', but(alsoField(`x-pop-connectivity: ${MARKER}`), ['Subject', null])],
    [
      'that replies to ours',
      [...foreign, `Subject: Re: ${SUBJECT}`, 'In-Reply-To: <0123456789abcdef@example.com>', '', MARKER],
    ],
    [
      'that replies to ours by a client that copies every field',
      alsoField('In-Reply-To: <0123456789abcdef@example.com>'),
    ],
    ['that belongs to a thread', alsoField('References: <0123456789abcdef@example.com>')],
    ['that replies without saying so', [...foreign, `Subject: Re: ${SUBJECT}`, '', MARKER]],
    ['that forwards ours', [...foreign, `Subject: Fwd: ${SUBJECT}`, '', ...SENT]],
    [
      'that forwards ours with our field in its header',
      [...foreign, `Subject: Fwd: ${SUBJECT}`, `X-Pop-Connectivity: ${MARKER}`, '', ...SENT],
    ],
    [
      'that has ours attached',
      [
        ...foreign,
        'Subject: See this',
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: message/rfc822',
        '',
        ...SENT,
        '--b--',
      ],
    ],
    [
      'with our field and subject, by another sender with a Message-ID of his own',
      but(SENT, ['Message-ID', '<1@example.net>'], ['From', 'alice@example.net']),
    ],
    [
      'with our field and subject, of the day after',
      but(SENT, ['Message-ID', REWRITTEN], ['Date', 'Sat, 17 Jan 2026 12:00:00 +0000']),
    ],
    [
      'with our field and subject, of the day before',
      but(SENT, ['Message-ID', REWRITTEN], ['Date', 'Thu, 15 Jan 2026 12:00:00 +0000']),
    ],
    [
      'with our field and subject, a Message-ID of its own and no date',
      but(SENT, ['Message-ID', REWRITTEN], ['Date', null]),
    ],
    [
      'with our field and subject, a Message-ID of its own and two senders',
      ['From: alice@example.net', ...withField('Message-ID', REWRITTEN)],
    ],
    [
      'with our subject alone and a Message-ID of its own',
      but(SENT, ['Message-ID', REWRITTEN], ['X-Pop-Connectivity', null]),
    ],
    [
      'with two Message-IDs and another sender',
      but(alsoField('Message-ID: <1@example.net>'), ['From', 'alice@example.net']),
    ],
    [
      'with our run at the end of its Message-ID',
      but(SENT, ['Message-ID', '<x0123456789abcdef@example.com>'], ['From', 'alice@example.net']),
    ],
    [
      'with more than our run in its Message-ID',
      but(SENT, ['Message-ID', '<0123456789abcdef0@example.com>'], ['From', 'alice@example.net']),
    ],
    [
      'that reports about ours',
      [
        ...foreign,
        'Subject: Undelivered Mail Returned to Sender',
        'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
        '',
        '--b',
        'Content-Type: message/rfc822',
        '',
        ...SENT,
        '--b--',
      ],
    ],
    [
      'that reports about ours, with every field of ours',
      withField('Content-Type', 'multipart/report; report-type=delivery-status; boundary=b'),
    ],
    [
      'with the marker in its text alone',
      [...foreign, 'Subject: Hello', '', MARKER, SUBJECT, `X-Pop-Connectivity: ${MARKER}`],
    ],
    ['with our header after an empty line', ['X-Nothing: here', '', ...SENT]],
    ['with a NUL in the name of our field', [...foreign, `X-Pop\0-Connectivity: ${MARKER}`, '']],
    [
      'with our field folded in the middle of the marker',
      but(SENT, ['X-Pop-Connectivity', null]).flatMap((line, at) =>
        at === 0 ? [line, `X-Pop-Connectivity: ${MARKER.slice(0, 20)}`, ` ${MARKER.slice(20)}`] : [line],
      ),
    ],
    ['with the marker in capitals', SENT.map((line) => line.replace(MARKER, MARKER.toUpperCase()))],
    ['with an empty header', ['', ...SENT]],
    ['with nothing in it', []],
  ])('%s', (_, lines) => {
    expect(ours(lines)).toBeNull();
  });

  test('once another sender is looked for', () => {
    expect(ours(withField('Message-ID', REWRITTEN), { ...SENDER, from: 'other@example.com' })).toBeNull();
  });
});

describe('whatever arrives', () => {
  const someField = fc.constantFrom(
    'Subject: Test-PopConnectivity-',
    'X-Pop-Connectivity: ',
    'Message-ID: <0123456789abcdef@',
    'From: probe@example.com',
    'Date: Fri, 16 Jan 2026 12:00:00 +0000',
    '\r\n',
    '\r\n\r\n',
    MARKER.slice(0, -1),
    ...MARKER.split('-').map((part) => `${part}-`),
  );
  const octets = fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        someField.map((spelt) => Buffer.from(spelt)),
      ),
      { maxLength: 30 },
    )
    .map((parts) => Buffer.concat(parts));

  test('without a signature nothing is ever ours, and nothing is thrown', () => {
    fc.assert(
      fc.property(octets, (message) => {
        fc.pre(!message.includes(MARKER));
        expect(ours(text(message).split('\r\n'))).toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  test('any octets before the header, between its fields or in their names are met with patience', () => {
    fc.assert(
      fc.property(octets, fc.nat(SENT.length), (odd, at) => {
        const lines = [...SENT.slice(0, at), ...text(odd).split('\r\n'), ...SENT.slice(at)];
        const found = ours(lines);
        if (found !== null) expect(found).toEqual({ marker: OURS, spelt: MARKER });
      }),
      { numRuns: 1000 },
    );
  });
});

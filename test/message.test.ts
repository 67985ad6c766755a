import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressIn, carries, changesIn, composed, decoded, hopsIn, parsed } from '../src/probe/message.ts';
import { letterWith, linesOf, markerOf, NOW, signed } from './support/letters.ts';

const OURS = markerOf('0123456789abcdef');
const MARKER = signed(OURS);
const SENT = linesOf(letterWith(OURS));
const END_OF_HEADER = SENT.indexOf('');
const HEADER = SENT.slice(0, END_OF_HEADER);
const BODY = SENT.slice(END_OF_HEADER + 1);

const headerWithout = (...names: readonly string[]): string[] =>
  HEADER.filter((line) => !names.includes(line.slice(0, line.indexOf(':')).toLowerCase()));
const message = (header: readonly string[], body: readonly string[]) => parsed([...header, '', ...body]);
const changes = (header: readonly string[], body: readonly string[]): readonly string[] => {
  const { header: came, body: lines } = message(header, body);
  return changesIn(came, lines, MARKER);
};

/** Bodies as mail systems re-encode them. */
const quotedPrintable = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const encoded = line.replace(/=/g, '=3D').replace(/^\./, '=2E');
    return encoded.length <= 40 ? [encoded] : [`${encoded.slice(0, 40)}=`, encoded.slice(40)];
  });
const base64 = (lines: readonly string[]): string[] =>
  Buffer.from(`${lines.join('\r\n')}\r\n`)
    .toString('base64')
    .match(/.{1,76}/g) ?? [];
const encodedAs = (encoding: string): string[] => [
  ...headerWithout('content-transfer-encoding'),
  `Content-Transfer-Encoding: ${encoding}`,
];
const multipart = (...parts: readonly string[][]): { header: string[]; body: string[] } => ({
  header: [
    ...headerWithout('content-type', 'content-transfer-encoding'),
    'Content-Type: multipart/mixed; boundary="=_b"',
  ],
  body: ['This is a multi-part message.', '', ...parts.flatMap((part) => ['--=_b', ...part]), '--=_b--'],
});
const FOOTER = ['', '-- ', 'This message was scanned.'];

describe('the message as it is sent', () => {
  const octets = letterWith(OURS);

  test('is seven bits without a NUL, and every line ends in CRLF', () => {
    expect(octets.every((octet) => octet > 0 && octet < 0x80)).toBe(true);
    const spelt = Buffer.from(octets).toString('latin1');
    expect(spelt.endsWith('\r\n')).toBe(true);
    expect(spelt.replace(/\r\n/g, '')).not.toMatch(/[\r\n\t]/);
  });

  test('has no line of text over 76 octets, so that nobody needs to encode it anew', () => {
    expect(Math.max(...BODY.map((line) => line.length))).toBeLessThanOrEqual(76);
  });

  test('has no header line over 100 octets, and with the longest addresses none near the 998 of RFC 5322', () => {
    expect(Math.max(...HEADER.map((line) => line.length))).toBeLessThanOrEqual(100);
    const long = `${'a'.repeat(187)}@example.com`;
    const letter = { marker: MARKER, run: OURS.run, from: long, to: long, sentAt: new Date(0) };
    expect(Math.max(...linesOf(composed(letter)).map((line) => line.length))).toBeLessThan(998);
  });

  test('has each field that RFC 5322 wants once, with a date that is its own', () => {
    const { header } = parsed(SENT);
    for (const name of ['from', 'to', 'subject', 'date', 'message-id', 'mime-version', 'content-type'])
      expect(header.all(name), name).toHaveLength(1);
    expect(header.only('date')).toBe('Fri, 16 Jan 2026 11:59:50 +0000');
    expect(Date.parse(header.only('date') ?? '')).toBe((NOW - 10) * 1000);
  });

  test('asks nobody to answer it', () => {
    const { header } = parsed(SENT);
    expect(header.only('auto-submitted')).toBe('auto-generated');
    expect(header.only('x-auto-response-suppress')).toBe('All');
  });

  test('begins its subject as the cmdlet did, and says who and what it is in its text', () => {
    expect(parsed(SENT).header.only('subject')).toBe(`Test-PopConnectivity-${MARKER}`);
    expect(BODY.join(' ')).toContain('pop-connectivity');
  });

  test('has a Message-ID of the domain of its sender', () => {
    expect(parsed(SENT).header.only('message-id')).toBe('<0123456789abcdef@example.com>');
  });

  test('has a line that is a dot alone, and one that begins with a dot, and text after both', () => {
    expect(BODY).toContain('.');
    expect(BODY.findIndex((line) => /^\..+/.test(line))).toBeGreaterThan(0);
    expect(BODY.indexOf('.')).toBeLessThan(BODY.length - 1);
  });
});

describe('a header', () => {
  test.each([
    ['a field', ['Subject: Hello'], 'subject', 'Hello'],
    ['its name in any case', ['SUBJECT: Hello'], 'subject', 'Hello'],
    ['no blank after the colon', ['Subject:Hello'], 'subject', 'Hello'],
    ['a blank before the colon', ['Subject : Hello'], 'subject', 'Hello'],
    ['a fold', ['Subject: one', ' two', '\tthree'], 'subject', 'one two three'],
    [
      'a fold right after the colon, as Exchange and Python fold long fields',
      ['Subject:', ' Hello'],
      'subject',
      'Hello',
    ],
    ['a fold after a blank', ['Subject: ', '\tHello'], 'subject', 'Hello'],
    ['a fold of blanks alone', ['Subject: one', '  ', ' two'], 'subject', 'one two'],
    ['an empty field', ['Subject:'], 'subject', ''],
    ['a colon in the value', ['Subject: Re: one'], 'subject', 'Re: one'],
    ['a line that is no field before it', ['>From alice', 'Subject: Hello'], 'subject', 'Hello'],
    ['a fold with nothing to fold', [' odd', 'Subject: Hello'], 'subject', 'Hello'],
    ['a colon first', [': odd', 'Subject: Hello'], 'subject', 'Hello'],
    ['eight bits', ['Subject: caf\u00e9'], 'subject', 'caf\u00e9'],
    ['a NUL in a name makes it another', ['Sub\0ject: Hello'], 'subject', null],
    ['none of that name', ['To: bob'], 'subject', null],
    ['two of that name are none', ['Subject: one', 'Subject: two'], 'subject', null],
    ['what stands after the empty line', ['To: bob', '', 'Subject: Hello'], 'subject', null],
  ])('%s', (_, lines, name, expected) => {
    expect(parsed(lines).header.only(name)).toBe(expected);
  });

  test('without an end has no body', () => {
    expect(parsed(['Subject: Hello']).body).toEqual([]);
  });

  test('of a hundred thousand folded lines is read without delay', () => {
    const began = Date.now();
    const { header } = parsed(['Subject: x', ...Array<string>(100_000).fill(' y')]);
    expect(header.only('subject')).toHaveLength(1 + 2 * 100_000);
    expect(Date.now() - began).toBeLessThan(5000);
  });

  test.each([
    ['probe@example.com', 'probe@example.com'],
    ['<probe@example.com>', 'probe@example.com'],
    ['"A. Probe" <Probe@Example.COM>', 'probe@example.com'],
    [' probe@example.com ', 'probe@example.com'],
    ['<>', ''],
    ['', ''],
  ])('%j names the address %j', (field, address) => {
    expect(addressIn(field)).toBe(address);
  });
});

describe('what became of the message', () => {
  const wrapped = multipart(['Content-Type: text/plain', '', ...BODY], ['Content-Type: text/plain', '', ...FOOTER]);
  test.each<[string, readonly string[], readonly string[], readonly string[]]>([
    ['nothing', HEADER, BODY, []],
    ['trace fields were added', ['Return-Path: <probe@example.com>', 'Received: by mx; now', ...HEADER], BODY, []],
    ['empty lines at the end', HEADER, [...BODY, '', ' ', ''], []],
    ['quoted-printable', encodedAs('quoted-printable'), quotedPrintable(BODY), []],
    [
      'quoted-printable, in capitals, blanks at its line ends',
      encodedAs('QUOTED-PRINTABLE'),
      quotedPrintable(BODY).map((line) => `${line}  `),
      [],
    ],
    ['base 64', encodedAs('base64'), base64(BODY), []],
    [
      'base 64 with LF line ends inside',
      encodedAs('base64'),
      Buffer.from(BODY.join('\n'))
        .toString('base64')
        .match(/.{1,60}/g) ?? [],
      [],
    ],
    [
      'its subject was tagged',
      HEADER.map((line) => line.replace('Subject: ', 'Subject: [SPAM] ')),
      BODY,
      ['its subject was changed'],
    ],
    ['it has two subjects', ['Subject: [SPAM]', ...HEADER], BODY, ['its subject was changed']],
    ['its field was dropped', headerWithout('x-pop-connectivity'), BODY, ['its X-Pop-Connectivity was dropped']],
    ['a footer was added', HEADER, [...BODY, ...FOOTER], ['3 lines were added after its text']],
    ['one line was added after it', HEADER, [...BODY, 'Scanned.'], ['a line was added after its text']],
    ['a banner was added', HEADER, ['CAUTION: external', '', ...BODY], ['2 lines were added before its text']],
    [
      'a banner and a footer',
      HEADER,
      ['CAUTION', ...BODY, 'Scanned.'],
      ['a line was added before its text', 'a line was added after its text'],
    ],
    [
      'a footer inside base 64',
      encodedAs('base64'),
      base64([...BODY, 'Scanned.']),
      ['a line was added after its text'],
    ],
    ['a line was lost', HEADER, BODY.filter((line) => line !== '.'), ['its text was changed']],
    [
      'the dots of a server that stuffs and never un-stuffs',
      HEADER,
      BODY.map((line) => line.replace(/^\./, '..')),
      ['its text was changed'],
    ],
    ['all text was lost', HEADER, [], ['its text was changed']],
    ['a word was changed', HEADER, BODY.map((line) => line.replace('End', 'end')), ['its text was changed']],
    [
      'it was made HTML',
      HEADER,
      ['<html><body>', ...BODY.map((line) => `<p>${line}</p>`), '</body></html>'],
      ['its text was changed'],
    ],
    [
      'it was wrapped in a multipart message, its text as it was',
      wrapped.header,
      wrapped.body,
      ['it was wrapped in a multipart message'],
    ],
    [
      'it was wrapped and encoded',
      wrapped.header,
      multipart(['Content-Transfer-Encoding: base64', '', ...base64(BODY)]).body,
      ['it was wrapped in a multipart message'],
    ],
    ['an encoding that it is not in', encodedAs('base64'), ['not base 64!'], ['its text was changed']],
  ])('%s', (_, header, body, expected) => {
    expect(changes(header, body)).toEqual(expected);
  });

  test('is told of any one line of its text that is changed, lost or doubled', () => {
    for (const [at, line] of BODY.entries()) {
      const others = [
        BODY.filter((_, each) => each !== at),
        BODY.map((each, other) => (other === at ? `${each}x` : each)),
        BODY.flatMap((each, other) => (other === at && line !== '' ? [each, each] : [each])),
      ];
      for (const other of others) {
        if (other.length !== BODY.length || other.some((each, index) => each !== BODY[index]))
          expect(changes(HEADER, other), `line ${at}`).not.toEqual([]);
      }
    }
  });
});

describe('the marker is in a body', () => {
  const mixed = multipart(
    ['Content-Type: text/plain', 'Content-Transfer-Encoding: base64', '', ...base64(BODY)],
    ['', 'Scanned.'],
  );
  const quoted = multipart(['Content-Transfer-Encoding: quoted-printable', '', ...quotedPrintable(BODY)]);
  test.each<[string, readonly string[], readonly string[], boolean]>([
    ['as it was sent', HEADER, BODY, true],
    ['with a footer', HEADER, [...BODY, ...FOOTER], true],
    ['in HTML', HEADER, ['<p>', `<span>${MARKER}</span>`], true],
    ['quoted by ">"', HEADER, BODY.map((line) => `> ${line}`), true],
    ['in quoted-printable', encodedAs('quoted-printable'), quotedPrintable(BODY), true],
    ['in base 64', encodedAs('base64'), base64(BODY), true],
    ['in base 64 inside a multipart message', mixed.header, mixed.body, true],
    ['in quoted-printable inside a multipart message', quoted.header, quoted.body, true],
    ['nowhere', HEADER, ['something else'], false],
    ['nowhere, in an empty body', HEADER, [], false],
    ['cut short', HEADER, [MARKER.slice(0, -1)], false],
    ['broken over two lines in clear', HEADER, [MARKER.slice(0, 30), MARKER.slice(30)], false],
    ['of another run', HEADER, linesOf(letterWith(markerOf('fedcba9876543210'))).slice(END_OF_HEADER + 1), false],
  ])('%s', (_, header, body, expected) => {
    const { header: came, body: lines } = message(header, body);
    expect(carries(came, lines, MARKER)).toBe(expected);
  });
});

describe('the way of a message', () => {
  const hops = (...received: readonly string[][]) => hopsIn(parsed(received.flat()).header, NOW);
  // Noon in UTC is when the message was sent.
  const POSTFIX = [
    'Received: from client.example.com (client.example.com [192.0.2.7])',
    '\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)',
    '\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)',
    '\t(No client certificate requested)',
    '\tby mx.example.com (Postfix) with ESMTPSA id 4Xb1Zq0W3Jz9s7F',
    '\tfor <probe@example.com>; Fri, 16 Jan 2026 13:00:02 +0100 (CET)',
  ];
  const EXIM = [
    'Received: from [192.0.2.7] (helo=client.example.com)',
    '\tby exim.example.net with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384',
    '\t(Exim 4.97)',
    '\t(envelope-from <probe@example.com>)',
    '\tid 1tYabc-000000001Qx-2AbC',
    '\tfor probe@example.com;',
    '\tFri, 16 Jan 2026 12:00:03 +0000',
  ];
  const EXCHANGE = [
    'Received: from AM0PR01MB1234.eurprd01.prod.exchangelabs.com',
    ' (2603:10a6:208:160::25) by VI1PR01MB5678.eurprd01.prod.exchangelabs.com with',
    ' HTTPS; Fri, 16 Jan 2026 12:00:05 +0000',
  ];
  const GMAIL = [
    'Received: by 2002:a05:6402:2794:b0:55f:c851:a76c with SMTP id b20csp1234567ede;',
    '        Fri, 16 Jan 2026 04:00:09 -0800 (PST)',
  ];
  const DOVECOT = [
    'Received: from mx.example.com',
    '\tby store.example.com with LMTP',
    '\tid aBcDeFgHaWmZ1gAAyzXyz',
    '\t(envelope-from <probe@example.com>)',
    '\tfor <probe@example.com>; Fri, 16 Jan 2026 12:00:01 -0000',
  ];

  test.each([
    ['Postfix', POSTFIX, { by: 'mx.example.com', seconds: 2 }],
    ['Exim', EXIM, { by: 'exim.example.net', seconds: 3 }],
    ['Exchange', EXCHANGE, { by: 'VI1PR01MB5678.eurprd01.prod.exchangelabs.com', seconds: 5 }],
    ['Gmail', GMAIL, { by: '2002:a05:6402:2794:b0:55f:c851:a76c', seconds: 9 }],
    ['Dovecot, by a clock that is a second off', DOVECOT, { by: 'store.example.com', seconds: 1 }],
  ])('is read from a field of %s', (_, received, hop) => {
    expect(hops(received)).toEqual([hop]);
  });

  test('is told first stage first, though the last one writes on top; a clock behind makes a stage negative', () => {
    expect(hops(DOVECOT, GMAIL, EXIM, POSTFIX).map(({ seconds }) => seconds)).toEqual([2, 1, 6, -8]);
  });

  test.each([
    ['without a date', ['Received: from a.example by mx.example.com with SMTP id 12']],
    ['without a date, its identifier a number that could be a year', ['Received: by mx.example.com id 2020']],
    ['with an empty date', ['Received: from a.example by mx.example.com;']],
    ['with a date that is none', ['Received: from a.example by mx.example.com; yesterday 5']],
    ['with a semicolon in it and no date', ['Received: from a.example (some; thing 7) by mx.example.com']],
    ['that is empty', ['Received:']],
  ])('passes over a field %s', (_, odd) => {
    expect(hops(odd, POSTFIX)).toEqual([{ by: 'mx.example.com', seconds: 2 }]);
  });

  test.each([
    ['a comment in the date', 'by mx.example.com; Fri, 16 Jan 2026 12:00:04 +0000 (UTC)', 'mx.example.com', 4],
    [
      'a comment within a comment',
      'by mx.example.com; Fri, 16 Jan 2026 12:00:04 +0000 (GMT (winter))',
      'mx.example.com',
      4,
    ],
    ['a zone by its name', 'by mx.example.com; Fri, 16 Jan 2026 12:00:04 GMT', 'mx.example.com', 4],
    ['no day of the week', 'by mx.example.com; 16 Jan 2026 12:00:04 +0000', 'mx.example.com', 4],
    ['a zone of half an hour', 'by mx.example.com; Fri, 16 Jan 2026 17:30:04 +0530', 'mx.example.com', 4],
    [
      '"by" in a comment before',
      'from a (verified by spf.example) by mx.example.com; Fri, 16 Jan 2026 12:00:04 +0000',
      'mx.example.com',
      4,
    ],
    ['no server named', 'from a.example; Fri, 16 Jan 2026 12:00:04 +0000', 'unnamed', 4],
  ])('is read from a field with %s', (_, received, by, seconds) => {
    expect(hops([`Received: ${received}`])).toEqual([{ by, seconds }]);
  });
});

describe('a message of any octets', () => {
  const anyLine = fc
    .array(fc.oneof(fc.constantFrom(0x3d, 0x3a, 0x20, 0x3b, 0x28, 0x2d, 0x2e), fc.nat(0x2ff)), { maxLength: 40 })
    .map((codes) => String.fromCharCode(...codes));
  const field = fc.constantFrom(
    'Received: ',
    'Subject: ',
    'Content-Type: multipart/',
    'Content-Transfer-Encoding: base64',
    'Content-Transfer-Encoding: quoted-printable',
    ' ',
    '',
  );
  const anyLines = fc.array(
    fc.tuple(field, anyLine).map(([start, rest]) => start + rest),
    { maxLength: 30 },
  );

  test('is read without complaint, and is never our message as it was sent', () => {
    fc.assert(
      fc.property(anyLines, (lines) => {
        const { header, body } = parsed(lines);
        decoded(header, body);
        expect(carries(header, body, MARKER)).toBe(false);
        expect(changesIn(header, body, MARKER)).not.toEqual([]);
        for (const { seconds } of hopsIn(header, NOW)) expect(Number.isSafeInteger(seconds)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['blanks and something after them', `${' '.repeat(65_000)}x`],
    ['tabs and something after them', `${'\t'.repeat(65_000)}x`],
    ['brackets', '('.repeat(65_000)],
    ['equals signs', '='.repeat(65_000)],
    ['digits of base 64', 'A'.repeat(65_000)],
  ])('holds nobody up: a line of 65,000 %s', (_, line) => {
    const began = Date.now();
    const { header, body } = parsed([...HEADER, `Received: by mx; ${line}`, `X: ${line}`, '', line]);
    carries(header, body, MARKER);
    changesIn(header, body, MARKER);
    hopsIn(header, NOW);
    expect(Date.now() - began).toBeLessThan(1000);
  });
});

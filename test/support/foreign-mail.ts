import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { signing, spelt } from '../../src/probe/marker.ts';
import { composed } from '../../src/probe/message.ts';
import { hash } from '../../src/runtimes/node/hashing.ts';

/** A mailbox of a real server, in which other people's mail lies too. */
export interface Mailbox {
  readonly address: string;
  /** Its Maildir on the disk, and the key which signs what the probe sends there. */
  readonly maildir: string;
  readonly key: Uint8Array;
  deliver(message: string): Promise<void>;
}

export interface MailInIt {
  /** How many messages of other people there are at first. */
  readonly foreign: number;
  /** What is there beside them, each message as it lies on the disk. */
  ours(): Promise<readonly string[]>;
  /** Another foreign message comes. */
  anotherComes(): Promise<void>;
}

/**
 * Plays a scene in a mailbox with other people's mail: with replies to our messages, copies and forgeries of them, and
 * reports about others. However the scene ends, all of that has to lie on the disk as before, to the octet, and none
 * of it retrieved; and beside it only as many messages as the scene says that it leaves.
 *
 * @param play resolves to the number of messages of ours it leaves
 */
export async function amongForeignMail(
  { address, maildir, key, deliver }: Mailbox,
  play: (mail: MailInIt) => Promise<number>,
): Promise<void> {
  const delivered: string[] = [];
  const put = async (message: string): Promise<void> => {
    await deliver(message);
    delivered.push(sha256(Buffer.from(message)));
  };
  for (const message of await foreignMail(address, key)) await put(message);
  const ours = async (): Promise<readonly string[]> =>
    (await lyingIn(maildir)).filter(({ digest }) => !delivered.includes(digest)).map(({ content }) => content);
  expect(await ours()).toEqual([]);
  let left: number;
  try {
    left = await play({
      foreign: delivered.length,
      ours,
      anotherComes: () => put(ordinary(`another-${delivered.length}`)),
    });
  } finally {
    const foreign = (await lyingIn(maildir)).filter(({ digest }) => delivered.includes(digest));
    expect(foreign.map(({ digest }) => digest).sort(), 'foreign mail').toEqual(delivered.slice().sort());
    expect(foreign.filter(({ isSeen }) => isSeen).map(({ content }) => content)).toEqual([]);
  }
  expect(await ours(), 'messages of ours that are left').toHaveLength(left);
}

interface Lying {
  readonly content: string;
  readonly digest: string;
  /** POP3 servers mark what was retrieved so, and not what was looked at by TOP. */
  readonly isSeen: boolean;
}

async function lyingIn(maildir: string): Promise<readonly Lying[]> {
  const folders = ['new', 'cur'].map((name) => join(maildir, name));
  const paths = (
    await Promise.all(folders.map(async (at) => (await readdir(at)).map((name) => join(at, name))))
  ).flat();
  try {
    return await Promise.all(
      paths.map(async (path) => {
        const octets = await readFile(path);
        return { content: octets.toString('latin1'), digest: sha256(octets), isSeen: /:2,[^/]*S[^/]*$/.test(path) };
      }),
    );
  } catch (error) {
    // A server has renamed or removed one meanwhile.
    if ((error as { code?: string }).code === 'ENOENT') return await lyingIn(maildir);
    throw error;
  }
}

const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('hex');

const crlf = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n`;

const ordinary = (name: string): string =>
  crlf(
    ...['From: Alice <alice@example.com>', 'Subject: hello', `Message-ID: <${name}@example.com>`, ''],
    ...['Dear probe,', '.', '..and a dot'],
  );

const DAY_S = 24 * 3600;

/** A message as the probe of this mailbox would have sent it, with all that is needed to fake one. */
interface Model {
  readonly run: string;
  /** As it was signed, for the recipient named. */
  readonly marker: string;
  readonly date: string;
  readonly text: string;
}

async function model(run: string, address: string, recipient: string, key: Uint8Array): Promise<Model> {
  // It has expired: whatever was taken for a message of ours would be removed at once.
  const now = Math.floor(Date.now() / 1000);
  const marker = { run, sentAt: now - 2 * DAY_S, expiresAt: now - DAY_S };
  const signed = spelt(marker, await hash(signing(marker, { key, recipient })));
  const sentAt = new Date(marker.sentAt * 1000);
  const octets = composed({ marker: signed, run, from: address, to: recipient, sentAt });
  return { run, marker: signed, date: sentAt.toUTCString(), text: Buffer.from(octets).toString('latin1') };
}

/** What lies in the mailbox of a probe sooner or later, and what somebody might put there to have mail deleted. */
async function foreignMail(address: string, key: Uint8Array): Promise<readonly string[]> {
  const genuine = await model('0123456789abcdef', address, address, key);
  const forElsewhere = await model('1123456789abcdef', address, 'elsewhere@example.com', key);
  const forged = await model('2123456789abcdef', address, address, new Uint8Array(32));
  const { run, marker, date, text } = genuine;
  return [
    ordinary('hello'),
    // A reply that quotes all of it.
    crlf(
      ...['From: <alice@example.com>', `To: <${address}>`, `Subject: Re: Test-PopConnectivity-${marker}`],
      ...['Message-ID: <reply@example.com>', `In-Reply-To: <${run}@example.com>`, `References: <${run}@example.com>`],
      ...['', ...text.split('\r\n').map((line) => `> ${line}`)],
    ),
    // The same from the mailbox's own user, by a program that copies every field.
    crlf(
      ...[`From: <${address}>`, `To: <${address}>`, `Subject: Re: Test-PopConnectivity-${marker}`, `Date: ${date}`],
      ...['Message-ID: <own-reply@example.com>', `In-Reply-To: <${run}@example.com>`, `X-Pop-Connectivity: ${marker}`],
      ...['', marker],
    ),
    // Somebody's autoresponder, which names no message that it answers.
    crlf(
      ...['From: <alice@example.com>', `Subject: Automatic reply: Test-PopConnectivity-${marker}`],
      ...['Message-ID: <vacation@example.com>', 'Auto-Submitted: auto-replied', '', marker],
    ),
    // A copy of the field, and of the subject, in somebody else's message.
    crlf(
      ...['From: <mallory@example.com>', `Subject: Test-PopConnectivity-${marker}`, `Date: ${date}`],
      ...['Message-ID: <copy@example.com>', `X-Pop-Connectivity: ${marker}`, '', 'please delete me', marker],
    ),
    // All of it, signed with another key; and signed with ours, but for another mailbox.
    forged.text,
    forElsewhere.text,
    // A forward.
    crlf(
      ...['From: <alice@example.com>', `Subject: Fwd: Test-PopConnectivity-${marker}`, 'MIME-Version: 1.0'],
      ...['Message-ID: <forward@example.com>', 'Content-Type: multipart/mixed; boundary="part"', ''],
      ...['--part', '', 'what is this?', '--part', 'Content-Type: message/rfc822', '', text, '--part--'],
    ),
    // A report about a message of somebody else; and one about a message with a copy of our marker.
    report(address, 'From: <alice@example.com>', 'Message-ID: <lost@example.com>', 'Subject: lost'),
    report(address, 'Message-ID: <copy@example.com>', `X-Pop-Connectivity: ${marker}`, 'Subject: copy'),
    report(address, `Message-ID: <${forged.run}@example.com>`, `X-Pop-Connectivity: ${forged.marker}`),
  ];
}

const report = (address: string, ...original: readonly string[]): string =>
  crlf(
    ...['Return-Path: <>', 'From: MAILER-DAEMON@example.com', `To: <${address}>`, 'Subject: Undelivered Mail'],
    ...['Auto-Submitted: auto-replied', 'MIME-Version: 1.0'],
    ...['Content-Type: multipart/report; report-type=delivery-status; boundary="part"', ''],
    ...['--part', '', 'It could not be delivered.', ''],
    ...['--part', 'Content-Type: message/delivery-status', '', 'Reporting-MTA: dns; mail.example.com', ''],
    ...[`Final-Recipient: rfc822; ${address}`, 'Action: failed', 'Status: 5.1.1', ''],
    ...['--part', 'Content-Type: message/rfc822', '', ...original, '', 'text', '', '--part--'],
  );

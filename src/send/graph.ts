import { text, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { GraphPlan, OutgoingMessage, Sending, Sent } from '../probe/world.ts';
import type { HttpAnswer } from '../runtimes/node/http.ts';
import { type Complaint, meaningOfCode, meaningOfStatus, refusal, type Wording } from './refusal.ts';
import { refuse, submit } from './submit.ts';

/**
 * Sends a message by Microsoft Graph (https://learn.microsoft.com/graph/api/user-sendmail), keeping nothing in Sent
 * Items. Wants the permission Mail.Send.
 *
 * It goes as JSON: the other form, MIME, has no place to say saveToSentItems, and always saves
 * (https://github.com/microsoftgraph/microsoft-graph-docs/issues/18698). The price is that Exchange writes the message
 * anew; what makes it ours, the subject, the text and the X- headers, it keeps.
 */
export function sendByGraph(message: OutgoingMessage, { url, http, credential }: GraphPlan): Sending {
  if (credential.kind !== 'bearer') {
    return refuse(new ProbeFailure('configuration', 'Microsoft Graph takes a token, and no password'));
  }
  return submit({
    url: `${url.replace(/\/$/, '')}/users/${encodeURIComponent(message.from)}/sendMail`,
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: utf8(JSON.stringify({ message: resourceOf(message), saveToSentItems: false })),
    http,
    credential,
    judge,
  });
}

/** Our message as Graph's `message` resource. */
function resourceOf({ to, octets }: OutgoingMessage): object {
  const { fields, body } = partsOf(octets);
  return {
    subject: fields.find(({ name }) => name === 'Subject')?.value ?? '',
    body: { contentType: 'text', content: body },
    toRecipients: [{ emailAddress: { address: to } }],
    // Graph takes no other headers, and of these five at the most.
    internetMessageHeaders: fields.filter(({ name }) => name.startsWith('X-')),
  };
}

interface Field {
  readonly name: string;
  readonly value: string;
}

/** The header fields, unfolded (RFC 5322 §2.2.3), and the body of a message that we have made. */
function partsOf(octets: Uint8Array): { readonly fields: readonly Field[]; readonly body: string } {
  const whole = text(octets);
  const end = whole.indexOf('\r\n\r\n');
  const lines = whole
    .slice(0, end)
    .replace(/\r\n(?=[ \t])/g, '')
    .split('\r\n');
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    return { name: line.slice(0, colon), value: line.slice(colon + 1).trim() };
  });
  return { fields, body: whole.slice(end + 4) };
}

/** 202 and nothing else: any web server answers 200 to something. */
function judge(answer: HttpAnswer): Sent {
  if (answer.status === 202) return { said: 'HTTP 202' };
  const complaint = complaintIn(answer.body);
  const meaning = meaningOfCode(complaint?.code ?? '', WORDING) ?? meaningOfStatus(answer.status, WORDING);
  throw refusal(meaning, answer, complaint);
}

const WORDING: Wording = {
  200: 'the answer is not one of Microsoft Graph; look at the URL',
  401: 'the token was not accepted',
  403: 'the permission Mail.Send is missing, or does not reach this sender',
  404: 'there is no such sender, or the URL is not that of Microsoft Graph',
};

/** Graph's error object, `{ "error": { "code", "message" } }`; null where the body is anything else. */
function complaintIn(body: string): Complaint | null {
  try {
    const { error } = JSON.parse(body) as { error?: { code?: unknown; message?: unknown } };
    return error === undefined ? null : { code: textOr(error.code), message: textOr(error.message) };
  } catch {
    return null; // a page of some proxy, or null
  }
}

const textOr = (value: unknown): string => (typeof value === 'string' ? value : '');

import { ProbeFailure, type Reason } from '../dialogue/failure.ts';

/**
 * What an SMTP server's refusal stands for: the enhanced status code (RFC 3463) where it tells, else the first digit of
 * the reply (RFC 5321 §4.2.1), 4 for "later", 5 for "never".
 *
 * @param response the reply as it came
 * @param command what it answers, as nodemailer names it: `AUTH PLAIN`, `RCPT TO`, `DATA` …
 */
export function meaningOfReply(response: string, command: string): ProbeFailure {
  const said = response.replace(/\s*\r?\n\s*/g, ' ');
  const [, code = '', enhanced = ''] = /^(\d{3})[ -]?(?:([245]\.\d{1,3}\.\d{1,3})\b)?/.exec(said) ?? [];
  const [step] = command.split(' ');
  return new ProbeFailure(reasonFor(code, enhanced, step ?? ''), WORDS[step ?? ''] ?? 'the SMTP server refused', {
    said,
  });
}

function reasonFor(code: string, enhanced: string, step: string): Reason {
  if (step === 'STARTTLS') return 'stls-refused';
  const detail = enhanced.slice(2);
  if (detail === '2.2' && step !== 'AUTH') return 'mailbox-full'; // RFC 3463 §3.3: mailbox full
  if (code === '552' && enhanced === '' && step !== 'AUTH') return 'mailbox-full'; // RFC 5321 §4.2.3: exceeded storage
  if (code.startsWith('4')) return 'send-deferred';
  return code.startsWith('5') ? 'send-refused' : 'protocol-violation';
}

/** What was refused. */
const WORDS: Readonly<Record<string, string>> = {
  CONN: 'the SMTP server does not serve us',
  EHLO: 'the SMTP server does not serve us',
  STARTTLS: 'the SMTP server refuses STARTTLS',
  AUTH: 'the SMTP server refuses the credentials',
  MAIL: 'the SMTP server refuses the sender',
  RCPT: 'the SMTP server refuses the recipient',
  DATA: 'the SMTP server refuses the message',
};

/**
 * Many mailboxes, one after the other, as a mail program would look into them: how much there is, which messages, and
 * the header of the newest. MAILBOXES is a file with a user name and a password on each line, with a comma between them.
 *
 *   k6 run -e POP3_SERVER=mail.example.com -e MAILBOXES=mailboxes.csv --vus 20 --duration 1m mailboxes.js
 */
import { SharedArray } from 'k6/data';
import execution from 'k6/execution';
import { open as openMailbox, summary, thresholds } from '../../../dist/pop3.xk6.js';
import { LOGON } from './logon.js';

// Held once for all VUs. A password may have commas in it, a user name here may not.
const mailboxes = new SharedArray('mailboxes', () =>
  open(__ENV.MAILBOXES ?? 'mailboxes.csv')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line !== '')
    .map((line) => ({ userName: line.slice(0, line.indexOf(',')), password: line.slice(line.indexOf(',') + 1) })),
);

export const options = {
  thresholds: {
    ...thresholds,
    // Named here, a command is in the summary by itself.
    'pop3_command_duration{command:UIDL}': ['p(95)<1000'],
    'pop3_command_duration{command:TOP}': ['p(95)<1000'],
  },
};

export default async function () {
  const { passwordSecret, ...server } = LOGON;
  const mailbox = mailboxes[execution.scenario.iterationInTest % mailboxes.length];
  let session;
  try {
    session = await openMailbox({ ...server, ...mailbox });
    const { messages } = await session.stat();
    await session.uidl();
    if (messages > 0) await session.top(messages, 0);
    await session.quit();
  } catch (error) {
    console.error(String(error));
  } finally {
    session?.close();
  }
}

/** @param {unknown} data */
export const handleSummary = (data) => summary(data, { file: 'pop3-mailboxes.json' });

/**
 * One logon, for any scheduler: k6 ends with 0 when it went well, and with 99 when it did not.
 *
 *   k6 run -e POP3_SERVER=mail.example.com -e POP3_USER=probe@example.com --secret-source=file=secrets smoke.js
 */
import { probe, summary, thresholds } from '../../../dist/pop3.xk6.js';
import { LOGON } from './logon.js';

export const options = { vus: 1, iterations: 1, thresholds };

export default async function () {
  const { error } = await probe(LOGON);
  if (error !== null) console.error(`${error.reason}: ${error.message} - ${error.hint}`);
}

export const handleSummary = summary;

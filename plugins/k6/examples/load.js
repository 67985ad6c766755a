/**
 * A steady load: so many logons a second, whatever the server takes for each. RATE and DURATION change it.
 *
 *   k6 run -e POP3_SERVER=… -e POP3_USER=… -e RATE=20 -e DURATION=5m load.js
 */
import { probe, summary, thresholdsByReason } from '../../../dist/pop3.xk6.js';
import { LOGON } from './logon.js';

const rate = Number(__ENV.RATE ?? 10);

export const options = {
  scenarios: {
    steady: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: __ENV.DURATION ?? '1m',
      // As many as are under way when each takes a second; where the server is slower, up to ten times as many.
      preAllocatedVUs: rate,
      maxVUs: rate * 10,
    },
  },
  thresholds: {
    pop3_session_success: ['rate>0.99'],
    pop3_session_duration: ['p(95)<1000'],
    ...thresholdsByReason,
  },
};

export default async function () {
  await probe(LOGON);
}

/** @param {unknown} data */
export const handleSummary = (data) => summary(data, { file: 'pop3-load.json' });

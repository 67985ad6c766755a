/**
 * More and more logons a second, until the server cannot keep up: where that is, the last lines tell. MOST and EACH
 * change how far it goes, and how long each step takes.
 *
 *   k6 run -e POP3_SERVER=… -e POP3_USER=… -e MOST=200 -e EACH=30s ramp.js
 */
import { probe, summary, thresholdsByReason } from '../../../dist/pop3.xk6.js';
import { LOGON } from './logon.js';

const most = Number(__ENV.MOST ?? 100);
const STEPS = 10;

/**
 * Ends the test: from here on there is nothing to be learnt but how it looks when it is too much.
 *
 * @param {string} threshold
 */
const untilItIsTooMuch = (threshold) => [{ threshold, abortOnFail: true, delayAbortEval: '10s' }];

export const options = {
  scenarios: {
    ramp: {
      executor: 'ramping-arrival-rate',
      startRate: Math.ceil(most / STEPS), // k6 takes whole numbers
      timeUnit: '1s',
      stages: Array.from({ length: STEPS }, (_, step) => ({
        target: Math.ceil((most * (step + 1)) / STEPS),
        duration: __ENV.EACH ?? '15s',
      })),
      preAllocatedVUs: most,
      maxVUs: most * 5,
    },
  },
  thresholds: {
    pop3_session_success: untilItIsTooMuch('rate>0.95'),
    pop3_session_duration: untilItIsTooMuch('p(95)<2000'),
    // k6 itself cannot start as many as it should: the knee is there, or the machine k6 runs on is too small.
    dropped_iterations: untilItIsTooMuch('count<100'),
    ...thresholdsByReason,
  },
};

export default async function () {
  await probe(LOGON);
}

/** @param {unknown} data */
export const handleSummary = (data) => summary(data, { file: 'pop3-ramp.json' });

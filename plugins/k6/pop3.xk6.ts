import { xk6 } from '../../src/runtimes/k6/xk6.ts';
import type * as Declared from './pop3.d.ts';
import { probeOver } from './probe.ts';
import { openOver } from './session.ts';

export { summary, thresholds, thresholdsByReason } from './summary.ts';
export const probe: typeof Declared.probe = probeOver(xk6);
export const open: typeof Declared.open = openOver(xk6);

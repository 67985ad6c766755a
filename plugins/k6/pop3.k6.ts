import { tcp } from '../../src/runtimes/k6/tcp.ts';
import type * as Declared from './pop3.d.ts';
import { probeOver } from './probe.ts';
import { openOver } from './session.ts';

export { summary, thresholds, thresholdsByReason } from './summary.ts';
export const probe: typeof Declared.probe = probeOver(tcp);
export const open: typeof Declared.open = openOver(tcp);

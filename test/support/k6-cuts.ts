import type { Transcript } from './transcript.ts';

/** How what a server says is cut into reads: whole, octet by octet. */
export const CUTS = [0, 1] as const;

/** Servers that never end are cut more coarsely: k6's engine takes a minute for each of them octet by octet. */
export function coarser({ steps }: Transcript, cut: number): number {
  const octets = steps.reduce((sum, step) => sum + (step.does === 'says' ? step.octets.length : 0), 0);
  return octets > 4096 ? cut * 61 : cut;
}

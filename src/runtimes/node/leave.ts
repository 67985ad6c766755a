import { builtin } from './builtin.ts';
import { lookupsInThreads } from './dns.ts';

/**
 * The one exit door: the report goes out, and the process ends with its code, at once.
 *
 * @param stdout written with blocking calls: nothing is lost to an exit that comes before a stream has drained
 * @param reader a platform may not read, and is not waited for; people page through as long a report as there is
 */
export function leave(stdout: string, exitCode: number, reader: 'platform' | 'people'): never {
  const report = Buffer.from(stdout, 'utf8');
  if (reader === 'platform') writeAll(bounded(report), PATIENCE_MS);
  else writeAll(report, Number.POSITIVE_INFINITY);
  // Node waits for its threads, and a lookup in one cannot be called back. Another program in our place need not
  // wait: the shell takes over this process and ends with our code.
  const { execve } = process as { execve?: (file: string, argv: readonly string[], env: object) => never };
  if (lookupsInThreads() > 0 && execve !== undefined) {
    try {
      execve('/bin/sh', ['sh', '-c', `exit ${exitCode}`], {});
    } catch {
      // No shell here: the slow way out.
    }
  }
  process.exit(exitCode);
}

/** Writes lines that people, or their programs, are to have before the end. */
export const writeOut = (lines: string): void => writeAll(Buffer.from(lines, 'utf8'), Number.POSITIVE_INFINITY);

/** How long a platform that does not read is waited for. */
const PATIENCE_MS = 2000;

/** What an empty pipe takes without anybody reading it: a write beyond that could block for ever. */
const MOST_OCTETS = 60 * 1024;

/** A report that is too long ends with the last whole line that fits, and says so. */
function bounded(report: Buffer): Buffer {
  if (report.length <= MOST_OCTETS) return report;
  const whole = report.subarray(0, report.lastIndexOf(0x0a, MOST_OCTETS) + 1);
  return Buffer.concat([whole, Buffer.from(`… ${report.length - whole.length} more octets left out\n`, 'utf8')]);
}

function writeAll(report: Buffer, patienceMs: number): void {
  let left = report;
  const until = Date.now() + patienceMs;
  while (left.length > 0) {
    try {
      left = left.subarray(builtin.fs().writeSync(1, left));
    } catch (error) {
      // A full pipe that does not block is tried again; a closed one has no reader to tell, and changes no verdict.
      if ((error as { code?: string }).code !== 'EAGAIN' || Date.now() > until) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

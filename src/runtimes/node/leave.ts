import { builtin } from './builtin.ts';
import { lookupsInThreads } from './dns.ts';

/**
 * The one exit door: the report goes out, and the process ends with its code, at once.
 *
 * @param stdout written with blocking calls: nothing is lost to an exit that comes before a stream has drained
 * @param reader a platform may not read, and is not waited for; people page through as long a report as there is
 */
export function leave(stdout: string, exitCode: number, reader: Reader): never {
  print(stdout, reader);
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

/** A platform, people, or a platform that has no use for a part of what it is told. */
export type Reader = 'platform' | 'people' | 'document';

/** Prints a report and stays: there is something to be done that must not hold it up. */
export function print(stdout: string, reader: Reader): void {
  const report = Buffer.from(stdout, 'utf8');
  if (reader === 'platform') {
    writeAll(bounded(report), PATIENCE_MS);
    return;
  }
  letSignalsEnd();
  writeAll(report, Number.POSITIVE_INFINITY);
}

/**
 * Lines that are written while a run goes on, and wait for their reader without holding it up. Standard output itself
 * would: to a pipe Node writes with blocking calls.
 */
export class Lines {
  #waiting = Buffer.alloc(0);
  #isWriting = false;
  #whenWritten: () => void = () => {};

  write(lines: string): void {
    this.#waiting = Buffer.concat([this.#waiting, Buffer.from(lines, 'utf8')]);
    if (!this.#isWriting) this.#writeOn();
  }

  /** Resolves once all is with the reader; a signal ends the process meanwhile. */
  async written(): Promise<void> {
    letSignalsEnd();
    if (!this.#isWriting) return;
    await new Promise<void>((resolve) => {
      this.#whenWritten = resolve;
    });
  }

  #writeOn(): void {
    this.#isWriting = this.#waiting.length > 0;
    if (!this.#isWriting) {
      this.#whenWritten();
      return;
    }
    builtin.fs().write(1, this.#waiting, (error, count) => {
      // A full pipe that does not block is tried again.
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#writeOn(), RETRY_MS);
        return;
      }
      // Its reader has gone (`| head -1`): there is nobody to tell anything to.
      if (error !== null) process.exit(UNREAD);
      this.#waiting = this.#waiting.subarray(count);
      this.#writeOn();
    });
  }
}

const UNREAD = 3;
const RETRY_MS = 10;

/** Whoever waits for a reader that does not read has to be able to stop us. */
function letSignalsEnd(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.removeAllListeners(signal);
}

/** How long a platform that does not read is waited for. */
const PATIENCE_MS = 2000;

/** What an empty pipe takes without anybody reading it: a write beyond that could block for ever. */
const MOST_OCTETS = 60 * 1024;

/** A report that is too long ends with the last whole line that fits, and says so. */
function bounded(report: Buffer): Buffer {
  if (report.length <= MOST_OCTETS) return report;
  const end = report.lastIndexOf(0x0a, MOST_OCTETS);
  const whole = report.subarray(0, (end > 0 ? end : report.lastIndexOf(0x20, MOST_OCTETS)) + 1);
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

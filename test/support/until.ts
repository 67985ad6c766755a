import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for something that happens elsewhere, in another process: up to 20 s. */
export async function until(what: string, happened: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = Date.now() + 20_000; !(await happened()); await sleep(10)) {
    if (Date.now() > limit) throw new Error(`it did not happen: ${what}`);
  }
}

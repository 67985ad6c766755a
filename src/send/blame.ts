import { ProbeFailure } from '../dialogue/failure.ts';
import type { Sent } from '../probe/world.ts';

/** Whatever part of the way failed, it was the sending: the other phases are those of the POP3 link. */
export async function blamed(done: Promise<Sent>): Promise<Sent> {
  try {
    return await done;
  } catch (problem) {
    if (problem instanceof ProbeFailure) problem.phase = 'send';
    throw problem;
  }
}

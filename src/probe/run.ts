import type { Dialogue, Phase } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { type Mask, maskFor, type Secret } from '../dialogue/secret.ts';
import { Course } from './course.ts';
import { type Account, drive } from './drive.ts';
import type { Probed, ProbePlan } from './probe.ts';
import type { RoundTrip } from './result.ts';
import { resultOf } from './tell.ts';
import type { Cancel, Stop, World } from './world.ts';

/** One run: its course, its one deadline, and whoever may end it sooner. */
export class Run {
  readonly plan: ProbePlan;
  readonly world: World;
  readonly deadline: number;
  readonly course: Course;
  private readonly stop: Stop | null;
  private readonly mask: Mask;
  private readonly startTime: string;

  constructor(plan: ProbePlan, world: World, stop: Stop | null, deadline: number) {
    this.plan = plan;
    this.world = world;
    this.stop = stop;
    this.deadline = deadline;
    this.course = new Course(world.now, plan.trace);
    this.mask = maskFor(secretsOf(plan));
    this.startTime = world.date().toISOString();
  }

  /** Milliseconds until the deadline. */
  get leftMs(): number {
    return this.deadline - this.world.now();
  }

  /**
   * Carries a dialogue through over a link of its own.
   *
   * @param on which phase each of its phases is booked on
   */
  async carry<T>(dialogue: Dialogue<T>, on: (phase: Phase) => Phase = same): Promise<Account<T>['outcome']> {
    const { world, plan } = this;
    const link = world.dial(plan.link);
    const startedMs = this.course.elapsedMs;
    const began = world.now();
    const until = Math.min(this.deadline, began + plan.perConnectionTimeoutMs);
    const account = await drive(dialogue, link, {
      world,
      deadline: until,
      allowedMs: Math.min(until - began, plan.timeoutMs),
      mask: this.mask,
      trace: plan.trace,
      stop: this.stop,
    });
    this.course.add(account, startedMs, on);
    return account.outcome;
  }

  /**
   * Waits for something that is no dialogue, at most until the deadline, and books it on a phase.
   *
   * @param late what it means when that passes
   * @throws ProbeFailure what it ended in, `late`, or what the run was told to end with
   */
  async waitFor<A>(phase: Phase, awaited: Promise<A>, late: () => ProbeFailure): Promise<A> {
    const began = this.world.now();
    const cancels: Cancel[] = [];
    try {
      return await new Promise<A>((resolve, reject) => {
        if (this.leftMs <= 0) reject(late());
        cancels.push(this.world.timer(Math.max(0, this.leftMs), () => reject(late())));
        if (this.stop !== null) cancels.push(this.stop(reject));
        awaited.then(resolve, reject);
      });
    } catch (problem) {
      if (problem instanceof ProbeFailure) problem.phase = problem.phase ?? phase;
      throw problem;
    } finally {
      for (const cancel of cancels) cancel();
      this.course.book(phase, this.world.now() - began);
    }
  }

  /** Lets time pass; never longer than until the deadline. */
  async pause(phase: Phase, forMs: number): Promise<void> {
    if (forMs <= 0) return;
    let cancel: Cancel = () => undefined;
    const passed = new Promise<void>((resolve) => {
      cancel = this.world.timer(Math.min(forMs, this.leftMs), resolve);
    });
    try {
      await this.waitFor(phase, passed, () => new ProbeFailure('timed-out', 'the time is up'));
    } finally {
      cancel();
    }
  }

  /** A line for the conversation, with whatever it repeats of somebody else's words made fit to be shown. */
  happened(words: string): void {
    this.course.happened(this.mask(words));
  }

  told(failure: ProbeFailure | null, roundTrip: RoundTrip | null, remarks: readonly string[]): Probed {
    return {
      result: resultOf(this.plan, this.course, failure, roundTrip, this.mask, this.startTime),
      conversation: this.course.conversation,
      remarks,
    };
  }
}

const same = (phase: Phase): Phase => phase;

/** Everything that no output may hold. */
function secretsOf({ visit, fullTest }: ProbePlan): readonly Secret[] {
  const credential = fullTest?.send.credential ?? null;
  const sending = credential === null ? [] : [credential.kind === 'bearer' ? credential.token : credential.password];
  return [visit.login.password, ...sending];
}

import type { Dialogue, Phase } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { type Mask, maskFor, type Secret } from '../dialogue/secret.ts';
import { secretOf } from '../sasl/mechanism.ts';
import { Course } from './course.ts';
import { type Account, drive } from './drive.ts';
import type { Probed, ProbePlan } from './probe.ts';
import type { RoundTrip } from './result.ts';
import { resultOf } from './tell.ts';
import type { Cancel, Stop, TokenPlan, World } from './world.ts';

/** One run: its course, its one deadline, and whoever may end it sooner. */
export class Run {
  /** What is to be done; once the tokens are there, with them. */
  plan: ProbePlan;
  readonly world: World;
  readonly deadline: number;
  readonly course: Course;
  private readonly stop: Stop | null;
  private mask: Mask;
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

  /** Goes on with another plan, whose secrets are kept too. */
  adopt(plan: ProbePlan): void {
    this.mask = maskFor([...secretsOf(this.plan), ...secretsOf(plan)]);
    this.plan = plan;
  }

  /** What a part of the run fails with, or null. Rejects only for a bug. */
  async failureOf(part: () => Promise<void>): Promise<ProbeFailure | null> {
    try {
      await part();
      return null;
    } catch (problem) {
      if (!(problem instanceof ProbeFailure)) throw problem;
      this.forgetToken(problem);
      return problem;
    }
  }

  /** A right that is given to an application later is only in its next token: one that was refused is not kept. */
  private forgetToken({ reason }: ProbeFailure): void {
    const { tokens, visit } = this.plan;
    if (reason !== 'login-refused' || visit.login.kind !== 'bearer' || (tokens?.login ?? null) === null) return;
    this.world.forgetToken?.(tokens?.login as TokenPlan, visit.login.token);
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

/**
 * What a dialogue came to.
 *
 * @throws ProbeFailure what it failed with
 */
export function settled<T>(outcome: Account<T>['outcome']): T {
  if ('failure' in outcome) throw outcome.failure;
  return outcome.value;
}

/** Everything that no output may hold. */
function secretsOf({ visit, link, fullTest, tokens }: ProbePlan): readonly Secret[] {
  const send = fullTest?.send ?? null;
  const plans = [tokens?.login ?? null, tokens?.send ?? null].filter((plan): plan is TokenPlan => plan !== null);
  const sendProxy = send === null ? null : send.via === 'smtp' ? send.link.proxy : send.http.proxy;
  const proxies = [link.proxy, sendProxy, ...plans.map(({ http }) => http.proxy)];
  const credentials = [visit.login, send?.credential ?? null, ...proxies.map((proxy) => proxy?.credential ?? null)];
  return [
    ...credentials.map((each) => (each === null ? null : secretOf(each))),
    ...plans.map(({ grant }) => (grant.kind === 'refresh-token' ? grant.refreshToken : null)),
    ...plans.map(({ grant }) => (grant.proof?.kind === 'secret' ? grant.proof.secret : null)),
  ].filter(isSecret);
}

const isSecret = (secret: Secret | null): secret is Secret => secret !== null;

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { createAuthority } from '../../src/sandbox/authority.ts';
import { amongForeignMail, type MailInIt } from './foreign-mail.ts';
import { CHECK_POP3, type Circumstances, type Ended, keepSecret, privateFolder, run } from './run.ts';

/** The options of a run by their long names; what takes no value is given so many times, and null leaves one out. */
export type Options = Readonly<Record<string, string | number | true | null>>;

/** The key of the runs of a scene: so that other people's mail can bear our signature. */
const MARKER_KEY = Buffer.alloc(32, 'k');
export const MARKER_KEY_LINE = `${MARKER_KEY.toString('base64')}\n`;

/** A mailbox of a mail system, with other people's mail in it, and the probe that tests it. */
export interface Scene<System> extends MailInIt {
  readonly system: System;
  readonly user: string;
  readonly password: string;
  readonly folder: ReturnType<typeof privateFolder>;
  /** The folder in which the runs leave word for each other; it holds their key. */
  readonly state: string;
  /** The arguments of a run, with changes. */
  options(changes?: Options): readonly string[];
  check(changes?: Options, circumstances?: Circumstances): Promise<Ended>;
}

/** Resolves to how many messages of ours it leaves in the mailbox: no scene forgets to say so. */
export type Play<System> = (scene: Scene<System>) => Promise<number>;

export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** Of which mail systems the scenes are. */
export interface Stage<System extends { stop(): Promise<void> }, Changes> {
  start(identity: Identity, users: Readonly<Record<string, string>>, changes: Changes): Promise<System>;
  /** The ports of the ordinary kind, and where the mailbox of a user is. */
  portsOf(system: System): { readonly pop3: number; readonly smtp: number };
  maildir(system: System, user: string): string;
  deliver(system: System, message: string, user: string): Promise<void>;
}

export interface Scenes<System, Changes> {
  /** A test on the one mail system of the group, with a user of its own. */
  readonly scene: (play: Play<System>) => Promise<void>;
  /** A test on a mail system of its own. */
  readonly sceneWith: (changes: Changes, play: Play<System>) => Promise<void>;
}

/** Scenes for all tests of a group. Each of them is played among other people's mail, which has to stay as it was. */
export function withScenes<System extends { stop(): Promise<void> }, Changes>(
  stage: Stage<System, Changes>,
  usual: Changes,
): Scenes<System, Changes> {
  const password = keepSecret('opén: sesame"\\');
  const folder = privateFolder();
  const passwordFile = folder.file('password', password);
  const caFile = join(folder.path, 'ca.pem');
  const users = Array.from({ length: 50 }, (_, at) => `probe${at}@example.com`);
  const free = users.slice();
  let identity: Identity;
  let shared: System | undefined;

  const start = (names: readonly string[], changes: Changes): Promise<System> =>
    stage.start(identity, Object.fromEntries(names.map((name) => [name, password])), changes);

  beforeAll(async () => {
    const authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    identity = await authority.issue({ names: ['localhost'] });
    shared = await start(users, usual);
  });
  afterAll(() => shared?.stop());

  function playFor(system: System, user: string, play: Play<System>): Promise<void> {
    const state = folder.state();
    writeFileSync(join(state, 'marker.key'), MARKER_KEY_LINE, { mode: 0o600 });
    const { pop3, smtp } = stage.portsOf(system);
    const options = (changes: Options = {}): readonly string[] =>
      argumentsOf({
        ...{ 'client-access-server': 'localhost', address: '127.0.0.1', 'ca-file': caFile },
        ...{ 'port-client-access-server': String(pop3), 'smtp-port': String(smtp) },
        ...{ 'mailbox-credential': user, 'password-file': passwordFile, 'state-dir': state, timeout: '30' },
        ...changes,
      });
    const mailbox = {
      address: user,
      maildir: stage.maildir(system, user),
      key: MARKER_KEY,
      deliver: (message: string) => stage.deliver(system, message, user),
    };
    return amongForeignMail(mailbox, (mail) =>
      play({
        ...{ ...mail, system, user, password, folder, state, options },
        check: (changes, circumstances) => run(CHECK_POP3, options(changes), circumstances),
      }),
    );
  }

  return {
    async scene(play) {
      const user = free.shift();
      if (user === undefined) throw new Error('no user is left: there are more tests than users');
      await playFor(shared as System, user, play);
    },
    async sceneWith(changes, play) {
      const [user] = users as [string];
      const system = await start([user], changes);
      try {
        await playFor(system, user, play);
      } finally {
        await system.stop();
      }
    },
  };
}

function argumentsOf(options: Options): readonly string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    typeof value === 'string' ? [`--${name}`, value] : Array.from({ length: Number(value) }, () => `--${name}`),
  );
}

/** A number in the performance data. */
export function metric({ line }: Ended, name: string): number {
  const value = new RegExp(` ${name}=(-?[\\d.]+)`).exec(line.slice(line.indexOf('|')))?.[1];
  expect(value, `${name} in ${line}`).toBeDefined();
  return Number(value);
}

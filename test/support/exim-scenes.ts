import { type Exim, type EximOptions, startExim } from './exim.ts';
import { type Scenes, type Stage, withScenes } from './scenes.ts';

type Changes = Partial<Omit<EximOptions, 'identity' | 'users'>>;

export const withExim = (usual: Changes = {}): Scenes<Exim, Changes> => withScenes(STAGE, usual);

const STAGE: Stage<Exim, Changes> = {
  start: (identity, users, changes) => startExim({ ...changes, identity, users }),
  portsOf: ({ courier, port }) => ({ pop3: courier.port, smtp: port }),
  maildir: ({ courier }, user) => courier.maildir(user),
  deliver: ({ courier }, message, user) => courier.deliver(message, user),
};

import { join } from 'node:path';
import type { Access } from './policy-server.ts';
import { type Postfix, type PostfixOptions, startPostfix } from './postfix.ts';
import { type Options, type Scenes, type Stage, withScenes } from './scenes.ts';

/** A Postfix that treats the mail for each of its users as that user's test wants it. */
export type TreatingPostfix = Postfix & {
  treatFor(user: string, access: Access): void;
  /** How many messages for a user it has delivered, by its log. */
  delivered(user: string): Promise<number>;
};

type Changes = Partial<Omit<PostfixOptions, 'identity' | 'users' | 'access'>>;

export const withPostfix = (usual: Changes = {}): Scenes<TreatingPostfix, Changes> => withScenes(STAGE, usual);

const STAGE: Stage<TreatingPostfix, Changes> = {
  async start(identity, users, changes) {
    const treatments = new Map<string, Access>();
    const access: Access = (recipient, sender) => treatments.get(recipient)?.(recipient, sender) ?? 'DUNNO';
    const postfix = await startPostfix({ ...changes, identity, users, access });
    return {
      ...postfix,
      treatFor: (user, treatment) => treatments.set(user, treatment),
      async delivered(user) {
        const lines = (await postfix.log()).split('\n');
        return lines.filter((line) => line.includes(` to=<${user}>,`) && line.includes('status=sent')).length;
      },
    };
  },
  portsOf: ({ dovecot, port }) => ({ pop3: dovecot.port, smtp: port }),
  maildir: ({ dovecot }, user) => join(dovecot.folder, 'mail', user, 'Maildir'),
  deliver: ({ dovecot }, message, user) => dovecot.deliver(message, user),
};

/** Of main.cf: passwords are taken in the clear, too, so that a proxy can follow the conversation. */
export const IN_CLEAR = 'smtpd_tls_security_level = may\nsmtpd_tls_auth_only = no';

/** The same of a run. Where there is no TLS there is no authority to be named. */
export const inClear = (changes: Options): Options => ({
  ...{ 'connection-type': 'plaintext', 'smtp-connection-type': 'plaintext', 'ca-file': null, auth: 'user' },
  ...changes,
});

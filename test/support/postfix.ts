import { execFile, execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DOVECOT, type Dovecot, type DovecotOptions, startDovecot } from './dovecot.ts';
import { installed, type Program, pathOf } from './installed.ts';
import { isRoot, type Place, startOwnServer } from './own-server.ts';
import { type Access, startPolicyServer } from './policy-server.ts';

const DAEMONS =
  ['/usr/lib/postfix/sbin', '/usr/libexec/postfix'].find((folder) => installed(join(folder, 'master')) !== null) ??
  'postfix';

/** What `startPostfix` runs, for `missing()`. */
export const POSTFIX: Program = {
  name: 'Postfix with Dovecot for its mailboxes',
  commands: [join(DAEMONS, 'master'), 'postsuper', 'postqueue', 'lmtp', ...DOVECOT.commands],
  install: 'apt-get install postfix dovecot-pop3d dovecot-lmtpd',
};

/** Postfix's master becomes three users, and trusts no queue that is not theirs. */
export const ROOT: Program = {
  name: 'a user who may start Postfix',
  commands: [isRoot() ? 'id' : 'id-of-root'],
  install: 'it needs root',
};

/** Taken at submission; Dovecot does not know it, so the message comes back to its sender. */
export const BOUNCING = 'nobody@example.com';
/** Taken at submission and tried again for ever; with `delayNotices` its sender is told. */
export const DELAYED = 'later@example.com';

export type PostfixOptions = {
  /** The certificate chain and key of both servers, PEM, as `Authority.issue()` makes them. */
  readonly identity: DovecotOptions['identity'];
  /** Passwords by address, all of them of example.com. Who is not named here, or above, is refused with 550. */
  readonly users: Readonly<Record<string, string>>;
  /** What Postfix does with a recipient it would take; `treat()` changes it. */
  readonly access?: Access;
  /** From the start, as by `hold()`. */
  readonly held?: boolean;
  /** Mailboxes hold so many messages. At submission Postfix says so itself, at delivery it learns it from Dovecot. */
  readonly quota?: {
    readonly messages: number;
    readonly at: 'submission' | 'delivery';
    readonly answer: '452 4.2.2' | '552 5.2.2';
  };
  /** Lines of header_checks(5), of regexp_table(5): `/^Subject: (.*)/ REPLACE Subject: [list] $1`. */
  readonly headerChecks?: string;
  /** The same for lines of the body. */
  readonly bodyChecks?: string;
  /** Who sent a message that could not be delivered at once gets a notice about that (`Delayed Mail`). */
  readonly delayNotices?: boolean;
  /** Every message for a user arrives twice. */
  readonly duplicates?: boolean;
  /** What QUIT does, until `letDelete()`: it says +OK and deletes nothing, or `-ERR [SYS/PERM] Permission denied`. */
  readonly deleting?: 'ignored' | 'refused';
  /** More of main.cf; it comes last, so it wins. */
  readonly config?: string;
  /** More of dovecot.conf. */
  readonly dovecotConfig?: string;
};

export type Postfix = {
  /** Submission: STARTTLS first, then AUTH with the user's address and password. */
  readonly port: number;
  /** Submission over implicit TLS. */
  readonly tlsPort: number;
  /** Where the mail arrives. It stops with Postfix. */
  readonly dovecot: Dovecot;
  /** The private folder with everything of Postfix. */
  readonly folder: string;
  /** Postfix's master, the leader of a group of its own. */
  readonly pid: number;
  /** What is taken from now on stays in the queue. */
  hold(): void;
  /** Delivers what was held, and holds no more. */
  release(): Promise<void>;
  /** What Postfix does with recipients from now on. */
  treat(access: Access): void;
  /** From now on Dovecot does delete. */
  letDelete(): Promise<void>;
  /** How many messages are in the queue: on their way, deferred or held. */
  queued(): Promise<number>;
  /** What Postfix logged so far. */
  log(): Promise<string>;
  /** Ends both servers and removes their folders. */
  stop(): Promise<void>;
};

/**
 * Runs a Postfix and a Dovecot of our own: mail is submitted to the one on free ports of 127.0.0.1, carried over by
 * LMTP and read by POP3 from the other. Nothing is looked up, and nothing leaves: there is no SMTP client in it.
 * @throws with Postfix's or Dovecot's log when one does not come up
 */
export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  const { identity, users } = options;
  let access = options.access ?? (() => 'DUNNO');
  let held = options.held ?? false;
  const dovecot = await startDovecot({ identity, users, config: dovecotConfiguration(options) });
  const policy = await startPolicyServer((recipient, sender) => {
    const action = access(recipient, sender);
    return action === 'DUNNO' && held ? 'HOLD' : action;
  });
  const stopOthers = () => Promise.all([policy.stop(), dovecot.stop()]);
  let ended: Promise<unknown> | undefined;
  try {
    await letIn(dovecot);
    const grant = (rights: string) => Promise.all(Object.keys(users).map((user) => writeAcl(dovecot, user, rights)));
    if (options.deleting !== undefined) {
      await grant(RIGHTS[options.deleting]);
    }
    const server = await startOwnServer({
      name: 'postfix',
      isInstalled: true,
      greeting: '220 ',
      furnish: (place) => furnish(place, dovecot, policy.port, options),
      command: ({ folder }) => [
        ...['setpriv', '--pdeathsig', 'TERM', 'sh', '-c', RUN_MASTER, 'sh'],
        ...[join(folder, 'etc'), pathOf('postsuper'), join(DAEMONS, 'master')],
      ],
    });
    const command = (name: string, ...args: readonly string[]) =>
      promisify(execFile)(pathOf(name), ['-c', join(server.folder, 'etc'), ...args]);
    return {
      port: server.port,
      tlsPort: server.tlsPort,
      folder: server.folder,
      pid: server.pid,
      dovecot,
      hold() {
        held = true;
      },
      async release() {
        held = false;
        while ((await queuedIn(server.folder, 'incoming')) > 0) {
          await sleep(10); // what is being submitted was told already that it is held
        }
        await command('postsuper', '-H', 'ALL');
        await command('postqueue', '-f');
      },
      treat(changed) {
        access = changed;
      },
      async letDelete() {
        await grant(RIGHTS.done);
      },
      queued: () => queuedIn(server.folder, 'incoming', 'active', 'deferred', 'hold'),
      log: server.log,
      async stop() {
        ended ??= server.stop().then(stopOthers);
        await ended;
      },
    };
  } catch (error) {
    await stopOthers();
    throw error;
  }
}

async function queuedIn(folder: string, ...queues: readonly string[]): Promise<number> {
  const files = await Promise.all(queues.map((queue) => readdir(join(folder, 'queue', queue), { recursive: true })));
  return files.flat().filter((name) => /[^/]{2,}$/.test(name)).length; // queues are split: deferred/A/A1B2C3
}

/** Postfix's smtpd and lmtp run as `postfix`, and reach Dovecot's sockets through its private folder. */
async function letIn(dovecot: Dovecot): Promise<void> {
  const { uid } = await stat(dovecot.folder);
  await chown(dovecot.folder, uid, postfixIds().gid);
  await chmod(dovecot.folder, 0o710);
}

async function furnish(place: Place, dovecot: Dovecot, policyPort: number, options: PostfixOptions): Promise<void> {
  const { folder } = place;
  const { uid, gid } = postfixIds();
  await chown(folder, 0, gid);
  await chmod(folder, 0o710);
  for (const name of ['etc', 'queue', ...QUEUE.map((part) => join('queue', part)), 'data']) {
    await mkdir(join(folder, name), { mode: 0o755 });
  }
  for (const name of [...QUEUE.filter((part) => part !== 'pid').map((part) => join('queue', part)), 'data']) {
    await chown(join(folder, name), uid, gid);
  }
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  await write('certificate.pem', options.identity.certificate);
  await write('key.pem', options.identity.key);
  await write('header_checks', `${options.headerChecks ?? ''}\n`);
  await write('body_checks', `${options.bodyChecks ?? ''}\n`);
  await write('etc/master.cf', masterCf(place));
  await write('etc/main.cf', mainCf(place, dovecot, policyPort, options));
  await utimes(join(folder, 'etc/main.cf'), 0, 0); // of a fresh one Postfix waits for the end of the writing, for 2 s
}

/**
 * The kernel ends it should the test runner be killed before it can clean up. The shell is there for that: master
 * changes its user now and then, and whoever does that is not told of a parent's death any more (prctl(2)).
 */
const RUN_MASTER = `
trap 'trap - TERM; kill 0' TERM
"$2" -c "$1" || exit # of what is wrong with main.cf, master would tell nobody
"$3" -d -c "$1" &
wait
`;

const QUEUE: readonly string[] = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'maildrop'],
  ...['pid', 'private', 'public', 'saved', 'trace'],
];

function mainCf({ folder }: Place, dovecot: Dovecot, policyPort: number, options: PostfixOptions): string {
  const users = Object.keys(options.users);
  const taken = [...users, BOUNCING, DELAYED].map((address) => `{ ${address} = yes }`);
  // Dovecot drops what follows the plus: both are the user's.
  const doubled = users.flatMap((address) => {
    const copy = address.replace('@', '+copy@');
    return [`{ ${address} = ${address}, ${copy} }`, `{ ${copy} = ${copy} }`];
  });
  const quota = options.quota?.at === 'submission' ? `check_policy_service unix:${dovecot.folder}/run/quota` : '';
  return `
compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
daemon_directory = ${DAEMONS}
maillog_file = ${folder}/output.log
maillog_file_prefixes = ${folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
myhostname = mail.example.com
mydomain = example.com
myorigin = example.com
mydestination =
mynetworks =
local_recipient_maps =
alias_maps =
alias_database =
local_transport = error:5.1.1 nobody is local
default_transport = error:5.4.4 nothing leaves this host
notify_classes =
recipient_delimiter = +
propagate_unmatched_extensions =

virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{ ${taken.join(', ')} }
virtual_transport = lmtp:unix:${dovecot.folder}/run/lmtp
virtual_alias_maps = ${options.duplicates === true ? `inline:{ ${doubled.join(', ')} }` : ''}
transport_maps = inline:{ { ${DELAYED} = lmtp:unix:${folder}/away } }
delay_warning_time = ${options.delayNotices === true ? '1s' : '0'}
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
header_checks = regexp:${folder}/header_checks
body_checks = regexp:${folder}/body_checks

smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = ${folder}/key.pem, ${folder}/certificate.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${dovecot.folder}/run/sasl
smtpd_client_restrictions =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unauth_destination, reject_unlisted_recipient, ${quota}
  check_policy_service inet:127.0.0.1:${policyPort}
smtpd_error_sleep_time = 0
in_flow_delay = 0
${options.config ?? ''}
`;
}

function masterCf({ port, tlsPort }: Place): string {
  return `
127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${tlsPort} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`;
}

function dovecotConfiguration({ quota, deleting, dovecotConfig = '' }: PostfixOptions): string {
  return `
protocols = pop3 lmtp
recipient_delimiter = +
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
service auth {
  unix_listener sasl {
    mode = 0666
  }
}
${quota === undefined ? '' : quotaConfiguration(quota)}
${deleting === undefined ? '' : ACL_CONFIGURATION}
${dovecotConfig}
`;
}

function quotaConfiguration({ messages, answer }: NonNullable<PostfixOptions['quota']>): string {
  return `
mail_plugins = $mail_plugins quota
plugin {
  quota = count:mailbox
  quota_vsizes = yes
  quota_rule = *:messages=${messages}
  quota_grace = 0
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = "${answer} Mailbox is full"
}
quota_full_tempfail = ${answer.startsWith('4') ? 'yes' : 'no'}
service quota-status {
  executable = quota-status -p postfix
  unix_listener quota {
    mode = 0666
  }
}
`;
}

/**
 * The rights of a mailbox's owner in POP3; LMTP does not ask for them. (Folders that may not be written to would have
 * the same effect, but then no mail arrives either.) Of a mailbox it may only read, Dovecot does not say so at QUIT.
 */
const RIGHTS = { ignored: 'lr', refused: 'lrs', done: 'lrswipte' } as const;

const ACL_CONFIGURATION = `
protocol pop3 {
  mail_plugins = $mail_plugins acl
}
plugin {
  acl = vfile:%h/acl:cache_secs=0
}
`;

async function writeAcl({ folder }: Dovecot, user: string, rights: string): Promise<void> {
  const file = join(folder, 'mail', user, 'acl');
  await writeFile(file, `INBOX owner ${rights}\n`);
  await chmod(file, 0o644);
}

function postfixIds(): { readonly uid: number; readonly gid: number } {
  const [uid, gid] = ['-u', '-g'].map((what) => Number(execFileSync('id', [what, 'postfix'], { encoding: 'utf8' })));
  return { uid: uid as number, gid: gid as number };
}

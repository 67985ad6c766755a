import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COURIER, type Courier, type CourierOptions, startCourier } from './courier.ts';
import type { Program } from './installed.ts';
import { type Place, startOwnServer, unpacked } from './own-server.ts';
import { inOwnView } from './own-view.ts';

/** What `startExim` runs, for `missing()`; it needs VIEW_OF_FILES, too. */
export const EXIM: Program = {
  name: 'Exim with Courier for its mailboxes',
  commands: [unpacked('exim', 'usr/sbin/exim4'), ...COURIER.commands],
  install: 'tools/servers.sh',
};

export type EximOptions = CourierOptions & {
  /** Every message for a user arrives twice. */
  readonly duplicates?: boolean;
};

export type Exim = {
  /** Submission: STARTTLS first, then AUTH with the user's address and password. */
  readonly port: number;
  /** Submission over implicit TLS. */
  readonly tlsPort: number;
  /** Where the mail arrives. It stops with Exim. */
  readonly courier: Courier;
  /** The private folder with everything of Exim. */
  readonly folder: string;
  /** The process we started, the leader of a group of its own. */
  readonly pid: number;
  /** What Exim logged so far. */
  log(): Promise<string>;
  /** Ends both servers and removes their folders. */
  stop(): Promise<void>;
};

/**
 * Runs an Exim 4.96 and a Courier of our own: mail for the users, addresses of example.com, is submitted to the one
 * and put into the maildirs of the other. Who is not a user is refused with 550. Nothing is looked up, and nothing
 * leaves: there is no SMTP client in it. Nothing in it is root.
 * @throws with Exim's or Courier's log when one does not come up
 */
export async function startExim(options: EximOptions): Promise<Exim> {
  const courier = await startCourier(options);
  let ended: Promise<void> | undefined;
  try {
    const server = await startOwnServer({
      name: 'exim',
      greeting: '220 ',
      furnish: (place) => furnish(place, courier, options),
      command,
    });
    return {
      port: server.port,
      tlsPort: server.tlsPort,
      folder: server.folder,
      pid: server.pid,
      courier,
      async log() {
        const ofItsOwn = await readFile(join(server.folder, 'exim.mainlog'), 'utf8').catch(() => '');
        return (await server.log()) + ofItsOwn;
      },
      stop() {
        ended ??= server.stop().then(courier.stop);
        return ended;
      },
    };
  } catch (error) {
    await courier.stop();
    throw error;
  }
}

/** The file it would read by itself has to be root's; one that is named need not, since nothing here is root. */
function command(place: Place): readonly string[] {
  const { folder } = place;
  return inOwnView(place, ['etc'], [join(folder, 'usr/sbin/exim4'), '-C', join(folder, 'exim.conf'), '-bdf']);
}

async function furnish(place: Place, courier: Courier, options: EximOptions): Promise<void> {
  const { folder, account } = place;
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  await mkdir(join(folder, 'etc'), { mode: 0o700 });
  await mkdir(join(folder, 'spool'), { mode: 0o700 });
  for (const name of ['nsswitch.conf', 'ld.so.cache', 'hosts']) {
    await copyFile(join('/etc', name), join(folder, 'etc', name));
  }
  await write('etc/passwd', `${COMPILED_IN}:x:${account.uid}:${account.gid}::/:/bin/false\n`);
  await write('etc/group', `${COMPILED_IN}:x:${account.gid}:\n`);
  await write('exim.conf', configuration(place, options.duplicates === true));
  await write('certificate.pem', options.identity.certificate);
  await write('key.pem', options.identity.key);
  const users = Object.entries(options.users);
  await write('passwords', users.map(([user, password]) => `${user}: ${sha256(password)}\n`).join(''));
  const mailboxes = users.flatMap(([user]) =>
    [user, copyOf(user)].map((name) => `${name}: ${courier.maildir(user)}\n`),
  );
  await write('mailboxes', mailboxes.join(''));
  await write('copies', users.map(([user]) => `${user}: ${user}, ${copyOf(user)}\n`).join(''));
}

/** Exim looks up this user in /etc/passwd. Ours says that it is the account, so there is nothing to change to. */
const COMPILED_IN = 'Debian-exim';

function configuration({ folder, port, tlsPort }: Place, duplicates: boolean): string {
  const passwordMatches = (user: string, password: string) =>
    `\${if eq{\${lc:\${sha256:${password}}}}{\${lookup{${user}}lsearch{${folder}/passwords}{$value}{none}}}}`;
  return `
exim_path = ${folder}/usr/sbin/exim4
spool_directory = ${folder}/spool
log_file_path = ${folder}/exim.%slog
pid_file_path = ${folder}/exim.pid
keep_environment =
deliver_drop_privilege = true
primary_hostname = mail.example.com
qualify_domain = example.com
disable_ipv6 = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port} : ${tlsPort}
tls_on_connect_ports = ${tlsPort}
tls_advertise_hosts = *
tls_certificate = ${folder}/certificate.pem
tls_privatekey = ${folder}/key.pem
auth_advertise_hosts = \${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = recipient
acl_smtp_data = message

begin acl
recipient:
  deny message = Authenticate first
    !authenticated = *
  deny message = Relay not permitted
    !domains = example.com
  require verify = recipient
  accept
message:
  accept

begin routers
${duplicates ? copies(folder) : ''}
mailbox:
  driver = accept
  domains = example.com
  address_data = \${lookup{$local_part@$domain}lsearch{${folder}/mailboxes}{$value}fail}
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = $address_data
  envelope_to_add
  return_path_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_set_id = $auth2
  server_condition = ${passwordMatches('$auth2', '$auth3')}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_set_id = $auth1
  server_condition = ${passwordMatches('$auth1', '$auth2')}
`;
}

function copies(folder: string): string {
  return `
copies:
  driver = redirect
  domains = example.com
  data = \${lookup{$local_part@$domain}lsearch{${folder}/copies}{$value}fail}
`;
}

function copyOf(user: string): string {
  return user.replace('@', '-copy@');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

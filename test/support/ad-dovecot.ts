import { existsSync, statSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { DOVECOT, type Dovecot, startDovecot } from './dovecot.ts';
import type { Program } from './installed.ts';
import { DOMAIN_DN, type Samba } from './samba.ts';

/** What `startAdDovecot` runs, for `missing()`, beside SAMBA. */
export const AD_DOVECOT: Program = {
  name: 'Dovecot for LDAP',
  commands: [
    ...DOVECOT.commands,
    existsSync('/usr/lib/dovecot/modules/auth/libauthdb_ldap.so') ? 'sh' : 'dovecot-ldap',
  ],
  install: 'apt-get install dovecot-pop3d dovecot-ldap',
};

/**
 * The POP service of each server of Exchange that has one: a Dovecot that asks the directory at every logon. It takes
 * pop3-test, pop3-test@example.test and EXAMPLE\pop3-test for the same user.
 */
export interface AdDovecot {
  /** By the FQDN of the server, which the DNS of the domain knows: POP3 with STLS on 110, over TLS on 995. */
  readonly addresses: Readonly<Record<string, string>>;
  /** The Dovecot behind them all, on 127.0.0.1. */
  readonly port: number;
  readonly tlsPort: number;
  /** How many connections the server of that FQDN has taken. */
  visits(fqdn: string): number;
  /** From now on the server of that FQDN refuses connections. */
  close(fqdn: string): Promise<void>;
  /** Puts a message into the mailbox of a user, named by the sAMAccountName; a new mailbox is made. */
  deliver(message: string | Uint8Array, name: string): Promise<void>;
  /** How many messages are in it. */
  messages(name: string): Promise<number>;
  log(): Promise<string>;
  /** Ends all of it; when it resolves nothing is left. */
  stop(): Promise<void>;
}

/** Servers of test/support/ad/exchange.ldif. The others have names in DNS too, and nothing listens there. */
const POP_SERVERS = ['ex2010', 'ex2013cas', 'ex2013', 'ex2019', 'exse'];
const OTHER_SERVERS = ['um2010', 'edge'];

export async function startAdDovecot(samba: Samba): Promise<AdDovecot> {
  const network = samba.address.replace(/\.\d+$/, '');
  const named = [...POP_SERVERS, ...OTHER_SERVERS].map((name, at) => [
    `${name}.${samba.domain}`,
    `${network}.${11 + at}`,
  ]);
  const all: Readonly<Record<string, string>> = Object.fromEntries(named);
  const addresses = Object.fromEntries(Object.entries(all).slice(0, POP_SERVERS.length));
  await samba.publish(all);
  const dovecot = await startDovecot({
    identity: await samba.authority.issue({ names: Object.keys(addresses) }),
    users: {},
    files: { 'ldap.conf': questions(samba) },
    config: asksTheDirectory,
  });
  const doors: Record<string, Door> = {};
  const stop = async () => {
    await Promise.all(Object.values(doors).map((door) => door.close()));
    await dovecot.stop();
  };
  try {
    for (const [fqdn, address] of Object.entries(addresses)) doors[fqdn] = await open(address, dovecot);
  } catch (error) {
    await stop();
    throw error;
  }
  const doorOf = (fqdn: string): Door => {
    const door = doors[fqdn];
    if (door === undefined) throw new Error(`${fqdn} has no POP service`);
    return door;
  };
  return {
    addresses,
    port: dovecot.port,
    tlsPort: dovecot.tlsPort,
    visits: (fqdn) => doorOf(fqdn).visits(),
    close: (fqdn) => doorOf(fqdn).close(),
    async deliver(message, name) {
      await makeMailbox(dovecot, name);
      await dovecot.deliver(message, name);
    },
    async messages(name) {
      await makeMailbox(dovecot, name);
      return dovecot.messages(name);
    },
    log: () => dovecot.log(),
    stop,
  };
}

/** A backslash becomes an @, so that the user of EXAMPLE\pop3-test stands where its domain would. */
const asksTheDirectory = (folder: string): string => `
auth_username_chars =
auth_username_translation = "\\\\@"
passdb {
  driver = ldap
  args = ${folder}/ldap.conf
}
`;

/** Who logs on is looked for as an ordinary account, then the directory itself takes the password or not. */
const questions = ({ address, probe }: Samba): string => `
uris = ldaps://${address}
tls_require_cert = never
dn = ${probe.user}
dnpass = ${probe.password}
base = ${DOMAIN_DN}
auth_bind = yes
pass_filter = (&(objectClass=user)(|(sAMAccountName=%n)(userPrincipalName=%u)(sAMAccountName=%d)))
pass_attrs = sAMAccountName=user
`;

interface Door {
  visits(): number;
  close(): Promise<void>;
}

/** Dovecot runs as nobody, who may not listen there: what is said at the address is passed on. */
async function open(address: string, { port, tlsPort }: Dovecot): Promise<Door> {
  const guests = new Set<Socket>();
  let visits = 0;
  const doorkeeper = async (from: number, to: number): Promise<Server> => {
    const server = createServer((client) => {
      visits += 1;
      const inside = connect(to, '127.0.0.1');
      guests.add(client);
      client.on('error', () => inside.destroy()).on('close', () => inside.destroy() && guests.delete(client));
      inside.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.pipe(inside).pipe(client);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(from, address, resolve);
    });
    return server;
  };
  const servers = [await doorkeeper(110, port), await doorkeeper(995, tlsPort)];
  return {
    visits: () => visits,
    async close() {
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      for (const guest of guests) guest.destroy();
      await Promise.all(closed);
    },
  };
}

async function makeMailbox({ folder }: Dovecot, name: string): Promise<void> {
  const { uid, gid } = statSync(folder);
  const parts = ['mail', name, 'Maildir'];
  const folders = [...parts.keys()].map((at) => join(folder, ...parts.slice(0, at + 1)));
  for (const path of [...folders, ...['tmp', 'new', 'cur'].map((part) => join(folder, ...parts, part))]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chown(path, uid, gid);
  }
}

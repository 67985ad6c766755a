import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/**
 * What Postfix does with a recipient: an action of access(5), such as `HOLD`, `DISCARD` or `452 4.2.2 Mailbox full`.
 * `DUNNO` takes it.
 */
export type Access = (recipient: string, sender: string) => string;

export type PolicyServer = {
  readonly port: number;
  stop(): Promise<void>;
};

/** Answers Postfix's questions about recipients (SMTPD_POLICY_README). The answer to the client stays Postfix's. */
export async function startPolicyServer(access: Access): Promise<PolicyServer> {
  const connected = new Set<Socket>();
  const server = createServer((socket) => {
    connected.add(socket);
    socket.once('close', () => connected.delete(socket)).on('error', () => socket.destroy());
    let unread = '';
    socket.setEncoding('utf8').on('data', (text) => {
      const questions = (unread + text).split('\n\n');
      unread = questions.pop() ?? '';
      for (const question of questions) {
        socket.write(`action=${access(attribute(question, 'recipient'), attribute(question, 'sender'))}\n\n`);
      }
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of connected) {
        socket.destroy();
      }
      await closed;
    },
  };
}

/** Takes a recipient only when it was first asked for that long ago, as postgrey does. */
export function greylisting(milliseconds: number): Access {
  const firstAsked = new Map<string, number>();
  return (recipient, sender) => {
    const pair = `${sender} ${recipient}`;
    const since = firstAsked.get(pair) ?? Date.now();
    firstAsked.set(pair, since);
    return Date.now() - since < milliseconds ? '451 4.7.1 Greylisted, please try again later' : 'DUNNO';
  };
}

function attribute(question: string, name: string): string {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(question)?.[1] ?? '';
}

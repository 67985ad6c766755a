import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The moment in a conversation, by lines and in the clear, at which everything stops. */
export type Moment =
  /** A client has connected, as the so-manieth, and no octet has passed. */
  | { readonly connection: number }
  /** The so-manieth connection is over. */
  | { readonly ended: number }
  /** A client says a line: it does not pass, or where that is meant, the answer to it does not. */
  | {
      readonly says: RegExp;
      /** Not before a line like that has passed. */
      readonly after?: RegExp;
      /** The so-manieth time since. Default: the first. */
      readonly time?: number;
      readonly until?: 'answered';
    };

export type HaltingProxy = {
  readonly port: number;
  /** Resolves at that moment, from which on nothing passes. Throws when what was to come to it is over before. */
  reached(running: Promise<{ readonly line: string }>): Promise<void>;
  /** Goes on. */
  resume(): void;
  close(): Promise<void>;
};

/** Stands on loopback in front of a port of 127.0.0.1, and stops the traffic at one moment. */
export async function startHaltingProxy(serverPort: number, moment: Moment): Promise<HaltingProxy> {
  const open = new Set<Socket>();
  let connections = 0;
  let isHalted = false;
  let waiting: (() => void)[] = [];
  let arrive: () => void = () => undefined;
  const halted = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const halt = (): void => {
    isHalted = true;
    arrive();
  };
  /** Does it now, or when the traffic goes on. */
  const pass = (action: () => void): void => {
    if (isHalted) waiting.push(action);
    else action();
  };
  const watch = watchFor(moment);
  const listener = createServer((client) => {
    connections += 1;
    const number = connections;
    keep(open, client);
    if ('connection' in moment && moment.connection === number) halt();
    pass(() => {
      const server = connect(serverPort, '127.0.0.1');
      keep(open, server);
      let unread = '';
      let isAsked = false;
      // What may be TLS has no lines.
      if (!('says' in moment)) client.on('data', (octets) => pass(() => server.write(octets)));
      else
        client.setEncoding('latin1').on('data', (text) => {
          const lines = (unread + text).split('\n');
          unread = lines.pop() ?? '';
          for (const line of lines) {
            const found = watch(line.replace(/\r$/, ''));
            if (found === 'now') halt();
            pass(() => server.write(`${line}\n`, 'latin1'));
            isAsked ||= found === 'when answered';
          }
        });
      server.on('data', (octets) => {
        if (isAsked) halt();
        isAsked = false;
        pass(() => client.write(octets));
      });
      server.once('close', () => pass(() => client.end()));
      client.once('close', () => {
        server.destroy();
        if ('ended' in moment && moment.ended === number) halt();
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (listener.address() as AddressInfo).port,
    async reached(running) {
      const over = await Promise.race([halted, running]);
      if (over !== undefined) throw new Error(`it ended before the moment came: ${over.line}`);
    },
    resume() {
      isHalted = false;
      const actions = waiting;
      waiting = [];
      for (const action of actions) action();
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function keep(open: Set<Socket>, socket: Socket): void {
  open.add(socket);
  socket.on('error', () => socket.destroy()).once('close', () => open.delete(socket));
}

/** Whether the moment has come, for each line that a client says. */
function watchFor(moment: Moment): (line: string) => 'now' | 'when answered' | null {
  if (!('says' in moment)) return () => null;
  const { says, after, time = 1, until } = moment;
  let isArmed = after === undefined;
  let times = 0;
  return (line) => {
    const isIt = isArmed && says.test(line);
    isArmed ||= after?.test(line) === true;
    if (!isIt) return null;
    times += 1;
    if (times !== time) return null;
    return until === 'answered' ? 'when answered' : 'now';
  };
}

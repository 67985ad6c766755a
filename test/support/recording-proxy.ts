import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type RecordingProxy = {
  readonly port: number;
  /** Every byte the clients sent so far, in the order it came, all connections together. */
  readonly clientBytes: Buffer;
  /** Every byte the server sent so far. */
  readonly serverBytes: Buffer;
  /** Cuts what is still open, and is gone when it resolves. The recording stays. */
  close(): Promise<void>;
};

export type RecordingProxyOptions = {
  /** The address the server sees. Dovecot calls a link secured when both ends are the same: 127.0.0.2 is not. */
  readonly from?: string;
};

/** Stands on loopback in front of a port of 127.0.0.1 and keeps what goes by, so that a test can look for passwords. */
export async function startRecordingProxy(
  serverPort: number,
  options: RecordingProxyOptions = {},
): Promise<RecordingProxy> {
  const fromClients: Buffer[] = [];
  const fromServer: Buffer[] = [];
  const open = new Set<Socket>();
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({
      host: '127.0.0.1',
      port: serverPort,
      localAddress: options.from ?? '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    forward(client, server, fromClients);
    forward(server, client, fromServer);
    for (const socket of [client, server]) {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    }
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (listener.address() as AddressInfo).port,
    get clientBytes() {
      return Buffer.concat(fromClients);
    },
    get serverBytes() {
      return Buffer.concat(fromServer);
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve()); // an error means that it was closed before
        for (const socket of open) {
          socket.destroy();
        }
      }),
  };
}

/** One direction. A half-close is passed on as such, a reset as a reset: a probe tells them apart. */
function forward(source: Socket, sink: Socket, recording: Buffer[]): void {
  source.on('data', (bytes) => recording.push(bytes));
  source.pipe(sink);
  source.on('error', () => sink.resetAndDestroy());
}

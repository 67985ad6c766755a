import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Circumstances, type Ended, launch } from './run.ts';

/** The built command of that name. */
export const built = (command: string): string => new URL(`../../dist/${command}`, import.meta.url).pathname;

/**
 * Runs a command whose platform reads a document, and holds it to what each of them promises: exit code 0 whatever was
 * found, nothing on stderr, whole lines, and no secret in any form.
 */
export async function runDocument(
  command: string,
  argv: readonly string[],
  secrets: readonly string[],
  circumstances: Circumstances = {},
): Promise<Ended> {
  const ended = await launch(built(command), argv, circumstances);
  const about = `${argv.join(' ')}\n${ended.stdout}${ended.stderr}`;
  expect([ended.code, ended.stderr], about).toEqual([0, '']);
  expect(ended.stdout.endsWith('\n'), about).toBe(true);
  for (const secret of secrets) {
    for (const form of [
      secret,
      Buffer.from(secret).toString('base64'),
      Buffer.from(`\0probe\0${secret}`).toString('base64'),
    ])
      expect(ended.stdout).not.toContain(form.replace(/=+$/, ''));
  }
  return ended;
}

/** A port where connections are taken and nothing is ever said. */
export function silentPort(): () => number {
  let server: Server;
  const connections: Socket[] = [];
  beforeAll(async () => {
    server = createServer((socket) => connections.push(socket.on('error', () => undefined)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    for (const connection of connections) connection.destroy();
    server.close();
  });
  return () => (server.address() as AddressInfo).port;
}

import { ProbeFailure, type Reason } from '../../dialogue/failure.ts';

/** What an error of Node's sockets stands for. */
const MEANING: Readonly<Record<string, readonly [Reason, string]>> = {
  ECONNREFUSED: ['connection-refused', 'the connection was refused'],
  ECONNRESET: ['hung-up', 'the connection was reset'],
  EPIPE: ['hung-up', 'the server has closed the connection'],
  ECONNABORTED: ['hung-up', 'the connection was aborted'],
  ETIMEDOUT: ['timed-out', 'the network gave up'],
  EHOSTUNREACH: ['unreachable', 'no route to the host'],
  ENETUNREACH: ['unreachable', 'no route to the network'],
  EHOSTDOWN: ['unreachable', 'the host is down'],
  ENETDOWN: ['unreachable', 'the network is down'],
  EPROTO: ['protocol-violation', 'a protocol error'],
  // Faults of this machine.
  EACCES: ['local-resources', 'this machine does not permit it'],
  EPERM: ['local-resources', 'this machine does not permit it'],
  EADDRNOTAVAIL: ['local-resources', 'this machine has no address or port left for it'],
  EADDRINUSE: ['local-resources', 'this machine has no address or port left for it'],
  EAFNOSUPPORT: ['local-resources', 'this machine does not speak that kind of address'],
  EMFILE: ['local-resources', 'this process has too many files open'],
  ENFILE: ['local-resources', 'this machine has too many files open'],
  ENOBUFS: ['local-resources', 'this machine is out of network buffers'],
  ENOMEM: ['local-resources', 'this machine is out of memory'],
};

/**
 * The failure an error stands for; one we do not know keeps its own words and counts as the connection's.
 *
 * @param where put before the words, `192.0.2.1 port 110: `
 */
export function failureOf(error: unknown, where = ''): ProbeFailure {
  if (error instanceof ProbeFailure) return error;
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  const [reason, words] = MEANING[code] ?? ['hung-up', `${message}`];
  return new ProbeFailure(reason, `${where}${words}${code === '' ? '' : ` (${code})`}`);
}

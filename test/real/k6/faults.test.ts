import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProbeResult, Problem } from '../../../plugins/k6/pop3.d.ts';
import { nodeSources } from '../../../src/credentials/sources.ts';
import { probe } from '../../../src/probe/probe.ts';
import { parseRequest } from '../../../src/request/request.ts';
import { nodeWorld } from '../../../src/runtimes/node/world.ts';
import { FAULTS, type FaultName } from '../../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { missing } from '../../support/installed.ts';
import { probeInEngine, resultOf } from '../../support/k6-logon.ts';
import { builtRunner, GO } from '../../support/k6-runner.ts';
import { keepSecret, privateFolder } from '../../support/run.ts';

/**
 * Every way the sandbox goes wrong, met twice: by the probe on Node, and by the built module in k6's JavaScript engine
 * over the transport of xk6-pop3. What they say is the same.
 */
const LINKS = ['tls', 'ssl', 'plaintext'] as const;
const OF_MAIL = /^(?:mail|smtp-|send|round|submission|bounce)/;
const PASSWORD = keepSecret('correct-horse-battery-staple');
const TIMEOUT_S = 0.7;

const names = (Object.keys(FAULTS) as FaultName[]).filter((name) => !OF_MAIL.test(name));

describe.skipIf(missing(GO))("what goes wrong, in k6's JavaScript engine", () => {
  const folder = privateFolder();

  beforeAll(() => builtRunner());

  describe.each(names.map((name) => [name]))('%s', (name) => {
    let server: Sandbox;
    const caFile = join(folder.path, `${name}.pem`);

    beforeAll(async () => {
      server = await startSandbox({
        password: PASSWORD,
        faults: [name],
        timing: { dripMs: 200, slowLoginMs: 100, lateMs: 100 },
      });
      writeFileSync(caFile, server.caCertificate);
    });
    afterAll(() => server.close());

    test.concurrent.each(LINKS)('%s', async (type) => {
      const port = type === 'ssl' ? server.pop3sPort : server.pop3Port;
      const onNode = await probeOnNode(type, port, caFile);
      const inEngine = resultOf(
        await probeInEngine(folder.path, {
          options: {
            server: 'localhost',
            address: '127.0.0.1',
            port,
            connectionType: type,
            userName: server.user,
            password: PASSWORD,
            timeout: TIMEOUT_S,
          },
          ...(type === 'plaintext' ? {} : { caFile }),
        }),
      );
      const [ended, expected] = [endingOf(inEngine), endingOf(onNode)];
      // Whether its alert is there before we have said anything is a matter of luck.
      if (name === 'tls-alert' && type === 'ssl')
        expect(ended.error).toMatchObject({ reason: 'tls-failed', phase: 'tls' });
      else expect(ended).toEqual(expected);
    });
  });
});

async function probeOnNode(type: string, port: number, caFile: string): Promise<ProbeResult> {
  const request = await parseRequest(
    {
      'client-access-server': 'localhost',
      address: '127.0.0.1',
      'port-client-access-server': String(port),
      'connection-type': type,
      'mailbox-credential': 'probe@example.com',
      password: PASSWORD,
      timeout: String(TIMEOUT_S),
      ...(type === 'plaintext' ? {} : { 'ca-file': caFile }),
    },
    { timeoutS: TIMEOUT_S, test: 'light' },
    nodeSources,
  );
  const { result } = await probe(request.plan, nodeWorld, null, nodeWorld.now() + request.plan.timeoutMs);
  return result;
}

/** What a result says, without times, and without what two implementations of TCP and TLS put into words of their own. */
const endingOf = ({ error, warnings, phases, capabilities, mailbox, tls }: ProbeResult) => ({
  error: error === null ? null : told(error),
  warnings: warnings.map(told),
  phases: phases.map(({ name }) => name),
  capabilities,
  mailbox,
  tls: tls === null ? null : { ...tls, cipher: '', daysLeft: Math.floor(tls.daysLeft) },
});

const told = (problem: Problem): Problem => ({
  ...problem,
  message: withoutCodes(problem.message),
  hint: WORDS.reduce((hint, [spoken, called]) => hint.replace(spoken, called), problem.hint),
});

/** What a hint says to who has a command line, and to who has a script. */
const WORDS = [
  [/; -vvv shows .*/, ''],
  ['--timeout', 'timeout'],
  ['--connection-type', 'connectionType'],
  ['--ca-file', 'ca'],
  ['--pin', 'pin'],
] as const;

const withoutCodes = (message: string): string => message.replace(/ \(E[A-Z0-9_]+\)/g, '');

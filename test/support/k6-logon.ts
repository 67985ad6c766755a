import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ProbeResult } from '../../plugins/k6/pop3.d.ts';
import { type Came, inEngine } from './k6-engine.ts';

/** How a test logs on from the engine: the options of the script, and what else the engine is told. */
export interface EngineLogon {
  readonly bundle?: 'pop3.xk6' | 'pop3.k6';
  readonly options: Readonly<Record<string, unknown>>;
  /** A file for the option `ca`. */
  readonly caFile?: string;
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Tests that run at once write at once. */
let written = 0;

/** A script in a folder that imports one of the built modules by its path. */
export function scriptIn(folder: string, name: string, bundle: string, body: string): string {
  const file = join(folder, `${++written}-${name}`);
  writeFileSync(file, `import { open, probe } from ${JSON.stringify(resolve(`dist/${bundle}.js`))};\n${body}`);
  return file;
}

/** What a probe in the engine came to. */
export async function probeInEngine(folder: string, logon: EngineLogon): Promise<Came<ProbeResult>> {
  const { bundle = 'pop3.xk6', options, caFile, argv = [], env = {} } = logon;
  const script = scriptIn(
    folder,
    'probe.js',
    bundle,
    `const given = JSON.parse(__ENV.OPTIONS);
     if (__ENV.CA !== undefined) given.ca = globalThis.open(__ENV.CA);
     export default () => probe(given);`,
  );
  const ca = caFile === undefined ? [] : ['-e', `CA=${caFile}`];
  return await inEngine(['-e', `OPTIONS=${JSON.stringify(options)}`, ...ca, ...argv, script], { env });
}

/** The result of the one iteration there was. */
export function resultOf({ iterations, console }: Came<ProbeResult>): ProbeResult {
  const [iteration] = iterations;
  if (iteration?.returned === undefined) throw new Error(`nothing came of it: ${iteration?.thrown} ${console}`);
  return iteration.returned;
}

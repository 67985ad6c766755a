import { printable } from '../probe/printable.ts';
import type { ProbeResult } from '../probe/result.ts';
import { describeProblem, isTest, type TestVerdict, testsIn, type Verdict } from '../verdict/judge.ts';
import type { State } from '../verdict/severity.ts';

/** The columns of Test-PopConnectivity, in its order. */
export const COLUMNS = ['CasServer', 'LocalSite', 'Scenario', 'Result', 'Latency(MS)', 'Error'] as const;

/** A result as the cmdlet's table tells it: one line each, fit for a terminal, in no language's ways. */
export type CmdletRow = Readonly<Record<(typeof COLUMNS)[number], string>>;

export function cmdletRow({ casServer, localSite, scenario, result, latencyMs, error }: ProbeResult): CmdletRow {
  return {
    CasServer: shown(shortName(casServer)),
    LocalSite: shown(localSite ?? ''),
    Scenario: scenario,
    Result: result,
    // How long it took to fail is no latency.
    'Latency(MS)': error === null ? latencyMs.toFixed(2) : '',
    Error: error === null ? '' : shown(describeProblem(error)),
  };
}

/** What the cmdlet's Format-List shows, in its order. */
export const FIELDS = [
  'ClientAccessServer',
  'LocalSite',
  'Scenario',
  'ScenarioDescription',
  'PerformanceCounterName',
  'Result',
  'MailboxServer',
  'StartTime',
  'Latency',
  'SecureAccess',
  'ConnectionType',
  'Port',
  'Error',
  'UserName',
  'VirtualDirectoryName',
  'Url',
  'UrlType',
  'EventType',
] as const;

export type Fields = Readonly<Record<(typeof FIELDS)[number], string>>;

/** A test as the cmdlet's Format-List tells it. What has no meaning for POP3 is empty, as it was there. */
export function fieldsOf(test: TestVerdict): Fields {
  const { result } = test;
  const row = cmdletRow(result);
  return {
    ClientAccessServer: shown(result.casServer),
    LocalSite: row.LocalSite,
    Scenario: row.Scenario,
    ScenarioDescription: shown(describe(result)),
    PerformanceCounterName: 'Latency',
    Result: row.Result,
    MailboxServer: shown(result.mailboxServer ?? ''),
    StartTime: result.startTime,
    Latency: result.error === null ? timeSpan(result.latencyMs) : '',
    SecureAccess: result.connectionType === 'plaintext' ? 'False' : 'True',
    ConnectionType: CONNECTION_TYPES[result.connectionType],
    Port: String(result.port),
    Error: row.Error,
    UserName: shown(result.userName),
    VirtualDirectoryName: '',
    Url: '',
    UrlType: '',
    EventType: EVENT_TYPES[outcomeOf(test)],
  };
}

/** What a test comes to for people and scripts. */
export type Outcome = 'succeeded' | 'warned' | 'skipped' | 'failed';

/** A failure that was expected, or is to count as good, is a success; a logon that was to fail and works is none. */
export function outcomeOf(test: TestVerdict): Outcome {
  const { result, state } = test;
  if (result.result === 'Skipped') return 'skipped';
  if (test.isUnexpected) return 'failed';
  const good: Outcome = state === 'ok' ? 'succeeded' : 'warned';
  return result.error === null || isExcused(test) ? good : 'failed';
}

/** 0 all succeeded, 1 some skipped or warned, 2 some failed, 3 could not run. */
export function peopleExit(verdict: Verdict): number {
  const outcomes = testsIn(verdict).map(outcomeOf);
  if (outcomes.length === 0) return 3;
  if (outcomes.includes('failed')) return 2;
  const isGood = outcomes.every((outcome) => outcome === 'succeeded');
  return isGood && notesOn(verdict).every(({ state }) => state === 'ok') ? 0 : 1;
}

/** One line beside the rows. */
export interface Note {
  readonly state: State;
  readonly text: string;
}

/**
 * What the row of a test does not tell: warnings, thresholds that were crossed, remarks, and why a failure counts
 * for none.
 */
export function notesOf(test: TestVerdict): readonly Note[] {
  const parts = isToldByRow(test) ? test.parts.slice(1) : test.parts;
  const excuse: readonly Note[] = isExcused(test) ? [{ state: 'ok', text: shown(test.summary) }] : [];
  return [...excuse, ...parts.map(({ state, text }) => ({ state, text: shown(text) }))];
}

/** What belongs to no test: servers that were not reached, what refused the run, remarks on all of it. */
export function notesOn(verdict: Verdict): readonly Note[] {
  if (isTest(verdict)) return [];
  if (verdict.parts.length === 0) return [{ state: verdict.state, text: shown(verdict.text) }];
  return ([] as Note[]).concat(...verdict.parts.map(notesOn));
}

/**
 * All of these as PowerShell tells them, each with its server: `WARNING: mail.example.com: not-deleted, …`. Where
 * nothing was tested they are why.
 */
export function footerOf(verdict: Verdict): readonly string[] {
  const tests = testsIn(verdict);
  const isRefused = tests.length === 0;
  const notes = [
    ...tests.flatMap((test) =>
      notesOf(test).map(({ state, text }) => ({ state, text: `${shown(test.text)}: ${text}` })),
    ),
    ...notesOn(verdict),
  ];
  return notes.map(({ state, text }) => {
    if (state === 'ok') return `NOTE: ${text}`;
    return `${isRefused ? 'ERROR' : 'WARNING'}: ${text}`;
  });
}

/** Fit for one line: what a server said may neither forge another nor drive a terminal. */
export const shown = (text: string): string => printable(text, Number.POSITIVE_INFINITY).trim();

/** Up to the first dot; an address has no short form. */
const shortName = (server: string): string =>
  server.includes(':') || /^\d+(?:\.\d+){3}$/.test(server) ? server : (server.split('.')[0] as string);

/** The cmdlet's words for a reset, as its output is known to have them. */
function describe({ scenario, roundTrip, mailboxServer }: ProbeResult): string {
  const behind = mailboxServer === null ? '' : ` on Mailbox server ${mailboxServer}`;
  const descriptions: Readonly<Record<ProbeResult['scenario'], string>> = {
    'Reset Credentials': `Reset automated credentials for the Client Access test user${behind}.`,
    'New Test User': 'Create the Client Access test user of the site.',
    'Test POP3 Connectivity':
      roundTrip === null
        ? 'Connect to the server using the POP3 protocol and log on.'
        : 'Connect to the server using the POP3 protocol, send a test message, search for it, and delete it.',
  };
  return descriptions[scenario];
}

const CONNECTION_TYPES: Readonly<Record<ProbeResult['connectionType'], string>> = {
  plaintext: 'Plaintext',
  tls: 'Tls',
  ssl: 'Ssl',
};

const EVENT_TYPES: Readonly<Record<Outcome, string>> = {
  succeeded: 'Success',
  warned: 'Warning',
  skipped: 'Warning',
  failed: 'Error',
};

/** .NET's TimeSpan: hours, minutes, seconds and, unless it is none, the fraction in units of 100 ns. */
function timeSpan(ms: number): string {
  const ticks = Math.round(ms * 10_000);
  const seconds = Math.floor(ticks / 10_000_000);
  const fraction = ticks % 10_000_000;
  const two = (count: number): string => String(count).padStart(2, '0');
  const whole = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
  return fraction === 0 ? whole : `${whole}.${String(fraction).padStart(7, '0')}`;
}

/** Whether the first thing the verdict has against a test is what its row says as Error. */
const isToldByRow = ({ result: { error, result }, parts }: TestVerdict): boolean =>
  error !== null && parts[0]?.text === `${result === 'Skipped' ? 'skipped: ' : ''}${describeProblem(error)}`;

const isExcused = (test: TestVerdict): boolean => test.result.result === 'Failure' && !isToldByRow(test);

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { influx } from '../../../src/reporters/influx.ts';
import { gather } from '../../../src/verdict/judge.ts';
import { INFLUXDB, type Influxdb, type Row, startInfluxdb } from '../../support/influxdb.ts';
import { missing } from '../../support/installed.ts';
import { readPoints } from '../../support/line-protocol.ts';
import { HOSTILE, hostile, PIPED } from '../../support/people.ts';
import { launch } from '../../support/run.ts';
import { withSandbox } from '../../support/sandboxed.ts';

const TELEGRAF_POP3 = new URL('../../../dist/telegraf_pop3', import.meta.url).pathname;

describe.skipIf(missing(INFLUXDB))('points that a real InfluxDB stores', () => {
  const sandbox = withSandbox();
  let influxdb: Influxdb;
  beforeAll(async () => {
    influxdb = await startInfluxdb();
  });
  afterAll(() => influxdb?.stop());

  /** What telegraf_pop3 prints, stored. */
  async function stored(argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await launch(TELEGRAF_POP3, argv, {});
    expect([code, stderr], stdout).toEqual([0, '']);
    expect(stdout).not.toContain(sandbox.password);
    expect(await influxdb.write(stdout)).toBe('');
    return stdout;
  }

  test('a logon, a refused one, and one with a warning are points of one measurement, their fields of one type', async () => {
    const logon = sandbox.logon();
    const began = Date.now();
    await stored([...logon, '--ca-file', sandbox.caFile]);
    await stored([...sandbox.logon(undefined, sandbox.wrongFile), '--ca-file', sandbox.caFile]);
    await stored([...logon, '--trust-any-ssl-certificate', '-w', '0']);
    const rows = await influxdb.query('SELECT * FROM pop3 ORDER BY time');
    expect(rows.map(({ status, state, success, reason, phase }) => [status, state, success, reason, phase])).toEqual([
      [0, 'OK', true, '', ''],
      [2, 'CRITICAL', false, 'login-refused', 'login'],
      [1, 'WARNING', true, '', ''],
    ]);
    for (const row of rows) {
      expect(row).toMatchObject({ server: 'localhost', target: 'localhost', connection_type: 'tls', tls: 'TLSv1.3' });
    }
    const kinds = await influxdb.query('SHOW FIELD KEYS FROM pop3');
    const kindOf = (field: string): unknown => kinds.find(({ fieldKey }) => fieldKey === field)?.fieldType;
    expect(['status', 'messages', 'octets'].map(kindOf)).toEqual(['integer', 'integer', 'integer']);
    expect(['time_login', 'certificate'].map(kindOf)).toEqual(['float', 'float']);
    expect(kindOf('success')).toBe('boolean');
    // The time of a point is that of its test.
    for (const { time } of rows.slice(0, 1)) expect(Number(time) / 1e6).toBeGreaterThanOrEqual(began - 1);
    for (const { time } of rows.slice(-1)) expect(Number(time) / 1e6).toBeLessThanOrEqual(Date.now() + 1);
  });

  test('every server of a sweep is a series', async () => {
    const port = String(sandbox.server().pop3Port);
    await stored([
      ...['-H', 'pop1.example.com,pop2.example.com', '-I', '127.0.0.1', '-p', port, '-u', 'probe@example.com'],
      ...['--password-file', sandbox.passwordFile, '--connection-type', 'plaintext'],
    ]);
    const series = await influxdb.query('SHOW SERIES FROM pop3');
    for (const name of ['pop1.example.com', 'pop2.example.com'])
      expect(series.map(({ key }) => key)).toContain(
        `pop3,connection_type=plaintext,port=${port},server=${name},target=${name}`,
      );
  });

  test('a run that never began is a point without a server, at the time of the reader', async () => {
    await stored(['-H', 'localhost', '-u', 'probe', '--password-file', '/does/not/exist']);
    const rows = await influxdb.query(`SELECT status, text FROM pop3 WHERE server = '' ORDER BY time DESC LIMIT 1`);
    expect(rows[0]).toMatchObject({ status: 3, text: expect.stringContaining('configuration, --password-file') });
  });

  test('whatever a server says is stored as it was written', async () => {
    const verdict = gather(
      '',
      HOSTILE.map((words, at) => {
        const test = hostile(words);
        const startTime = new Date(Date.UTC(2026, 0, 1, 0, at)).toISOString();
        return { ...test, result: { ...test.result, startTime } };
      }),
    );
    const { stdout } = influx(verdict, PIPED);
    expect(await influxdb.write(stdout)).toBe('');
    const rows = await influxdb.query(`SELECT * FROM pop3 WHERE time < '2026-01-01T12:00:00Z' ORDER BY time`);
    const points = readPoints(Buffer.from(stdout).toString());
    const told = (row: Row): unknown => [row.text, row.target ?? '', row.status];
    expect(rows.map(told)).toEqual(
      points.map(({ tags, fields }) => [fields.text?.[1], tags.target ?? '', fields.status?.[1]]),
    );
    expect(rows).toHaveLength(HOSTILE.length);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { DIRECTOR, type Director, startDirector } from '../../support/director.ts';
import { freePort } from '../../support/free-port.ts';
import { type Attributes, ICINGA2, type Icinga2, SHIPPED, startIcinga2, validate } from '../../support/icinga2.ts';
import { missing } from '../../support/installed.ts';
import { POSTGRESQL, type Postgresql, startPostgresql } from '../../support/postgresql.ts';
import { withSandbox } from '../../support/sandboxed.ts';
import { until } from '../../support/until.ts';

const BASKET = readFileSync(join(SHIPPED, 'director-basket.json'), 'utf8');
const CHECK_COMMAND = readFileSync(join(SHIPPED, 'check_pop3.conf'), 'utf8');
const COMMANDS = 'zones.d/director-global/commands.conf';
const HOST = 'mail.example.com';
const API_USER = { user: 'director', password: 'of the Director' };

describe.skipIf(missing(DIRECTOR, POSTGRESQL, ICINGA2))('the basket in a real Director', () => {
  const sandbox = withSandbox();
  let postgresql: Postgresql;
  let director: Director;

  beforeAll(async () => {
    postgresql = await startPostgresql();
    director = await startDirector(postgresql);
  });
  afterAll(async () => {
    await director?.stop();
    await postgresql?.stop();
  });

  const restore = (): Promise<string> => director.cli(['basket', 'restore'], BASKET);

  test('an empty Director takes it, and a second time nothing changes', async () => {
    const empty = await everything();
    await restore();
    const restored = await everything();
    const changed = restored.filter(({ table, content }) => content !== contentOf(table, empty));
    expect(changed.map(({ table }) => table)).toEqual(
      expect.arrayContaining(['icinga_command', 'icinga_command_argument', 'icinga_service', 'director_datafield']),
    );
    await restore();
    expect(await everything()).toEqual(restored);
  });

  test('the CheckCommand that it renders has every argument of the one we ship, and each says the same', async () => {
    const shipped = argumentsIn(CHECK_COMMAND);
    const rendered = argumentsIn((await director.rendered())[COMMANDS] ?? '');
    // Secrets that have a variable of their own go by `env`, and are called differently by `key`: it knows neither.
    const secrets = [...shipped].filter(([, settings]) => settings.has('key')).map(([name]) => name);
    expect(secrets).toContain('--password-env POP3_PASSWORD');
    for (const name of secrets) shipped.delete(name);
    expect([...rendered.keys()].sort()).toEqual([...shipped.keys()].sort());
    expect(shipped.size).toBeGreaterThan(60);
    for (const [name, settings] of shipped) {
      expect(Object.fromEntries(rendered.get(name) ?? []), name).toEqual(Object.fromEntries(settings));
    }
  });

  test('every custom variable of an argument has a field to write into, and no other', async () => {
    const rows = await director.database.rows<{ varname: string }>(`
      SELECT varname FROM icinga_command_field JOIN director_datafield ON director_datafield.id = datafield_id
      JOIN icinga_command ON icinga_command.id = command_id WHERE object_name = 'pop3'
    `);
    const fields = rows.map(({ varname }) => varname).sort();
    expect(fields).toEqual([...variablesIn((await director.rendered())[COMMANDS] ?? '')].sort());
  });

  describe('for a real Icinga 2', () => {
    let authority: Authority;
    let icinga: Icinga2;
    let zones: string;

    beforeAll(async () => {
      authority = await createAuthority('Example Test CA');
      const port = await freePort();
      // As the node wizard writes it, with the zone of the Director. It asks the end point where that is.
      zones = `
        object Endpoint NodeName { host = "127.0.0.1", port = ${port} }
        object Zone "master" { endpoints = [ NodeName ] }
        object Zone "director-global" { global = true }
        const ZoneName = "master"
      `;
      icinga = await startIcinga2({
        authority,
        port,
        zones,
        files: {
          'conf.d/api-users.conf': `
            object ApiUser "${API_USER.user}" { password = "${API_USER.password}", permissions = [ "*" ] }
          `,
        },
      });
      await director.kickstart({ endpoint: icinga.nodeName, host: '127.0.0.1', port, ...API_USER });
      await create('host', { object_name: HOST, address: '127.0.0.1', check_command: 'hostalive' });
    });
    afterAll(() => icinga?.stop());

    const create = (kind: 'host' | 'service', object: Readonly<Record<string, unknown>>): Promise<string> =>
      director.cli([kind, 'create', '--json', JSON.stringify({ object_type: 'object', ...object })]);

    /** A service whose template is in the basket. */
    const service = (name: string, vars: Readonly<Record<string, unknown>>, template = 'pop3-logon') =>
      create('service', { object_name: name, host: HOST, imports: [template], vars });

    test('`icinga2 daemon -C` takes services of its templates, and one with every field filled in', async () => {
      await service('every field', everyField());
      await service('round trip', {}, 'pop3-service');
      const files = await director.rendered();
      expect(files['zones.d/master/services.conf']).toMatch(/^object Service "round trip" \{\n.*\n.*"pop3-service"$/m);
      const { code, said } = await validate({ authority, zones, files });
      expect(said).toContain('Instantiated 2 Services.');
      expect(code, said).toBe(0);
      for (const name of ['every field', 'round trip']) {
        await director.cli(['service', 'delete', name, '--host', HOST]);
      }
    });

    test('it is the basket or check_pop3.conf: Icinga refuses both, and names the command', async () => {
      const files = { ...(await director.rendered()), 'conf.d/check_pop3.conf': CHECK_COMMAND };
      const { code, said } = await validate({ authority, zones, files });
      expect(said).toContain("Object 'pop3' of type 'CheckCommand' re-defined");
      expect(code).toBe(1);
    });

    test('deployed, a service is green, and its command line is what the fields say', async () => {
      const passwordFile = await icinga.file('files/pop3.password', `${sandbox.password}\n`);
      const caFile = await icinga.file('files/ca.pem', sandbox.server().caCertificate);
      const vars = {
        ...{ pop3_port: String(sandbox.server().pop3Port), pop3_user: sandbox.server().user },
        ...{ pop3_password_file: passwordFile, pop3_ca_file: caFile },
        ...{ pop3_warning: ['20', 'time_login=10'], pop3_verbose: 2 },
        pop3_state_dir: `${icinga.folder}/data/pop-connectivity`, // the template's is a folder of the machine
      };
      await service('POP3 logon', vars);
      const { command, ...result } = await checkResult('POP3 logon');
      expect(result.output).toMatch(/^POP3 OK - mail\.example\.com: logon \d+ ms/);
      expect(result).toMatchObject({ state: 0, exit_status: 0 });
      expect(command[0]).toBe(`${icinga.folder}/plugins/check_pop3`);
      expect(command.slice(1, 5)).toEqual(['--client-access-server', HOST, '--address', '127.0.0.1']);
      expect(command.slice(5).join(' ')).toBe(
        [
          ...[`--ca-file ${caFile}`, '--light-mode', `--mailbox-credential ${vars.pop3_user}`],
          ...[`--password-file ${passwordFile}`, `--port-client-access-server ${vars.pop3_port}`],
          ...[`--state-dir ${vars.pop3_state_dir}`, '-vv', '--warning 20 --warning time_login=10'],
        ].join(' '),
      );
    });

    async function checkResult(name: string): Promise<Attributes> {
      await director.cli(['config', 'deploy']);
      const object = (): Promise<Attributes | null> => icinga.object('services', `${HOST}!${name}`).catch(() => null);
      // It loads the configuration in a new process, and does not answer meanwhile.
      await until(`${name} is deployed`, async () => (await object()) !== null);
      await icinga.checkNow(`${HOST}!${name}`);
      await until(`${name} is checked`, async () => (await object())?.last_check_result != null);
      return (await icinga.object('services', `${HOST}!${name}`)).last_check_result;
    }
  });

  /** The content of all tables, but for the Director's rendered files, as sums. */
  function everything(): Promise<readonly Table[]> {
    return director.database.rows<Table>(`
      SELECT table_name AS table, query_to_xml(
        format('SELECT count(*), md5(string_agg(t::text, '';'' ORDER BY t::text)) FROM %I t', table_name), true, true, ''
      )::text AS content
      FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name
    `);
  }
});

interface Table {
  readonly table: string;
  readonly content: string;
}

const contentOf = (name: string, tables: readonly Table[]): string | undefined =>
  tables.find(({ table }) => table === name)?.content;

/**
 * The arguments of a CheckCommand, by name, and of each the settings: `value`, `set_if` … Blanks count for nothing, for
 * the Director has its own idea of a function's shape.
 */
function argumentsIn(configuration: string): Map<string, Map<string, string>> {
  const blocks = configuration.matchAll(/^( +)"(--[^"]+)" = \{\n([\s\S]*?)\n\1\}$/gm);
  return new Map(
    Array.from(blocks, ([, , name = '', block = '']) => {
      const [indent = ''] = /^ */.exec(block) ?? [];
      const settings = block.split(new RegExp(`^${indent}(?=\\w)`, 'm')).filter((each) => each !== '');
      return [
        name,
        new Map(
          settings.map((each): readonly [string, string] => {
            const [, setting = '', value = ''] = /^(\w+) = ([\s\S]*)$/.exec(each) ?? [];
            return [setting, value.replace(/\s+/g, '')];
          }),
        ),
      ];
    }),
  );
}

/** The custom variables of ours that a configuration names. */
const variablesIn = (configuration: string): ReadonlySet<string> =>
  new Set(Array.from(configuration.matchAll(/\$(pop3_\w+)\$/g), ([, name = '']) => name));

/** Something that is fit to stand in each field, by its type. */
function everyField(): Readonly<Record<string, unknown>> {
  const { Datafield: fields } = JSON.parse(BASKET) as {
    readonly Datafield: Readonly<Record<string, { readonly varname: string; readonly datatype: string }>>;
  };
  const values: Readonly<Record<string, unknown>> = {
    String: 'some "text" with $$ and \\',
    Array: ['one', 'two, and more'],
    Boolean: true,
    Number: 2,
  };
  return Object.fromEntries(
    Object.values(fields).map(({ varname, datatype }) => {
      const value = values[/DataType(\w+)$/.exec(datatype)?.[1] ?? ''];
      if (value === undefined) throw new Error(`${varname} is a ${datatype}: what may stand in it?`);
      return [varname, value];
    }),
  );
}

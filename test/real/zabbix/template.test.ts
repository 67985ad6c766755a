import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { missing } from '../../support/installed.ts';
import { POSTGRESQL, type Postgresql, startPostgresql } from '../../support/postgresql.ts';
import { filling, fillingsIn, importTemplates } from '../../support/zabbix.ts';
import {
  type Frontend,
  startZabbixFrontend,
  ZABBIX_7_FRONTEND,
  ZABBIX_FRONTEND,
  type ZabbixApi,
} from '../../support/zabbix-frontend.ts';

/** Each release of Zabbix, and the one the file is named after. */
const RELEASES: readonly (readonly [Frontend, string])[] = [
  [ZABBIX_FRONTEND, '6.0'],
  [ZABBIX_7_FRONTEND, '7.0'],
];

describe.each(RELEASES)('$name', (frontend, release) => {
  describe.skipIf(missing(frontend, POSTGRESQL))(`the templates in it, of ${release}`, () => {
    const file = readFileSync(new URL(`../../../plugins/zabbix/pop3-${release}.yaml`, import.meta.url), 'utf8');
    const { zabbix_export: ours } = parse(file);
    let postgresql: Postgresql;
    let api: ZabbixApi;

    beforeAll(async () => {
      postgresql = await startPostgresql();
      const database = await postgresql.createDatabase('zabbix');
      await database.run(filling(fillingsIn(frontend.database)));
      api = await startZabbixFrontend(frontend, postgresql, database);
    });
    afterAll(async () => {
      await api?.stop();
      await postgresql?.stop();
    });

    test('it is the release that the file is for', () => {
      expect(api.version).toMatch(new RegExp(`^${release}\\.`));
    });

    test('they are imported, and a second time, and PHP has nothing to say', async () => {
      expect(await importTemplates(api, file, release)).toBe(true);
      expect(await importTemplates(api, file, release)).toBe(true);
      const complaints = (await api.log())
        .split('\n')
        .filter((line) => /PHP (Notice|Warning|Deprecated|Fatal|Parse)/.test(line));
      expect(complaints).toEqual([]);
    });

    test('the import is one that finds fault: of a kind of item there is not, of a master there is not', async () => {
      const wrong = file.replace("type: 'EXTERNAL'", "type: 'EXTRNAL'");
      await expect(importTemplates(api, wrong, release)).rejects.toThrow(/items\/item\(1\)\/type/);
      const orphan = file.replace(/master_item:\n( +)key: '[^']+'/, "master_item:\n$1key: 'nobody'");
      await expect(importTemplates(api, orphan, release)).rejects.toThrow(/master_itemid/);
    });

    test('everything in the file is there afterwards, under its own identity', async () => {
      const names = ours.templates.map(({ template }: { template: string }) => template);
      const found = await api.call<readonly { templateid: string }[]>('template.get', { filter: { host: names } });
      expect(found).toHaveLength(names.length);
      const exported = await api.call<string>('configuration.export', {
        format: 'yaml',
        options: { templates: found.map(({ templateid }) => templateid) },
      });
      const theirs = uuidsIn(parse(exported));
      expect(uuidsIn(ours).filter((uuid) => !theirs.includes(uuid))).toEqual([]);
      expect(uuidsIn(ours).length).toBeGreaterThan(140);
    });
  });
});

/** Every identity in a document. */
function uuidsIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => (name === 'uuid' ? [String(each)] : uuidsIn(each)));
}

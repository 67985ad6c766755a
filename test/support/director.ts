import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed, type Program, pathOf } from './installed.ts';
import type { Database, Postgresql } from './postgresql.ts';

/** Where Debian has Icinga Web's modules; the Director needs the other two. */
const MODULES = ['director', 'incubator', 'reactbundle'].map((name) => join('/usr/share/icingaweb2/modules', name));

/** What `startDirector` runs, for `missing()`. */
export const DIRECTOR: Program = {
  name: "Icinga's Director with PHP's driver for PostgreSQL",
  commands: [MODULES.every((module) => existsSync(module)) && speaksPostgresql() ? 'icingacli' : 'icingaweb2-module'],
  install: 'apt-get install icingacli icingaweb2-module-director php-cli php-pgsql',
};

export interface Director {
  readonly database: Database;
  /**
   * Runs `icingacli director …` and returns what it says.
   * @throws with what it said where it fails
   */
  cli(argv: readonly string[], input?: string): Promise<string>;
  /** The configuration of Icinga that it would deploy now, by the path of the file. */
  rendered(): Promise<Readonly<Record<string, string>>>;
  /** Makes it the Director of an Icinga 2, as its set-up page does: it learns what is there, and may deploy. */
  kickstart(icinga: Deployment): Promise<void>;
  /** Removes its folder. The database goes with its PostgreSQL. */
  stop(): Promise<void>;
}

/** An Icinga 2 to deploy to. Its Endpoint object has to name `host` and `port`, for the Director asks it where it is. */
export interface Deployment {
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** An empty Director in a database of its own, with an Icinga Web around it that holds nothing else. */
export async function startDirector(postgresql: Postgresql): Promise<Director> {
  const folder = await mkdtemp(join(tmpdir(), 'director-'));
  const database = await postgresql.createDatabase('director');
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  for (const name of ['enabledModules', 'modules/director']) await mkdir(join(folder, name), { recursive: true });
  for (const module of MODULES) await symlink(module, join(folder, 'enabledModules', module.split('/').at(-1) ?? ''));
  await write('config.ini', ini('logging', { log: 'none' }));
  await write('resources.ini', ini('director', resource(postgresql, database)));
  await write('modules/director/config.ini', ini('db', { resource: 'director' }));

  const director: Director = {
    database,
    cli: (argv, input = '') => icingacli(folder, ['director', ...argv], input),
    async rendered() {
      const said = await this.cli(['config', 'render']); // "… config with checksum … has been generated" or "… already exists"
      const [, checksum = ''] = /checksum ([0-9a-f]{40}) /.exec(said) ?? [];
      const files = await database.rows<{ file_path: string; content: string }>(`
        SELECT file_path, content FROM director_generated_config_file
        JOIN director_generated_file ON checksum = file_checksum
        WHERE config_checksum = decode('${checksum}', 'hex')
      `);
      return Object.fromEntries(files.map(({ file_path, content }) => [file_path, content]));
    },
    async kickstart({ user, ...where }) {
      await write('modules/director/kickstart.ini', ini('config', { ...where, username: user }));
      await this.cli(['kickstart', 'run']);
    },
    stop: () => rm(folder, { recursive: true, force: true }),
  };
  try {
    await director.cli(['migration', 'run']);
  } catch (error) {
    await director.stop();
    throw error;
  }
  return director;
}

function resource({ host, port, user }: Postgresql, { name }: Database): Readonly<Record<string, string | number>> {
  return { type: 'db', db: 'pgsql', host, port, dbname: name, username: user, password: '', charset: 'utf8' };
}

function ini(section: string, values: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries(values).map(([name, value]) => `${name} = "${value}"\n`);
  return `[${section}]\n${lines.join('')}`;
}

async function icingacli(folder: string, argv: readonly string[], input: string): Promise<string> {
  const child = spawn(pathOf('icingacli'), argv, {
    cwd: folder,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ICINGAWEB_CONFIGDIR: folder, ICINGAWEB_STORAGEDIR: folder },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  child.stdin.on('error', () => undefined); // not everything reads it
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`icingacli ${argv.join(' ')}: ${said}`);
  return said;
}

function speaksPostgresql(): boolean {
  const script = 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);';
  return installed('php') !== null && spawnSync(pathOf('php'), ['-r', script]).status === 0;
}

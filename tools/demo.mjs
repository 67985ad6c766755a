/**
 * `make demo`: starts the sandbox server, runs check_pop3 against it as an administrator would, the full test first,
 * shows each command with its real output and exit code, and stops the server. Fails where an exit code is not what it
 * should be.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const folder = mkdtempSync(join(tmpdir(), 'pop-connectivity-demo-'));
// The sandbox ends when our end of its standard input closes, however we end.
const sandbox = spawn('dist/pop3_sandbox', ['--json', '--until-stdin-closes', '--directory', folder], {
  stdio: ['pipe', 'pipe', 'inherit'],
});

try {
  const [line] = await once(createInterface({ input: sandbox.stdout }), 'line');
  const { pop3Port, pop3sPort, smtpPort, user, caFile, passwordFile } = JSON.parse(line);
  const wrong = join(folder, 'wrong-password');
  writeFileSync(wrong, 'not the password\n', { mode: 0o600 });

  console.log(`A mail server with one mailbox, ${user}, runs on 127.0.0.1: POP3 with STLS on port ${pop3Port},`);
  console.log(`POP3 over TLS on port ${pop3sPort}, SMTP into the same mailbox on port ${smtpPort}.`);
  console.log(`Its throw-away authority is in ${caFile}.`);

  const server = ['-H', 'localhost', '-I', '127.0.0.1'];
  const credential = ['-u', user, '--password-file', passwordFile];
  const mail = ['--smtp-port', smtpPort, '--state-dir', join(folder, 'state')];
  /** @type {readonly [string, string[], number, string?][]} */
  const runs = [
    [
      'The full test: a message is sent, found, deleted, and seen to be gone',
      ['-p', pop3Port, ...credential, ...mail],
      0,
    ],
    ['The logon alone, over implicit TLS', ['-S', '-p', pop3sPort, ...credential, '--light-mode'], 0],
    ['A wrong password', ['-p', pop3Port, '-u', user, '--password-file', wrong, '--light-mode'], 2],
    [
      "The cmdlet's table, of two servers",
      ['-H', '127.0.0.1', '-PortClientAccessServer', pop3Port, ...credential, '-LightMode'],
      0,
      'dist/Test-PopConnectivity',
    ],
  ];
  const surprises = runs.filter(
    ([title, changes, expected, command = 'dist/check_pop3']) =>
      show(title, command, [...server, ...changes, '--ca-file', caFile].map(String)) !== expected,
  );
  process.exitCode = surprises.length === 0 ? 0 : 1;
  console.log(
    `\n${surprises.length === 0 ? 'All as expected.' : `Not as expected: ${surprises.map(([title]) => title).join(', ')}.`}`,
  );
} finally {
  sandbox.stdin.end();
  await once(sandbox, 'exit');
  rmSync(folder, { recursive: true, force: true });
}

/**
 * @param {string} title
 * @param {string} command
 * @param {string[]} argv
 * @returns {number | null} the exit code
 */
function show(title, command, argv) {
  console.log(`\n${title}:\n$ ${command} ${argv.join(' ')}`);
  const { status, stdout, stderr } = spawnSync(command, argv, { encoding: 'utf8' });
  console.log(`${stdout}${stderr}exit code ${status}`);
  return status;
}

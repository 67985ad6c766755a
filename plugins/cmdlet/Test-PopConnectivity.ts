import { cmdletSettings } from '../../src/cli/cmdlet.ts';
import { discover } from '../../src/cli/discover.ts';
import { main } from '../../src/cli/main.ts';
import { fromPowerShell } from '../../src/cli/powershell.ts';
import { csv } from '../../src/reporters/csv.ts';
import { htmlReport } from '../../src/reporters/html.ts';
import { json } from '../../src/reporters/json.ts';
import { list } from '../../src/reporters/list.ts';
import { ndjson, ndjsonLine } from '../../src/reporters/ndjson.ts';
import { table } from '../../src/reporters/table.ts';

void main({
  name: 'Test-PopConnectivity',
  summary: 'Tests POP3 connectivity: sends a message, finds it by POP3 and deletes it, or logs on alone.',
  usage: '[-ClientAccessServer] HOST[,HOST…] -MailboxCredential USER [-LightMode] [options]',
  reporter: table,
  timeoutS: 180,
  test: 'full',
  examples: [
    ['-ClientAccessServer Contoso12 -MailboxCredential "(Get-Credential contoso\\kweku)"', 'the whole round trip'],
    ["-ClientAccessServer Contoso12 -MailboxCredential 'contoso\\kweku' -LightMode", 'the logon alone'],
    ["Contoso12,Contoso13 -u '@cred' --format html > report.html", 'two servers, and a report for people'],
    ['--targets farm.yaml --format ndjson', 'every server in a file, a line of JSON for each'],
  ],
  discover,
  formats: { table, list, csv, html: htmlReport, json, ndjson },
  people: {
    spelling: fromPowerShell,
    prepare: cmdletSettings,
    conversationIn: ['html'],
    stream: { format: 'ndjson', line: ndjsonLine },
  },
});

import { main } from '../../src/cli/main.ts';
import { zabbix, zabbixDiscovery } from '../../src/reporters/zabbix.ts';
import { fromKey } from './key.ts';

process.argv = [...process.argv.slice(0, 2), ...fromKey(process.argv.slice(2))];

void main({
  name: 'zabbix_pop3',
  summary: 'Tests POP3 for Zabbix: prints one JSON object, for a master item of the kind external check.',
  usage: '-H HOST -u USER --password-file FILE [--split] [options]',
  reporter: zabbix,
  output: 'document',
  // Zabbix 6.0 waits for 3 s if not told otherwise, and the start of Node is in it.
  timeoutS: 2.5,
  test: 'light',
  discover: (aims) =>
    zabbixDiscovery(
      aims.map(({ label, server, request }) => ({
        // One alone is tested under its own name.
        label: aims.length === 1 && 'policy' in request ? request.plan.server : label,
        server,
      })),
    ),
  examples: [
    ['-H mail.example.com -u probe@example.com --password-file pw', 'the logon, STLS on port 110'],
    ['-H mail.example.com -u probe@example.com --password-file pw --split', 'the round trip, a step each run'],
    ['--targets pop3-farm.yaml', 'every server in a file, in one object'],
    ['--targets pop3-farm.yaml --discover', 'their names, for low-level discovery'],
  ],
});

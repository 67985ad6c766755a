import { main } from '../../src/cli/main.ts';
import { scomBag, scomJson, scomServers, scomWord } from '../../src/reporters/scom.ts';

void main({
  name: 'scom_pop3',
  summary: "Tests POP3 servers and writes what SCOM's management pack makes property bags of.",
  usage: '--targets FILE [--format FORMAT] [options]',
  reporter: scomJson,
  formats: { json: scomJson, bag: (verdict) => scomBag(verdict, new Date()), word: scomWord },
  output: 'document',
  // One server alone is called by what it was asked for as; of several, what tells them apart is in the name.
  discover: (aims) =>
    scomServers(
      aims.map(({ label, request }) => (aims.length === 1 && 'policy' in request ? request.plan.server : label)),
    ),
  timeoutS: 110,
  test: 'full',
  examples: [
    ['--targets targets.yaml', 'the round trip with every server in a file, as JSON'],
    ['--targets targets.yaml --discover', 'their names, and nothing is tested'],
    ['-H mail.example.com -u @cred --light-mode --format bag', 'the logon, as property bag XML'],
    ['--targets targets.yaml --format word -v', 'one word for all, what was met, and an exit code'],
  ],
});

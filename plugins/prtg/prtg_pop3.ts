import { main } from '../../src/cli/main.ts';
import { prtgJson, prtgXml } from '../../src/reporters/prtg.ts';

void main({
  name: 'prtg_pop3',
  summary: 'Logs on to POP3 servers, or (--full-test) sends, finds and deletes a message: a PRTG advanced sensor.',
  usage: '-H HOST[,HOST…] -u USER --password-file FILE [options]',
  reporter: prtgJson,
  formats: { json: prtgJson, xml: prtgXml },
  output: 'document',
  timeoutS: 50,
  test: 'light',
  examples: [
    ['-H mail.example.com -u @pop3.cred', 'the logon, as JSON'],
    ['-H mail.example.com -u @pop3.cred -w 2 -c 5', 'with limits on the channel Time, in seconds'],
    ['-H mail.example.com -u @pop3.cred --full-test --format xml', 'the whole round trip, as XML'],
  ],
});

import { main } from '../../src/cli/main.ts';
import { CHECKMK_FORMATS, checkmk } from '../../src/reporters/checkmk.ts';

void main({
  name: 'checkmk_pop3',
  summary: 'Logs on to POP3 servers, or (--full-test) sends, finds and deletes a message: a Checkmk local check.',
  usage: '-H HOST[,HOST…] -u USER --password-file FILE [options]',
  reporter: checkmk,
  formats: CHECKMK_FORMATS,
  output: 'document',
  timeoutS: 50,
  test: 'light',
  examples: [
    ['-H mail.example.com -u @/etc/check_mk/pop3.cred', 'the logon, as the service "POP3 mail.example.com"'],
    ['-H mail.example.com -u @/etc/check_mk/pop3.cred --full-test', 'the whole round trip'],
    ['--targets farm.yaml -u @cred --format piggyback', "every server's service at the host of its name"],
    ['-H mail.example.com -u @cred -w 2 -c 5 --format levels', 'Checkmk judges by these levels'],
  ],
});

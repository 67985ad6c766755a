import { main } from '../../src/cli/main.ts';
import { influx } from '../../src/reporters/influx.ts';

void main({
  name: 'telegraf_pop3',
  summary: 'Logs on to POP3 servers, or (--full-test) sends, finds and deletes a message: an exec input of Telegraf.',
  usage: '-H HOST[,HOST…] -u USER --password-file FILE [options]',
  reporter: influx,
  output: 'document',
  timeoutS: 4.5,
  test: 'light',
  examples: [
    ['-H mail.example.com -u @/etc/telegraf/pop3.cred', 'the logon, a point in line protocol'],
    ['--targets farm.yaml -u @cred', 'a point for each server'],
    ['-H mail.example.com -u @cred --full-test --split', 'the round trip, over two runs'],
  ],
});

import { main } from '../../src/cli/main.ts';
import { nagios } from '../../src/reporters/nagios.ts';

void main({
  name: 'check_pop3',
  summary: 'Sends a message, finds it by POP3 and deletes it, or (--light-mode) logs on alone.',
  usage: '-H HOST -u USER --password-file FILE [--light-mode] [options]',
  reporter: nagios,
  timeoutS: 50,
  test: 'full',
  examples: [
    ['-H mail.example.com -u probe@example.com --password-file pw', 'the whole round trip'],
    ['-H mail.example.com -u probe --password-file pw --light-mode', 'the logon, STLS on port 110'],
    ['-H mail.example.com -S -u @cred --light-mode -w 2 -c 5', 'TLS on port 995, thresholds in seconds'],
    ['-H 192.0.2.25 --connection-type plaintext -u @cred --light-mode', 'unprotected, by request'],
  ],
});

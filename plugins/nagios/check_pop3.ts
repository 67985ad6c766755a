import { main } from '../../src/cli/main.ts';
import { nagios } from '../../src/reporters/nagios.ts';

void main({
  name: 'check_pop3',
  summary: 'Logs on to a POP3 server as a user would, and says what is wrong if that fails.',
  reporter: nagios,
  timeoutS: 50,
  test: 'full',
  examples: [
    ['-H mail.example.com -u probe --password-file pw --light-mode', 'STLS on port 110'],
    ['-H mail.example.com -S -u @cred --light-mode -w 2 -c 5', 'TLS on port 995, thresholds in seconds'],
    ['-H 192.0.2.25 --connection-type plaintext -u @cred --light-mode', 'unprotected, by request'],
  ],
});

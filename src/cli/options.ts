/** One option: what the command line knows, what --help says, and by its long name what a request is read from. */
export interface Option {
  /** The long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** `text` takes a value, `list` too and may be repeated, `optional` may and needs `=`, `count` is counted. */
  readonly kind: 'text' | 'list' | 'optional' | 'flag' | 'count';
  /** The value is a secret: a file that holds it may not lie open. */
  readonly secret?: true;
  /** What --help calls the value. */
  readonly value?: string;
  readonly group: 'Server' | 'Logon' | 'Certificates' | 'Test' | 'Verdict' | 'Output';
  readonly help: string;
}

/** Every option there is. The cmdlet's parameters keep their names. */
export const OPTIONS: readonly Option[] = [
  {
    name: 'client-access-server',
    short: 'H',
    kind: 'text',
    value: 'HOST',
    group: 'Server',
    help: 'the server to test, by name or address',
  },
  {
    name: 'address',
    short: 'I',
    kind: 'text',
    value: 'HOST',
    group: 'Server',
    help: 'connect there; -H is still the name to verify and show',
  },
  {
    name: 'port-client-access-server',
    short: 'p',
    kind: 'text',
    value: 'PORT',
    group: 'Server',
    help: 'port; 110, with ssl 995; 995 alone means ssl',
  },
  {
    name: 'connection-type',
    kind: 'text',
    value: 'TYPE',
    group: 'Server',
    help: 'tls (STLS, the default), ssl (implicit TLS) or plaintext',
  },
  { name: 'ssl', short: 'S', kind: 'flag', group: 'Server', help: 'the same as --connection-type ssl' },
  { name: 'all-addresses', kind: 'flag', group: 'Server', help: 'test every address of the name; the worst counts' },
  { name: 'ipv4', short: '4', kind: 'flag', group: 'Server', help: 'use IPv4 addresses alone' },
  { name: 'ipv6', short: '6', kind: 'flag', group: 'Server', help: 'use IPv6 addresses alone' },
  {
    name: 'mailbox-credential',
    short: 'u',
    kind: 'text',
    value: 'USER',
    group: 'Logon',
    help: 'the user name; @FILE: user name and password on two lines',
  },
  {
    name: 'password-file',
    kind: 'text',
    value: 'FILE',
    group: 'Logon',
    help: 'the password is in a file nobody else may read',
  },
  {
    name: 'password-env',
    kind: 'text',
    value: 'NAME',
    group: 'Logon',
    help: 'the password is in an environment variable',
  },
  { name: 'password-stdin', kind: 'flag', group: 'Logon', help: 'the password comes on standard input' },
  {
    name: 'password',
    kind: 'text',
    value: 'PASSWORD',
    secret: true,
    group: 'Logon',
    help: 'the password itself: everyone on this machine can see it',
  },
  {
    name: 'extra-opts',
    kind: 'optional',
    value: '[SECTION][@FILE]',
    group: 'Logon',
    help: 'options and password from an ini file (docs/secrets.md)',
  },
  {
    name: 'auth',
    kind: 'text',
    value: 'METHOD',
    group: 'Logon',
    help: 'auto (the default), user (USER and PASS) or plain (SASL)',
  },
  {
    name: 'trust-any-ssl-certificate',
    kind: 'flag',
    group: 'Certificates',
    help: 'a certificate at fault is a warning, not a failure',
  },
  {
    name: 'ca-file',
    kind: 'text',
    value: 'FILE',
    group: 'Certificates',
    help: 'trust these authorities (PEM) in place of the usual ones',
  },
  {
    name: 'pin',
    kind: 'list',
    value: 'SHA256',
    group: 'Certificates',
    help: 'trust this certificate and no other; repeatable',
  },
  {
    name: 'sni',
    kind: 'text',
    value: 'NAME',
    group: 'Certificates',
    help: 'the server name to ask for in TLS, if not -H',
  },
  {
    name: 'client-certificate',
    kind: 'text',
    value: 'FILE',
    group: 'Certificates',
    help: 'our own certificate (PEM), for a server that wants one',
  },
  {
    name: 'client-key',
    kind: 'text',
    value: 'FILE',
    group: 'Certificates',
    help: 'its key (PEM), if not in the same file',
  },
  { name: 'light-mode', kind: 'flag', group: 'Test', help: 'test the logon alone' },
  { name: 'full-test', kind: 'flag', group: 'Test', help: 'send, receive and delete a message too (not there yet)' },
  {
    name: 'timeout',
    short: 't',
    kind: 'text',
    value: 'SECONDS',
    group: 'Test',
    help: 'for the whole test; up to 3600',
  },
  {
    name: 'per-connection-timeout',
    kind: 'text',
    value: 'SECONDS',
    group: 'Test',
    help: 'for one connection; up to 120, the default',
  },
  {
    name: 'warning',
    short: 'w',
    kind: 'list',
    value: '[METRIC=]RANGE',
    group: 'Verdict',
    help: 'WARNING outside this range; METRIC is time if not given',
  },
  {
    name: 'critical',
    short: 'c',
    kind: 'list',
    value: '[METRIC=]RANGE',
    group: 'Verdict',
    help: 'CRITICAL outside this range',
  },
  {
    name: 'certificate-days',
    short: 'C',
    kind: 'text',
    value: 'WARN[,CRIT]',
    group: 'Verdict',
    help: 'days the certificate must have left',
  },
  {
    name: 'severity',
    kind: 'list',
    value: 'REASON=STATE',
    group: 'Verdict',
    help: 'count a reason as ok, warning, critical or unknown',
  },
  {
    name: 'expect',
    kind: 'text',
    value: 'REASON',
    group: 'Verdict',
    help: 'OK if it fails with that, CRITICAL if the logon works',
  },
  {
    name: 'verbose',
    short: 'v',
    kind: 'count',
    group: 'Output',
    help: 'more lines; -vvv shows the conversation, secrets as stars',
  },
  {
    name: 'explain',
    kind: 'text',
    value: 'REASON',
    group: 'Output',
    help: 'tell what a reason means and what to look at',
  },
  { name: 'version', short: 'V', kind: 'flag', group: 'Output', help: 'show the version' },
  { name: 'help', short: 'h', kind: 'flag', group: 'Output', help: 'show this help' },
];

/** One option: what the command line knows, what --help says, and by its long name what a request is read from. */
export interface Option {
  /** The long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** `text` takes a value, `list` too and may be repeated, `optional` may and needs `=`, `count` is counted. */
  readonly kind: 'text' | 'list' | 'optional' | 'flag' | 'count';
  /** What Exchange's cmdlet calls it: the front of Test-PopConnectivity prefers these names to ours. */
  readonly cmdlet?: string;
  /** The one command that has it. */
  readonly only?: 'Test-PopConnectivity';
  /** The value is a secret: a file that holds it may not lie open. */
  readonly secret?: true;
  /** What --help calls the value. */
  readonly value?: string;
  readonly group:
    | 'Server'
    | 'Logon'
    | 'OAuth'
    | 'Certificates'
    | 'Test'
    | 'Sending'
    | 'Directory'
    | 'Verdict'
    | 'Output';
  readonly help: string;
}

/** What a command takes: what all do, and what it has alone. */
export const optionsOf = (command: string): readonly Option[] =>
  TABLE.filter(({ only }) => only === undefined || only === command);

/** Every option there is. The cmdlet's parameters keep their names. */
const TABLE: readonly Option[] = [
  {
    name: 'client-access-server',
    cmdlet: 'ClientAccessServer',
    short: 'H',
    kind: 'list',
    value: 'HOST',
    group: 'Server',
    help: 'the server to test, by name or address; several with commas between them',
  },
  {
    name: 'targets',
    kind: 'list',
    value: 'FILE',
    group: 'Server',
    help: 'test every server in a file (YAML, JSON or CSV), each with settings of its own; - is standard input',
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
    cmdlet: 'PortClientAccessServer',
    short: 'p',
    kind: 'text',
    value: 'PORT',
    group: 'Server',
    help: 'port; 110, with ssl 995; 995 alone means ssl',
  },
  {
    name: 'connection-type',
    cmdlet: 'ConnectionType',
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
    cmdlet: 'MailboxCredential',
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
    help: 'auto (the default: the strongest offered), user, apop, plain, scram-sha-256, xoauth2 … (docs/logon.md)',
  },
  {
    name: 'proxy',
    kind: 'text',
    value: 'URL',
    group: 'Server',
    help: 'go through socks5://HOST:PORT or http://HOST:PORT; @FILE holds the URL',
  },
  {
    name: 'oauth-tenant',
    kind: 'text',
    value: 'TENANT',
    group: 'OAuth',
    help: 'Exchange Online: the tenant, by id or domain',
  },
  { name: 'oauth-client-id', kind: 'text', value: 'ID', group: 'OAuth', help: 'the application that asks for a token' },
  {
    name: 'oauth-client-secret-file',
    kind: 'text',
    value: 'FILE',
    group: 'OAuth',
    help: 'its secret is in a file nobody else may read',
  },
  {
    name: 'oauth-client-secret-env',
    kind: 'text',
    value: 'NAME',
    group: 'OAuth',
    help: 'its secret is in an environment variable',
  },
  {
    name: 'oauth-client-secret',
    kind: 'text',
    value: 'SECRET',
    secret: true,
    group: 'OAuth',
    help: 'the secret itself: everyone on this machine can see it',
  },
  {
    name: 'oauth-client-certificate',
    kind: 'text',
    value: 'FILE',
    group: 'OAuth',
    help: 'its certificate (PEM), in place of a secret',
  },
  {
    name: 'oauth-client-key',
    kind: 'text',
    value: 'FILE',
    group: 'OAuth',
    help: 'the key of that (PEM), if not in the same file',
  },
  {
    name: 'oauth-refresh-token-file',
    kind: 'text',
    value: 'FILE',
    group: 'OAuth',
    help: 'a refresh token of the mailbox, in place of a permission of its own',
  },
  {
    name: 'oauth-refresh-token-env',
    kind: 'text',
    value: 'NAME',
    group: 'OAuth',
    help: 'the same in an environment variable',
  },
  {
    name: 'oauth-refresh-token',
    kind: 'text',
    value: 'TOKEN',
    secret: true,
    group: 'OAuth',
    help: 'the token itself: everyone on this machine can see it',
  },
  {
    name: 'oauth-token-file',
    kind: 'text',
    value: 'FILE',
    group: 'OAuth',
    help: 'an access token that somebody else keeps fresh',
  },
  {
    name: 'oauth-token-env',
    kind: 'text',
    value: 'NAME',
    group: 'OAuth',
    help: 'the same in an environment variable',
  },
  {
    name: 'oauth-token',
    kind: 'text',
    value: 'TOKEN',
    secret: true,
    group: 'OAuth',
    help: 'the token itself: everyone on this machine can see it',
  },
  {
    name: 'oauth-scope',
    kind: 'text',
    value: 'SCOPE',
    group: 'OAuth',
    help: 'what the token is for, if not the mail server of the cloud',
  },
  {
    name: 'oauth-token-url',
    kind: 'text',
    value: 'URL',
    group: 'OAuth',
    help: 'the token end point of another identity provider',
  },
  {
    name: 'oauth-cloud',
    kind: 'text',
    value: 'CLOUD',
    group: 'OAuth',
    help: 'worldwide (the default), gcc-high, dod or china',
  },
  {
    name: 'trust-any-ssl-certificate',
    cmdlet: 'TrustAnySSLCertificate',
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
  { name: 'light-mode', cmdlet: 'LightMode', kind: 'flag', group: 'Test', help: 'test the logon alone' },
  { name: 'full-test', kind: 'flag', group: 'Test', help: 'send, find and delete a message too' },
  {
    name: 'split',
    kind: 'flag',
    group: 'Test',
    help: 'find what the last run sent, and send one for the next run',
  },
  { name: 'what-if', cmdlet: 'WhatIf', kind: 'flag', group: 'Test', help: 'say what would be done, and do nothing' },
  { name: 'confirm', cmdlet: 'Confirm', kind: 'flag', group: 'Test', help: 'ask on the terminal first' },
  {
    name: 'timeout',
    cmdlet: 'Timeout',
    short: 't',
    kind: 'text',
    value: 'SECONDS',
    group: 'Test',
    help: 'for the whole test; up to 3600',
  },
  {
    name: 'per-connection-timeout',
    cmdlet: 'PerConnectionTimeout',
    kind: 'text',
    value: 'SECONDS',
    group: 'Test',
    help: 'for one connection; up to 120, the default',
  },
  {
    name: 'concurrency',
    kind: 'text',
    value: 'NUMBER',
    group: 'Test',
    help: 'of several servers, how many at a time; 20 if not given',
  },
  {
    name: 'sweep-timeout',
    kind: 'text',
    value: 'SECONDS',
    group: 'Test',
    help: 'for several servers together; --timeout is for each',
  },
  { name: 'mail-to', kind: 'text', value: 'ADDRESS', group: 'Sending', help: 'the mailbox; if not the user name' },
  { name: 'mail-from', kind: 'text', value: 'ADDRESS', group: 'Sending', help: 'the sender, if not the same' },
  {
    name: 'send-via',
    kind: 'text',
    value: 'WAY',
    group: 'Sending',
    help: 'smtp (the default), ews, ews-save (into the Inbox) or graph',
  },
  { name: 'smtp-server', kind: 'text', value: 'HOST', group: 'Sending', help: 'takes the message, if not -H' },
  { name: 'smtp-port', kind: 'text', value: 'PORT', group: 'Sending', help: 'port; 587, with ssl 465; 25 by request' },
  {
    name: 'smtp-connection-type',
    kind: 'text',
    value: 'TYPE',
    group: 'Sending',
    help: 'tls (STARTTLS, the default), ssl or plaintext',
  },
  {
    name: 'smtp-credential',
    kind: 'text',
    value: 'USER',
    group: 'Sending',
    help: 'who sends, if not -u; @FILE: user name and password',
  },
  {
    name: 'send-url',
    kind: 'text',
    value: 'URL',
    group: 'Sending',
    help: 'of EWS, if not https://HOST/EWS/Exchange.asmx, or of Graph',
  },
  { name: 'keep-stale', kind: 'flag', group: 'Sending', help: 'leave what earlier runs left in the mailbox' },
  {
    name: 'state-dir',
    kind: 'text',
    value: 'DIR',
    group: 'Sending',
    help: 'where runs leave word for each other',
  },
  {
    name: 'marker-key-file',
    kind: 'text',
    value: 'FILE',
    group: 'Sending',
    help: 'a key that several machines share, so that each knows their messages',
  },
  {
    name: 'mailbox-server',
    cmdlet: 'MailboxServer',
    only: 'Test-PopConnectivity',
    kind: 'text',
    value: 'SERVER',
    group: 'Directory',
    help: 'the Mailbox server behind the one that is tested (not there yet)',
  },
  {
    name: 'domain-controller',
    cmdlet: 'DomainController',
    only: 'Test-PopConnectivity',
    kind: 'text',
    value: 'FQDN',
    group: 'Directory',
    help: 'the domain controller to ask (not there yet)',
  },
  {
    name: 'reset-test-account-credentials',
    cmdlet: 'ResetTestAccountCredentials',
    only: 'Test-PopConnectivity',
    kind: 'flag',
    group: 'Directory',
    help: 'give the test account a new password (not there yet)',
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
    name: 'format',
    only: 'Test-PopConnectivity',
    kind: 'text',
    value: 'FORMAT',
    group: 'Output',
    help: 'table (the default), list, csv, html, json or ndjson',
  },
  {
    name: 'monitoring-context',
    cmdlet: 'MonitoringContext',
    only: 'Test-PopConnectivity',
    kind: 'flag',
    group: 'Output',
    help: 'add monitoring events and performance counters',
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

/** What every command takes. Behind the table, for it is read from it. */
export const OPTIONS: readonly Option[] = optionsOf('');

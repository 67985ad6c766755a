import { describe, expect, test } from 'vitest';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { ProxyPlan } from '../src/probe/world.ts';
import { parseProxy, proxyFromEnvironment, showsProxyPassword } from '../src/request/proxy.ts';
import type { Sources } from '../src/request/sources.ts';

/** A machine with these files and variables. */
const machine = (files: Record<string, string>, variables: Record<string, string> = {}): Sources => ({
  ...nodeSources,
  file: (option, path, kind) => {
    const content = files[path];
    if (content === undefined || kind !== 'secret') throw new ProbeFailure('configuration', `${option} ${path}: no`);
    return content;
  },
  environment: (name) => variables[name],
});

const parse = (given: string, files: Record<string, string> = {}): ProxyPlan =>
  parseProxy('--proxy', given, machine(files));

/** A plan in one line, the password in it. */
const told = ({ kind, to, port, credential }: ProxyPlan): string => {
  const where = typeof to === 'string' ? to : `${to.address} (IPv${to.family})`;
  const who = credential === null ? '' : `, ${credential.userName} / ${credential.password.reveal()}`;
  return `${kind} ${where} ${port}${who}`;
};

describe('a proxy is read from', () => {
  test.each([
    ['socks5://proxy.example.com', 'socks5 proxy.example.com 1080'],
    ['socks5h://proxy.example.com:9050', 'socks5 proxy.example.com 9050'],
    ['SOCKS5://192.0.2.1:1/', 'socks5 192.0.2.1 (IPv4) 1'],
    ['http://proxy.example.com', 'http proxy.example.com 80'],
    ['http://proxy.example.com:3128/', 'http proxy.example.com 3128'],
    ['http://[2001:db8::1]:8080', 'http 2001:db8::1 (IPv6) 8080'],
    ['socks5://[2001:db8::1]', 'socks5 2001:db8::1 (IPv6) 1080'],
    ['http://bücher.example:3128', 'http xn--bcher-kva.example 3128'],
    ['socks5://probe:secret@proxy.example.com', 'socks5 proxy.example.com 1080, probe / secret'],
    ['http://probe@proxy.example.com', 'http proxy.example.com 80, probe / '],
    ['http://pro%20be:p%40ss%3A%2F%25@proxy.example.com', 'http proxy.example.com 80, pro be / p@ss:/%'],
    ['http://probe:p@ss/w:ord@proxy.example.com:8080', 'http proxy.example.com 8080, probe / p@ss/w:ord'],
    ['http://probe:se//cret@[::1]:8080', 'http ::1 (IPv6) 8080, probe / se//cret'],
    [`socks5://${'u'.repeat(255)}:p@h.example`, `socks5 h.example 1080, ${'u'.repeat(255)} / p`],
    ['socks5://a%3Ab:p@h.example', 'socks5 h.example 1080, a:b / p'],
  ])('%s', (given, expected) => {
    expect(told(parse(given))).toBe(expected);
  });

  test.each(['', '\n', '\r\n'])('a file, ended by %j', (end) => {
    const files = { '/etc/proxy': `http://probe:secret@proxy.example.com:3128${end}` };
    expect(told(parse('@/etc/proxy', files))).toBe('http proxy.example.com 3128, probe / secret');
  });
});

describe('refused in words that name the option and repeat no password', () => {
  test.each([
    ['', 'socks5://HOST:PORT'],
    ['hunter2', 'socks5://HOST:PORT'],
    ['proxy.example.com:hunter2', 'socks5://HOST:PORT'],
    ['https://u:hunter2@proxy.example.com', 'spoken to in TLS is not supported'],
    ['socks://u:hunter2@proxy.example.com', 'say which SOCKS'],
    ['socks4://proxy.example.com', 'only SOCKS 5'],
    ['socks4a://proxy.example.com', 'only SOCKS 5'],
    ['ftp://u:hunter2@proxy.example.com', 'socks5://HOST:PORT'],
    ['http://', 'the host cannot be read'],
    ['http://u:hunter2@', 'the host cannot be read'],
    ['http://u:hunter2', 'the port is a number'],
    ['http://u:hunter2@proxy.example.com:0', 'the port is a number'],
    ['http://proxy.example.com:65536', 'the port is a number'],
    ['http://proxy.example.com:', 'the port is a number'],
    ['http://proxy.example.com:80a', 'the port is a number'],
    ['http://u:hunter2%40proxy.example.com:3128', 'the host cannot be read'],
    ['http://::1:8080', 'the host cannot be read'],
    ['http://proxy.example.com/hunter2', 'the host cannot be read'],
    ['http://proxy.example.com?hunter2', 'the host cannot be read'],
    ['http://@proxy.example.com', 'the user name is empty'],
    ['http://:hunter2@proxy.example.com', 'the user name is empty'],
    ['socks5://u@proxy.example.com', 'the password is empty'],
    ['http://u:hunter2%0d%0aX:%20y@proxy.example.com', 'control character'],
    ['http://u%3Ax:hunter2@proxy.example.com', 'colon'],
    ['http://u:hunter2%@proxy.example.com', 'percent-encoded'],
    ['http://u:hunter2%ff@proxy.example.com', 'percent-encoded'],
    [`socks5://u:hunter2${'x'.repeat(249)}@proxy.example.com`, 'longer than SOCKS 5'],
    [`socks5://${'%C3%BC'.repeat(128)}:hunter2@proxy.example.com`, 'longer than SOCKS 5'],
    ['http://proxy.example.com\nhttp://u:hunter2@other.example.com', 'socks5://HOST:PORT'],
    ['@/nowhere', '/nowhere'],
  ])('%j', (given, words) => {
    let problem: unknown = null;
    try {
      parse(given);
    } catch (thrown) {
      problem = thrown;
    }
    expect(problem).toBeInstanceOf(ProbeFailure);
    const { message } = problem as ProbeFailure;
    expect(message).toContain(words);
    expect(message).toMatch(/^--proxy /);
    expect(message).not.toContain('hunter2');
    expect(message).not.toContain('\n');
  });
});

describe('a password in plain sight', () => {
  test.each([
    ['http://u:p@proxy.example.com', true],
    ['socks5h://u:p@proxy.example.com:1080', true],
    ['http://u:@proxy.example.com', true],
    ['http://u@proxy.example.com', false],
    ['http://proxy.example.com:3128', false],
    ['http://[::1]:3128', false],
    ['@/etc/u:p@x', false],
  ])('%s: %s', (given, expected) => {
    expect(showsProxyPassword(given)).toBe(expected);
  });
});

describe('the environment has a proxy', () => {
  const HTTP = { HTTPS_PROXY: 'http://proxy.example.com:3128' };
  const found = (variables: Record<string, string>, host = 'login.example.net', port = 443): string | null => {
    const plan = proxyFromEnvironment(host, port, machine({}, variables));
    return plan === null ? null : told(plan);
  };

  test.each<[string, Record<string, string>, string | null]>([
    ['nothing', {}, null],
    ['for HTTPS', HTTP, 'http proxy.example.com 3128'],
    ['in small letters', { https_proxy: 'socks5://p.example' }, 'socks5 p.example 1080'],
    ['in both: the small ones count', { ...HTTP, https_proxy: 'http://small.example' }, 'http small.example 80'],
    ['empty', { HTTPS_PROXY: '' }, null],
    ['without a scheme', { HTTPS_PROXY: 'proxy.example.com:8080' }, 'http proxy.example.com 8080'],
    ['with a user', { HTTPS_PROXY: 'u:p@proxy.example.com:8080' }, 'http proxy.example.com 8080, u / p'],
    ['for other protocols', { HTTP_PROXY: 'http://x.example', ALL_PROXY: 'http://y.example' }, null],
  ])('%s', (_, variables, expected) => {
    expect(found(variables)).toBe(expected);
  });

  test.each([
    ['', 'login.example.net', true],
    ['*', 'login.example.net', false],
    ['login.example.net', 'login.example.net', false],
    ['LOGIN.example.NET', 'login.Example.net', false],
    ['login.example.net', 'login.example.net.', false],
    ['other.example.net, login.example.net', 'login.example.net', false],
    ['other.example.net login.example.net', 'login.example.net', false],
    ['other.example.net', 'login.example.net', true],
    ['example.net', 'login.example.net', false],
    ['example.net', 'badexample.net', true],
    ['.example.net', 'login.example.net', false],
    ['.example.net', 'example.net', true],
    ['*.example.net', 'a.b.example.net', false],
    ['login.example.net:443', 'login.example.net', false],
    ['login.example.net:8443', 'login.example.net', true],
    ['192.0.2.1', '192.0.2.1', false],
    ['192.0.2.1', '192.0.2.10', true],
    ['2.1', '192.0.2.1', true],
    ['2001:db8::1', '2001:db8::1', false],
    ['[2001:db8::1]:443', '2001:db8::1', false],
    ['[2001:db8::1]:444', '2001:db8::1', true],
    [',,', 'login.example.net', true],
  ])('but not where NO_PROXY is %j and the server %s: %s', (except, host, isUsed) => {
    expect(found({ ...HTTP, NO_PROXY: except }, host) !== null).toBe(isUsed);
    expect(found({ ...HTTP, no_proxy: except, NO_PROXY: 'unheard.example' }, host) !== null).toBe(isUsed);
  });

  test('that cannot be read: the variable is named, and what is in it is not', () => {
    expect(() => found({ HTTPS_PROXY: 'https://u:hunter2@proxy.example.com' })).toThrow(
      /^HTTPS_PROXY takes (?!.*hunter2)/,
    );
    expect(() => found({ HTTPS_PROXY: '@/etc/passwd' })).toThrow(/^HTTPS_PROXY takes /);
  });
});

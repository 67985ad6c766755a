import { describe, expect, test } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { Secret } from '../src/dialogue/secret.ts';
import { authWithResponse, type Line, line, response } from '../src/pop3/line.ts';

const sent = ({ octets }: Line): string => Buffer.from(octets).toString('utf8');

function refusalOf(make: () => unknown): ProbeFailure {
  try {
    make();
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
  throw new Error('it was not refused');
}

describe('a command', () => {
  test.each([
    ['without arguments', line`STAT`, 'STAT\r\n', 'STAT'],
    ['with a user name', line`USER ${'alice'}`, 'USER alice\r\n', 'USER'],
    ['with numbers', line`TOP ${1} ${0}`, 'TOP 1 0\r\n', 'TOP'],
    ['with blanks in its argument', line`USER ${'a b'}`, 'USER a b\r\n', 'USER'],
    ['beyond ASCII, as UTF-8 (RFC 6856 §2)', line`USER ${'zoë'}`, 'USER zoë\r\n', 'USER'],
  ])('%s goes out with CRLF and is shown without', (_, command, expected, keyword) => {
    expect(sent(command)).toBe(expected);
    expect(command.shown).toBe(expected.slice(0, -2));
    expect(command.keyword).toBe(keyword);
  });

  test('shows stars for a password, and sends the password', () => {
    const command = line`PASS ${new Secret('correct horse')}`;
    expect(sent(command)).toBe('PASS correct horse\r\n');
    expect(command.shown).toBe('PASS ****');
  });

  test('shows stars for the secret among several arguments, and no others', () => {
    const command = line`APOP ${'alice'} ${new Secret('digest')} ${3}`;
    expect(sent(command)).toBe('APOP alice digest 3\r\n');
    expect(command.shown).toBe('APOP alice **** 3');
  });
});

/** Every C0 control and DEL: any of them could end the command or drive what reads the log. */
const CONTROLS = [...Array.from({ length: 0x20 }, (_, code) => code), 0x7f].map((code) => ({
  name: `\\x${code.toString(16).padStart(2, '0')}`,
  control: String.fromCharCode(code),
}));

describe.each(CONTROLS)('$name never reaches the wire', ({ control }) => {
  test.each([
    ['at the front', (word: string) => control + word],
    ['within', (word: string) => `${word}${control}DELE 1`],
    ['at the end', (word: string) => word + control],
    ['alone', () => control],
  ])('%s of a user name or a password', (_, spoil) => {
    const ofText = refusalOf(() => line`USER ${spoil('alice')}`);
    expect(ofText.reason).toBe('configuration');
    expect(ofText.message).toContain('USER');

    const ofSecret = refusalOf(() => line`PASS ${new Secret(spoil('hunter2'))}`);
    expect(ofSecret.reason).toBe('configuration');
    expect(ofSecret.message).toContain('PASS');
    expect(ofSecret.message).not.toContain('hunter2');
  });

  test('in a later argument', () => {
    expect(refusalOf(() => line`TOP ${1} ${`0${control}`}`).reason).toBe('configuration');
  });
});

describe('a command is 255 octets long at the most, CRLF included (RFC 2449 §4)', () => {
  const room = 255 - 'USER '.length - 2;

  test.each([
    ['255 octets of ASCII', 'a'.repeat(room)],
    ['255 octets with two to a letter', 'é'.repeat(room / 2)],
  ])('%s are sent', (_, name) => {
    expect(line`USER ${name}`.octets).toHaveLength(255);
  });

  test.each([
    ['256 octets of ASCII', 'a'.repeat(room + 1)],
    ['fewer characters of more octets', `${'é'.repeat(room / 2)}a`],
    ['characters of four octets', '📧'.repeat(Math.ceil((room + 1) / 4))],
  ])('%s are refused', (_, name) => {
    const refused = refusalOf(() => line`USER ${name}`);
    expect(refused.reason).toBe('configuration');
    expect(refused.message).toContain('255');
  });

  test('a password too long is refused without being shown', () => {
    const password = 'hunter2-'.repeat(40);
    expect(refusalOf(() => line`PASS ${new Secret(password)}`).message).not.toContain('hunter2');
  });
});

describe('inside AUTH', () => {
  test('an answer is base 64 and always a secret', () => {
    const answer = response(Buffer.from('\0alice\0secret'));
    expect(sent(answer)).toBe('AGFsaWNlAHNlY3JldA==\r\n');
    expect(answer.shown).toBe('****');
  });

  test('an answer may be of any length (RFC 5034 §4)', () => {
    expect(response(new Uint8Array(3000)).octets).toHaveLength(4002);
  });

  test('an empty answer is an empty line, with the command it is "=" (RFC 5034 §4)', () => {
    expect(sent(response(new Uint8Array(0)))).toBe('\r\n');
    expect(sent(authWithResponse('EXTERNAL', new Uint8Array(0)) as Line)).toBe('AUTH EXTERNAL =\r\n');
  });

  test('a first answer travels with the command while that is 255 octets at the most', () => {
    // "AUTH PLAIN " and CRLF are 13 octets; 180 octets are 240 digits, 183 are 244.
    const fits = authWithResponse('PLAIN', new Uint8Array(180));
    expect(fits?.octets).toHaveLength(253);
    expect(fits?.shown).toBe('AUTH PLAIN ****');
    expect(authWithResponse('PLAIN', new Uint8Array(183))).toBeNull();
  });
});

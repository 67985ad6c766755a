import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { maskFor, Secret } from '../src/dialogue/secret.ts';

const PASSWORD = 'correct horse';
const secret = new Secret(PASSWORD);
const octetsOf = (said: string): string => Buffer.from(said, 'utf8').toString('latin1');
const encoded = (said: string): string => Buffer.from(said, 'utf8').toString('base64');

describe('a password shown by mistake is stars', () => {
  test.each([
    ['in a template', () => `PASS ${secret}`, 'PASS ****'],
    // biome-ignore lint/style/useTemplate: this is the other way to make the mistake.
    ['glued to a text', () => 'PASS ' + secret, 'PASS ****'],
    ['by String()', () => String(secret), '****'],
    ['in a list', () => [secret, secret].join(), '****,****'],
    ['in JSON', () => JSON.stringify({ password: secret }), '{"password":"****"}'],
    ['in an Error', () => new Error(`${secret}`).message, '****'],
    ['as an Error', () => new Error(secret as unknown as string).message, '****'],
  ])('%s', (_, show, expected) => {
    expect(show()).toBe(expected);
  });

  test.each([
    ['inspected', () => inspect(secret)],
    ['inspected to the bottom', () => inspect({ secret }, { showHidden: true, depth: 9, getters: true })],
    ['in the cause of an Error', () => inspect(new Error('no', { cause: { secret } }))],
    ['by its entries', () => Object.entries(secret).join()],
    ['copied', () => inspect({ ...secret })],
  ])('%s it is at least not there', (_, show) => {
    expect(show()).not.toContain(PASSWORD);
    expect(show().length).toBeGreaterThan(0);
  });

  test('logged it is not there', () => {
    const written: string[] = [];
    const write = vi.spyOn(console, 'log').mockImplementation((...said) => {
      written.push(inspect(said));
    });
    console.log(secret, { secret });
    write.mockRestore();
    expect(written.join()).toContain('Secret');
    expect(written.join()).not.toContain(PASSWORD);
  });

  test('only reveal() gives it away', () => {
    expect(secret.reveal()).toBe(PASSWORD);
  });
});

describe('what a server echoes', () => {
  const mask = maskFor([secret]);

  test.each([
    ['nothing of ours', '-ERR no such user', '-ERR no such user'],
    ['the command line', '-ERR unknown command PASS correct horse', '-ERR unknown command PASS ****'],
    ['it twice', 'correct horsecorrect horse', '********'],
    ['it cut short at the end', 'said correct hor', 'said ****'],
    ['it cut short, in quotes', 'said "correct hor"', 'said "****"'],
    ['it cut short, with dots', 'said correct hor...', 'said ****...'],
    ['a beginning that tells nothing', 'said cor', 'said cor'],
    ['less than half of it', 'in the corridor', 'in the corridor'],
    ['half of it, wherever it stands', 'cannot parse "correct hor", sorry', 'cannot parse "****", sorry'],
    ['it as HTML has it', 'said correct horse', 'said ****'],
    ['it as a form has it', 'said correct+horse', 'said ****'],
    ['it in hexadecimal', 'said 636f727265637420686f727365', 'said ****'],
    ['it as a URL has it', 'said correct%20horse', 'said ****'],
    ['it in another case', 'said Correct Horse', 'said ****'],
  ])('in clear: %s', (_, said, expected) => {
    expect(mask(said)).toBe(expected);
  });

  test.each([
    ['its base 64 alone', encoded(PASSWORD)],
    ['behind one octet', encoded(`x${PASSWORD}`)],
    ['behind two octets', encoded(`xy${PASSWORD}`)],
    ['before something else', encoded(`${PASSWORD}xyz`)],
    ['without its padding', encoded(`x${PASSWORD}`).replace(/=+$/, '')],
    ['the answer of PLAIN (RFC 4616)', encoded(`\0alice\0${PASSWORD}`)],
    ['the answer of PLAIN for user names of other lengths', encoded(`\0al\0${PASSWORD}`)],
    ['the same, again', encoded(`\0ali\0${PASSWORD}`)],
    ['the answer of PLAIN with an authorization identity', encoded(`boss\0alice\0${PASSWORD}`)],
  ])('as base 64: %s', (_, run) => {
    expect(mask(`-ERR AUTH PLAIN ${run} refused`)).toBe('-ERR AUTH PLAIN **** refused');
  });

  test('as base 64 cut out of the middle of a longer line, wherever it was cut', () => {
    const whole = encoded(`\0a-long-user-name@example.com\0${PASSWORD}, and what follows`);
    // The digits that carry the password itself, rounded outwards.
    const first = Math.floor((30 * 8) / 6);
    const last = Math.ceil(((30 + PASSWORD.length) * 8) / 6);
    for (let from = first - 9; from <= first; from++) {
      for (let to = last; to <= last + 9; to++) {
        expect(mask(`(${whole.slice(from, to)})`), `digits ${from} to ${to}`).toBe('(****)');
      }
    }
  });

  test('base 64 of something else stays readable', () => {
    const said = `+ ${encoded('<1896.697170952@dbc.mtview.ca.us>')}`;
    expect(mask(said)).toBe(said);
  });

  test.each(['pässwörd', 'пароль', '密码密码', 'pass📧word'])('%s, handed back octet by octet', (password) => {
    const masked = maskFor([new Secret(password)]);
    expect(masked(`-ERR ${octetsOf(password)}!`)).toBe('-ERR ****!');
    expect(masked(`-ERR ${password}!`)).toBe('-ERR ****!');
    expect(masked(`-ERR ${encoded(`\0a\0${password}`)}!`)).toBe('-ERR ****!');
    expect(masked(`-ERR ${encoded(`\0al\0${password}`)}!`)).toBe('-ERR ****!');
    expect(masked(`-ERR ${encoded(`\0ali\0${password}`)}!`)).toBe('-ERR ****!');
  });

  test.each(['a.c', 'a*b', '(secret', '[a-z]+', '$&', '$1', '\\', '^|$', 'a{2}', '.*'])(
    'a password that looks like a pattern is taken by the letter: %s',
    (password) => {
      const masked = maskFor([new Secret(password)]);
      expect(masked(`<${password}>`)).toBe('<****>');
      expect(masked('+OK abc aab')).toBe('+OK abc aab');
    },
  );
});

describe('several secrets', () => {
  test('one that contains another is covered whole, in whatever order they were given', () => {
    for (const secrets of [
      ['pass', 'my pass phrase'],
      ['my pass phrase', 'pass'],
    ]) {
      const mask = maskFor(secrets.map((each) => new Secret(each)));
      expect(mask('said my pass phrase')).toBe('said ****');
      expect(mask('said pass')).toBe('said ****');
    }
  });

  test('each has its base 64 covered', () => {
    const mask = maskFor([new Secret('first secret'), new Secret('second one')]);
    expect(mask(`${encoded('first secret')} ${encoded('second one')}`)).toBe('**** ****');
  });

  test('none at all hide nothing, nor does an empty one', () => {
    expect(maskFor([])('anything')).toBe('anything');
    expect(maskFor([new Secret('')])('anything')).toBe('anything');
  });

  test('one of a single character hides every one of them', () => {
    expect(maskFor([new Secret('x')])('x, yx and y')).toBe('****, y**** and y');
  });
});

describe('whatever the password and the words around it', () => {
  // A star in a password may come out of the stars that hide it: nothing is told by that.
  const password = fc
    .oneof(
      fc.string({ minLength: 4, maxLength: 40 }),
      fc.string({ unit: 'grapheme', minLength: 4, maxLength: 20 }),
      fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 8 }),
      fc.base64String({ minLength: 4, maxLength: 20 }),
    )
    .filter((each) => !each.includes('*'));
  const around = fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: fc.constantFrom('a', 'b') }));

  test('the masked text never contains it, in clear or octet by octet', () => {
    fc.assert(
      fc.property(password, around, around, (hidden, before, after) => {
        const mask = maskFor([new Secret(hidden)]);
        expect(mask(`${before}${hidden}${after}`)).not.toContain(hidden);
        expect(mask(`${before}${octetsOf(hidden)}${after}`)).not.toContain(octetsOf(hidden));
      }),
      { numRuns: 2000 },
    );
  });

  test('the masked text never contains its base 64, whatever is encoded with it', () => {
    fc.assert(
      fc.property(password, fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (hidden, before, after) => {
        const run = encoded(`${before}${hidden}${after}`);
        const masked = maskFor([new Secret(hidden)])(`-ERR ${run} `);
        expect(Buffer.from(masked.replace(/^-ERR /, ''), 'base64').toString('utf8')).not.toContain(hidden);
        expect(masked).not.toContain(run.replace(/=+$/, ''));
      }),
      { numRuns: 2000 },
    );
  });
});

import { describe, expect, test } from 'vitest';
import type { HashName, Recipe } from '../src/dialogue/dialogue.ts';
import { hash } from '../src/runtimes/node/hashing.ts';

const hex = async (recipe: Recipe): Promise<string> => Buffer.from(await hash(recipe)).toString('hex');
const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const repeated = (octet: number, times: number): Uint8Array => new Uint8Array(times).fill(octet);

describe('a digest is what its RFC says', () => {
  // RFC 1321 A.5 (MD5), RFC 3174 §7.3 (SHA-1), RFC 6234 §8.5 (SHA-256).
  test.each<[HashName, string, string]>([
    ['md5', '', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['md5', 'a', '0cc175b9c0f1b6a831c399e269772661'],
    ['md5', 'abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['md5', 'message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['md5', 'abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    ['md5', 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
    ['md5', '1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
    ['sha1', 'abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['sha1', 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq', '84983e441c3bd26ebaae4aa1f95129e5e54670f1'],
    ['sha256', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'sha256',
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
  ])('%s of "%s"', async (algorithm, said, expected) => {
    expect(await hex({ compute: 'digest', algorithm, octets: ascii(said) })).toBe(expected);
  });
});

describe('a keyed digest is what its RFC says', () => {
  const beyondBlock = ascii('Test Using Larger Than Block-Size Key - Hash Key First');

  // RFC 2202 §2 and §3, RFC 4231 §4.
  test.each<[string, HashName, Uint8Array, Uint8Array, string]>([
    ['RFC 2202 MD5 1', 'md5', repeated(0x0b, 16), ascii('Hi There'), '9294727a3638bb1c13f48ef8158bfc9d'],
    ['RFC 2202 MD5 2', 'md5', ascii('Jefe'), ascii('what do ya want for nothing?'), '750c783e6ab0b503eaa86e310a5db738'],
    ['RFC 2202 MD5 3', 'md5', repeated(0xaa, 16), repeated(0xdd, 50), '56be34521d144c88dbb8c733f0e8b3f6'],
    ['RFC 2202 MD5 6', 'md5', repeated(0xaa, 80), beyondBlock, '6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd'],
    ['RFC 2202 SHA-1 1', 'sha1', repeated(0x0b, 20), ascii('Hi There'), 'b617318655057264e28bc0b6fb378c8ef146be00'],
    [
      'RFC 2202 SHA-1 2',
      'sha1',
      ascii('Jefe'),
      ascii('what do ya want for nothing?'),
      'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79',
    ],
    ['RFC 2202 SHA-1 6', 'sha1', repeated(0xaa, 80), beyondBlock, 'aa4ae5e15272d00e95705637ce8a3b55ed402112'],
    [
      'RFC 4231 1',
      'sha256',
      repeated(0x0b, 20),
      ascii('Hi There'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      'RFC 4231 2',
      'sha256',
      ascii('Jefe'),
      ascii('what do ya want for nothing?'),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      'RFC 4231 3',
      'sha256',
      repeated(0xaa, 20),
      repeated(0xdd, 50),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      'RFC 4231 6',
      'sha256',
      repeated(0xaa, 131),
      beyondBlock,
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ])('%s', async (_, algorithm, key, octets, expected) => {
    expect(await hex({ compute: 'hmac', algorithm, key, octets })).toBe(expected);
  });
});

describe('a key derived from a password is what its RFC says', () => {
  // RFC 6070 §2 (SHA-1), RFC 7914 §11 (SHA-256).
  test.each<[HashName, string, string, number, number, string]>([
    ['sha1', 'password', 'salt', 1, 20, '0c60c80f961f0e71f3a9b524af6012062fe037a6'],
    ['sha1', 'password', 'salt', 2, 20, 'ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957'],
    ['sha1', 'password', 'salt', 4096, 20, '4b007901b765489abead49d926f721d065a429c1'],
    [
      'sha1',
      'passwordPASSWORDpassword',
      'saltSALTsaltSALTsaltSALTsaltSALTsalt',
      4096,
      25,
      '3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038',
    ],
    ['sha1', 'pass\0word', 'sa\0lt', 4096, 16, '56fa6aa75548099dcc37d7f03425e0c3'],
    [
      'sha256',
      'passwd',
      'salt',
      1,
      64,
      '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc' +
        '49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783',
    ],
    [
      'sha256',
      'Password',
      'NaCl',
      80000,
      64,
      '4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56' +
        'a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d',
    ],
  ])('%s, %j, salt %j, %i iterations, %i octets', async (algorithm, password, salt, iterations, length, expected) => {
    const recipe = { compute: 'pbkdf2', algorithm, iterations, length } as const;
    expect(await hex({ ...recipe, password: ascii(password), salt: ascii(salt) })).toBe(expected);
  });

  test('the deadline can ring while a long one is computed', async () => {
    const recipe = { compute: 'pbkdf2', algorithm: 'sha256', iterations: 300_000, length: 32 } as const;
    let rang = false;
    const rings = setTimeout(() => {
      rang = true;
    }, 1);
    await hash({ ...recipe, password: ascii('password'), salt: ascii('salt') });
    clearTimeout(rings);
    expect(rang).toBe(true);
  });
});

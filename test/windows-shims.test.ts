import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { Language, Parser } from 'web-tree-sitter';

const shim = (name: string): string => readFileSync(new URL(`../plugins/windows/${name}`, import.meta.url), 'utf8');

/** They were not run on Windows: this holds them to what cmd.exe and PowerShell are known to trip over. */
describe.each(['shim.cmd', 'shim.ps1'])('%s', (name) => {
  test('is ASCII, without a mark in front, and every line ends in CR LF', () => {
    expect(shim(name)).toMatch(/^([\x20-\x7e]*\r\n)+$/);
  });
});

describe('shim.cmd', () => {
  const lines = shim('shim.cmd')
    .split('\r\n')
    .filter((line) => line !== '' && !line.startsWith('rem '));

  test('prints nothing of its own, and takes an exclamation mark for what it is', () => {
    expect(lines.slice(0, 2)).toEqual(['@echo off', 'setlocal DisableDelayedExpansion']);
  });

  test('runs the file of its own name, in a folder with blanks too, with the arguments as they came', () => {
    expect(lines[2]).toBe('node "%~dpn0" %*');
  });

  test('ends with the exit code of the command, and not of its caller', () => {
    expect(lines.slice(3)).toEqual(['exit /b %ERRORLEVEL%']);
  });
});

describe('shim.ps1', () => {
  const text = shim('shim.ps1');

  test('is PowerShell, by a grammar that is not ours', async () => {
    const resolve = createRequire(import.meta.url).resolve;
    await Parser.init();
    const parser = new Parser();
    parser.setLanguage(
      await Language.load(
        resolve('tree-sitter-powershell/package.json').replace('package.json', 'tree-sitter-powershell.wasm'),
      ),
    );
    expect(parser.parse(text)?.rootNode.hasError).toBe(false);
    expect(parser.parse(text.replace('exit 3', '}'))?.rootNode.hasError).toBe(true);
  });

  test('has no parameters of its own: -v and -H are the command’s', () => {
    expect(text).not.toMatch(/\bparam\s*\(|CmdletBinding/i);
    expect(text).toMatch(/^& node \$command @args\r$/m);
  });

  test('ends with the exit code of the command', () => {
    expect(text.trimEnd().split('\r\n').pop()).toBe('exit $LASTEXITCODE');
  });

  test('without Node.js it is UNKNOWN, in one line', () => {
    expect(text).toMatch(/Write-Output 'POP3 UNKNOWN - [^']+'\r\n {4}exit 3\r\n/);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Reason } from '../src/dialogue/failure.ts';
import { hintFor } from '../src/probe/hint.ts';
import { stateOfFailure } from '../src/verdict/severity.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

/** The union exists for the compiler alone: its source is where a test can read it. */
const REASONS = namedIn(/export type Reason =\n([\s\S]*?);\n/.exec(read('../src/dialogue/failure.ts'))?.[1] ?? '');

function namedIn(union: string): readonly Reason[] {
  const members = union.split('\n').filter((line) => !line.trim().startsWith('//'));
  return members.flatMap((line) => Array.from(line.matchAll(/'([^']+)'/g), ([, name]) => name as Reason));
}

const PAGE = read('../docs/reasons.md');
const [INTRODUCTION = '', ...rest] = PAGE.split(/^## /m);
const SECTIONS = rest.map((section) => {
  const [name = '', ...lines] = section.split('\n');
  return { name, text: lines.join('\n').trim() };
});

test('the list of reasons was read', () => {
  expect(REASONS.length).toBeGreaterThan(40);
  expect(new Set(REASONS).size).toBe(REASONS.length);
  for (const reason of REASONS)
    expect(
      hintFor(reason, {
        server: 'h',
        port: 110,
        userName: 'u',
        connectionType: 'tls',
        credential: 'password',
        phase: null,
      }),
    ).not.toBe('');
});

test('every reason has one section, in the order of the list, and there is no other', () => {
  expect(SECTIONS.map(({ name }) => name)).toEqual(REASONS);
});

test('there is one title, and an introduction', () => {
  expect(PAGE.match(/^# .*/gm)).toEqual(['# Reasons']);
  expect(sentencesOf(INTRODUCTION)).toBeGreaterThan(5);
});

test('no line is over 120 columns, and none has a tab or blanks at its end', () => {
  const lines = PAGE.split('\n');
  expect(lines.filter((line) => Array.from(line).length > 120)).toEqual([]);
  expect(lines.filter((line) => /\t|\s$/.test(line))).toEqual([]);
});

describe.each(SECTIONS)('$name', ({ name, text }) => {
  test('states its state', () => {
    const stated = /^State: (CRITICAL|WARNING|UNKNOWN)\. /.exec(text)?.[1];
    expect(stated?.toLowerCase()).toBe(stateOfFailure(name as Reason, null));
  });

  test('says what it means, and what to look at', () => {
    const [, meaning = '', ...look] = text.split('\n\n');
    expect(sentencesOf(meaning)).toBeGreaterThanOrEqual(2);
    expect(look[0]).toMatch(/^Look at(?:, by phase)?:$/);
    expect(look.join('\n')).toMatch(/^\* /m);
  });

  test('refers to known reasons alone', () => {
    const named = Array.from(text.matchAll(/\b[Ss]ee ([a-z]+-[a-z-]+)/g), ([, other]) => other);
    for (const other of named) expect(REASONS).toContain(other);
  });
});

/** Ends of sentences: a full stop before white space or the end. */
function sentencesOf(paragraph: string): number {
  return paragraph.match(/\.(?=\s|$)/g)?.length ?? 0;
}

import { describe, expect, test } from 'vitest';
import { elementAt, parseXml } from '../../src/send/xml.ts';

describe('a document', () => {
  test('is read with its elements, attributes and text', () => {
    const root = parseXml(
      '\uFEFF<?xml version="1.0" encoding="utf-8"?>\n<!-- <no/> -->\n' +
        `<s:a xmlns:s='urn:x' s:one = "1 &lt; 2">x<b/>y<c two='"'>in<![CDATA[<side>&amp;]]></c>z</s:a>\n<?end?>\n`,
    );
    expect(root).toMatchObject({ name: 'a', text: 'xyz' });
    expect(root?.attributes.get('s:one')).toBe('1 < 2');
    expect(root?.children.map(({ name, text }) => [name, text])).toEqual([
      ['b', ''],
      ['c', 'in<side>&amp;'],
    ]);
    expect(root?.children[1]?.attributes.get('two')).toBe('"');
  });

  test.each([
    ['&lt;&gt;&amp;&quot;&apos;', `<>&"'`],
    ['&#65;&#x42;&#x1F600;&#9;', 'AB😀\t'],
    ['&amp;lt;', '&lt;'],
    ['Schlüssel', 'Schlüssel'],
  ])('says %s and means %s', (written, text) => {
    expect(parseXml(`<a b="${written}">${written}</a>`)).toMatchObject({ text, attributes: new Map([['b', text]]) });
  });

  test.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['JSON', '{"error":{}}'],
    ['two roots', '<a/><b/>'],
    ['text beside the root', '<a/>b'],
    ['an open element', '<a><b></b>'],
    ['a closed one that was not open', '</a>'],
    ['one closed twice', '<a></a></a>'],
    ['crossed elements', '<a><b></a></b>'],
    ['another prefix at the end', '<x:a></y:a>'],
    ['a name that is none', '<1a/>'],
    ['an attribute without quotes', '<a b=c/>'],
    ['an attribute without value', '<a b/>'],
    ['an attribute twice', '<a b="1" b="2"/>'],
    ['attributes not apart', '<a b="1"c="2"/>'],
    ['a tag that does not end', '<a'],
    ['a comment that does not end', '<a/><!-- '],
    ['a tag in an attribute', '<a b="<c>"/>'],
    ['a lone ampersand', '<a>AT&T</a>'],
    ['an entity nobody declared', '<a>&nbsp;</a>'],
    ['an entity of JavaScript', '<a>&constructor;</a>'],
    ['a character that does not exist', '<a>&#x110000;</a>'],
    ['half a character', '<a>&#xD800;</a>'],
    ['a NUL', '<a>&#0;</a>'],
    ['an entity of its own', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'],
    ['a document type alone', '<!DOCTYPE html><html></html>'],
  ])('that has %s is none', (_, xml) => {
    expect(parseXml(xml)).toBeNull();
  });

  const MIB = 1 << 20;
  const full = (piece: string, before = '', after = ''): string =>
    before + piece.repeat(Math.floor(MIB / piece.length)) + after;

  test.each([
    ['depth', full('<a>')],
    ['elements', full('<a/>', '<b>', '</b>')],
    ['attributes', full(' b="c"', '<a', '>')],
    ['blanks in a tag', full(' ', '<a', '=')],
    ['blanks in an end', full(' ', '<a></a', '<')],
    ['ampersands', full('&', '<a>', '</a>')],
    ['references', full('&#65;', '<a>', '</a>')],
    ['open comments', full('<!--')],
    ['open data', full('<![CDATA[', '<a>')],
    ['a name', full('a', '<', '')],
    ['a name of many parts', full('a:', '<', '/>')],
  ])('that is nothing but %s, a mebibyte of it, does not hold a run up', (_, xml) => {
    const began = performance.now();
    parseXml(xml);
    expect(performance.now() - began).toBeLessThan(3000);
  });
});

describe('a path', () => {
  const root = parseXml('<a><b><c>1</c></b><x:b xmlns:x="urn:x"><c>2</c><d>3</d></x:b></a>');

  test('leads to the first of each name, whatever its prefix', () => {
    expect(elementAt(root, 'b', 'c')?.text).toBe('1');
    expect(elementAt(root)?.name).toBe('a');
  });

  test('that leads nowhere leads to nothing', () => {
    expect(elementAt(root, 'b', 'd')).toBeNull();
    expect(elementAt(null, 'b')).toBeNull();
  });
});

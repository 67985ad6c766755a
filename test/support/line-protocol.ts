/** A point of InfluxDB's line protocol, read by its reference and without anything of ours. */
export interface Point {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, readonly [kind: string, value: string | number | boolean]>>;
  /** In nanoseconds; null where the reader is to give it his own. */
  readonly time: bigint | null;
}

/** @throws at whatever the reference does not allow */
export const readPoints = (lines: string): readonly Point[] => {
  if (!lines.endsWith('\n')) throw new Error('the last line does not end');
  return lines.slice(0, -1).split('\n').map(readPoint);
};

function readPoint(line: string): Point {
  let at = 0;
  const refuse = (what: string): never => {
    throw new Error(`${what} at ${at} of ${line}`);
  };
  /** Up to one of these characters where no backslash is before it. */
  const until = (ends: string, escapable: string): string => {
    let text = '';
    while (at < line.length && !ends.includes(line[at] as string)) {
      // Before anything else a backslash stands for itself.
      if (line[at] === '\\' && escapable.includes(line[at + 1] ?? 'none')) at++;
      text += line[at++];
    }
    return text === '' ? refuse('nothing') : text;
  };
  const measurement = until(', ', ', ');
  const tags: Record<string, string> = {};
  while (line[at] === ',') {
    at++;
    const name = until('=', ',= ');
    at++;
    if (name in tags) refuse('a tag twice');
    tags[name] = until(', ', ',= ');
  }
  if (line[at++] !== ' ') refuse('no fields');
  const fields: Record<string, readonly [string, string | number | boolean]> = {};
  do {
    const name = until('=', ',= ');
    at++;
    if (name in fields) refuse('a field twice');
    fields[name] = line[at] === '"' ? ['string', quoted()] : bare(until(', ', ''));
  } while (line[at++] === ',');
  const time = line.slice(at);
  if (time !== '' && !/^-?\d+$/.test(time)) refuse('no time');
  return { measurement, tags, fields, time: time === '' ? null : BigInt(time) };

  function quoted(): string {
    let text = '';
    for (at++; line[at] !== '"'; at++) {
      if (line[at] === undefined) refuse('no end of a string');
      if (line[at] === '\\' && /["\\]/.test(line[at + 1] ?? '')) at++;
      text += line[at];
    }
    at++;
    return text;
  }
  function bare(text: string): readonly [string, number | boolean] {
    if (/^(true|false)$/.test(text)) return ['boolean', text === 'true'];
    if (/^-?\d+i$/.test(text)) return ['integer', Number(text.slice(0, -1))];
    return /^-?\d+(\.\d+)?$/.test(text) ? ['float', Number(text)] : refuse(`no value: ${text}`);
  }
}

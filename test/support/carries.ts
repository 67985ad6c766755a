/** Whether a text is in what crossed a link, in clear or in base 64, in UTF-8 or as Windows writes it. */
export function carries(bytes: Buffer, text: string): boolean {
  const lines = bytes.toString('latin1').split('\r\n');
  const decoded = lines.map((line) => Buffer.from(line.split(' ').at(-1) as string, 'base64'));
  return [bytes, ...decoded].some((octets) =>
    [Buffer.from(text, 'utf8'), Buffer.from(text, 'utf16le')].some((spelling) => octets.includes(spelling)),
  );
}

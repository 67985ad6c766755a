import type { Dialogue, Phase } from '../dialogue/dialogue.ts';
import { addressIn, type Header, parsed, withoutBlankEnd } from './message.ts';
import { type Recognised, recognised, type Sender } from './recognise.ts';

/** A delivery status notification (RFC 3464) about a message of ours. */
export interface DeliveryReport {
  readonly about: Recognised;
  readonly action: 'failed' | 'delayed';
  /** The mail system's own words: the diagnostic code, else the status. */
  readonly diagnostic: string;
}

/** Whether a header is that of a delivery status notification: a report (RFC 6522 §3) that answers nobody. */
export function isReport(header: Header): boolean {
  const type = header.only('content-type') ?? '';
  // RFC 3464 §2: with an empty return path, so that it is never bounced itself.
  const isBounce = header.all('return-path').every((path) => path.replace(/\s/g, '') === '<>');
  return (
    isBounce &&
    /^multipart\/report\s*;/i.test(type) &&
    parameter(type, 'report-type')?.toLowerCase() === 'delivery-status'
  );
}

/**
 * Reads a notification, as much as is needed of it.
 *
 * @param lines its lines, header and all, or as many as TOP gave
 * @returns null where it is not about a message of ours to our recipient
 */
export function* reported(lines: readonly string[], sender: Sender, phase: Phase): Dialogue<DeliveryReport | null> {
  const { header, body } = parsed(lines);
  const boundary = parameter(header.only('content-type') ?? '', 'boundary');
  if (boundary === null) return null;
  const parts = partsOf(body, boundary);
  const status = parts.find((part) => /^message\/(?:global-)?delivery-status/i.test(typeOf(part)));
  const original = parts.find((part) =>
    /^(?:message\/(?:rfc822|global|global-headers)|text\/rfc822-headers)\s*(?:;|$)/i.test(typeOf(part)),
  );
  if (status === undefined || original === undefined) return null;
  // Its fields stand in groups, the first about the message, each other about a recipient.
  const groups = groupsOf(status.body).map((group) => parsed(group).header);
  const ours = groups.find((group) =>
    ['final-recipient', 'original-recipient'].some(
      (name) => addressIn(group.only(name)?.replace(/^[^;]*;/, '') ?? '') === sender.seal.recipient.toLowerCase(),
    ),
  );
  const action = ours?.only('action')?.toLowerCase() ?? '';
  if (ours === undefined || (action !== 'failed' && action !== 'delayed')) return null;
  const about = yield* recognised(parsed(original.body).header, sender, phase);
  if (about === null) return null;
  const diagnostic = ours.only('diagnostic-code')?.replace(/^[^;]*;\s*/, '') ?? ours.only('status') ?? 'no diagnostic';
  return { about, action, diagnostic };
}

interface Part {
  readonly header: Header;
  readonly body: readonly string[];
}

const typeOf = (part: Part): string => part.header.only('content-type') ?? '';

/** A parameter of a field (RFC 2045 §5.1), quoted or not. */
function parameter(field: string, name: string): string | null {
  const [, quoted, bare] = new RegExp(`;\\s*${name}\\s*=\\s*(?:"([^"]*)"|([^\\s;"]+))`, 'i').exec(field) ?? [];
  return quoted ?? bare ?? null;
}

/** The parts of a multipart body (RFC 2046 §5.1.1). */
function partsOf(body: readonly string[], boundary: string): readonly Part[] {
  const parts: string[][] = [];
  for (const line of body) {
    const mark = withoutBlankEnd(line);
    if (mark === `--${boundary}--`) break;
    if (mark === `--${boundary}`) parts.push([]);
    else parts[parts.length - 1]?.push(line);
  }
  return parts.map(parsed);
}

function groupsOf(body: readonly string[]): readonly (readonly string[])[] {
  const groups: string[][] = [[]];
  for (const line of body) {
    if (line.trim() === '') groups.push([]);
    else (groups[groups.length - 1] as string[]).push(line);
  }
  return groups.filter((group) => group.length > 0);
}

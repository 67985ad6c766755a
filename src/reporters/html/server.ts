import type { ProbeResult, RoundTrip, Spoken } from '../../probe/result.ts';
import type { TestVerdict } from '../../verdict/judge.ts';
import { type State, worstFirst } from '../../verdict/severity.ts';
import type { Note } from '../cmdlet.ts';
import type { Manner } from '../reporter.ts';
import { certificate } from './certificate.ts';
import { context } from './context.ts';
import { html, type Markup } from './markup.ts';
import { waterfall } from './waterfall.ts';

/**
 * All there is to tell of one test, folded away or not.
 *
 * @param isOpen whether it is to be seen at once
 * @param at its place in the report, by which a link finds it
 */
export function server(test: TestVerdict, isOpen: boolean, at: number, { monitoringContext }: Manner): Markup {
  const { result, state, metrics, conversation } = test;
  const { casServer, tls, capabilities, roundTrip } = result;
  const name = casServer === '' || test.text === casServer ? test.text : `${casServer} (${test.text})`;
  return html`<details class="server"${isOpen ? OPEN : null}>
<summary><h3>${name}</h3> ${badge(state)} <span class="brief">${result.result}</span></summary>
<div class="inside" id="${anchor(at)}">
${findings(partsOf(test))}${waterfall(result)}${tls === null ? null : certificate(tls, metrics)}${facts('Connection', connectionOf(result))}${roundTrip === null ? null : facts('Message', tripOf(roundTrip))}${capabilities === null ? null : listed('Capabilities', capabilities)}${monitoringContext ? context(test) : null}${spoken(conversation)}</div>
</details>
`;
}

/** Where a test is told of, in the page. */
export const anchor = (at: number): string => `server-${at + 1}`;

/** A state as a word with a sign of its own: the colour only repeats it. */
export const badge = (state: State): Markup => html`<b class="badge ${state}">${state.toUpperCase()}</b>`;

/** What there is to say, the worst first. */
export const findings = (notes: readonly Note[]): Markup | null =>
  notes.length === 0
    ? null
    : html`<ul class="findings">
${worstFirst(notes).map(({ state, text }) => html`<li>${badge(state)} <span>${text}</span></li>\n`)}</ul>
`;

const OPEN = html` open`;

/** What a verdict consists of; what is well is summed up. */
const partsOf = ({ parts, state, summary }: TestVerdict): readonly Note[] =>
  state === 'ok' ? [{ state, text: summary }, ...parts] : parts;

type Fact = readonly [name: string, value: string | Markup];

/** Names and what they stand for; without a value there is nothing to tell. */
const facts = (title: string, told: readonly Fact[]): Markup => html`<section class="facts">
<h4>${title}</h4>
<dl>
${told.filter(([, value]) => value !== '').map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`)}</dl>
</section>
`;

const listed = (title: string, words: readonly string[]): Markup => html`<section class="facts">
<h4>${title}</h4>
<ul class="words">${words.map((word) => html`<li><code>${word}</code></li>`)}</ul>
</section>
`;

function connectionOf(result: ProbeResult): readonly Fact[] {
  const { tls, mailbox, deadAddresses, localSite } = result;
  const dead = deadAddresses.map(({ address, problem }) => `${address}, ${problem}`).join('; ');
  return [
    ['Address', `${result.address ?? 'none'} port ${result.port}`],
    ['Connection type', result.connectionType],
    ['Not reached', dead],
    ['User', result.userName],
    ['Local site', localSite ?? ''],
    ['Scenario', result.scenario],
    ['Started', timeOf(result.startTime)],
    ['Took', `${result.latencyMs.toFixed(2)} ms`],
    ['Mailbox', mailbox === null ? '' : `${mailbox.messages} messages, ${mailbox.octets} octets`],
    ['TLS', tls === null ? '' : `${tls.protocol}, ${tls.cipher}`],
    [
      'Certificate',
      tls === null ? '' : `${tls.authorized ? 'good' : 'not good'} for the server, for ${tls.names.join(', ')}`,
    ],
    ['Subject', tls?.subject ?? ''],
    ['Issuer', tls?.issuer ?? ''],
    ['Valid', tls === null ? '' : html`${timeOf(tls.validFrom)} to ${timeOf(tls.validTo)}`],
    ['SHA-256', tls === null ? '' : html`<code>${tls.fingerprint}</code>`],
  ];
}

function tripOf(trip: RoundTrip): readonly Fact[] {
  const took = (ms: number | null): string => (ms === null ? 'no' : `${(ms / 1000).toFixed(2)} s`);
  const answer = (is: boolean): string => (is ? 'yes' : 'no');
  return [
    ['Sent', trip.sendMs === null ? `no (${trip.sentVia})` : `via ${trip.sentVia}, ${took(trip.sendMs)}`],
    ['Delivered', took(trip.deliveryMs) + (trip.isEstimate ? " by the mail servers' clocks" : '')],
    ['Polls', String(trip.polls)],
    ['Retrieved', answer(trip.retrieved)],
    ['Deleted', answer(trip.deleted)],
    ['Verified', answer(trip.verified)],
    ['Stale', `${trip.stale}, removed ${trip.staleRemoved}`],
    ['Under way', `${trip.pending}, lost ${trip.lost}`],
    ['Hops', trip.hops.map(({ by, seconds }) => `${by} ${seconds} s`).join(', ')],
  ];
}

const MOMENT = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/;

/** A moment as people read it; what is none stands as it came. */
export const moment = (iso: string): string => iso.replace(MOMENT, '$1 $2 UTC');

export const timeOf = (iso: string): Markup =>
  MOMENT.test(iso) ? html`<time datetime="${iso}">${moment(iso)}</time>` : html`${iso}`;

const SPEAKER: Readonly<Record<Spoken['who'], string>> = { C: 'said-client', S: 'said-server', '*': 'said-note' };

/** What was said; who is a letter, and a class only colours it. */
function spoken(conversation: readonly Spoken[]): Markup | null {
  if (conversation.length === 0) return null;
  const lines = conversation.map(
    ({ atMs, who, words }) =>
      html`<span class="${SPEAKER[who]}">${atMs.toFixed(1).padStart(9)} ms ${who} ${words}</span>\n`,
  );
  return html`<details class="conversation">
<summary>Conversation, ${conversation.length} ${conversation.length === 1 ? 'line' : 'lines'}</summary>
<pre>${lines}</pre>
</details>
`;
}

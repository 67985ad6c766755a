import { base64, utf8 } from '../dialogue/bytes.ts';
import type { EwsPlan, OutgoingMessage, SendCredential, Sending, Sent } from '../probe/world.ts';
import type { HttpAnswer } from '../runtimes/node/http.ts';
import { type Complaint, type Meaning, meaningOfCode, meaningOfStatus, refusal, type Wording } from './refusal.ts';
import { submit } from './submit.ts';
import { type Element, elementAt, parseXml } from './xml.ts';

/**
 * Sends a message by Exchange Web Services, or saves it in the Inbox of whoever logs on: CreateItem
 * (https://learn.microsoft.com/exchange/client-developer/web-service-reference/createitem-operation) with the message
 * as it is. Nothing is kept in Sent Items. To send, the account has to be the sender's own: SendOnly knows no delegates.
 */
export function sendByEws({ octets }: OutgoingMessage, plan: EwsPlan): Sending {
  const { via, url, http, credential, impersonating } = plan;
  return submit({
    url,
    headers: {
      'Content-Type': 'text/xml; charset=utf-8',
      Accept: 'text/xml',
      SOAPAction: `"${MESSAGES}/CreateItem"`, // SOAP 1.1 §6.1.1
      // Exchange Online finds the mailbox's server by it.
      ...(impersonating === null ? {} : { 'X-AnchorMailbox': impersonating }),
    },
    body: utf8(envelope(ITEMS[via](base64(octets)), impersonating)),
    http,
    credential,
    judge: (answer) => judge(answer, WORDING[credential.kind]),
  });
}

const SCHEMA = 'http://schemas.microsoft.com/exchange/services/2006';
const MESSAGES = `${SCHEMA}/messages`;

/** The order of elements is the schema's, and Exchange insists on it. */
const ITEMS: Readonly<Record<EwsPlan['via'], (mime: string) => string>> = {
  ews: (mime) =>
    '<m:CreateItem MessageDisposition="SendOnly">' +
    `<m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">${mime}</t:MimeContent></t:Message></m:Items>` +
    '</m:CreateItem>',
  // PidTagMessageFlags (MS-OXCMSG §2.2.1.6) without mfUnsent, which a new item has: POP3 clients see no drafts.
  'ews-save': (mime) =>
    '<m:CreateItem MessageDisposition="SaveOnly">' +
    '<m:SavedItemFolderId><t:DistinguishedFolderId Id="inbox"/></m:SavedItemFolderId>' +
    `<m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">${mime}</t:MimeContent>` +
    '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Value>1</t:Value>' +
    '</t:ExtendedProperty></t:Message></m:Items></m:CreateItem>',
};

/** The oldest schema that has all of it, so that every Exchange with EWS understands it. */
const VERSION = 'Exchange2007_SP1';

/** https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-add-appointments-by-using-exchange-impersonation */
const acting = (address: string): string =>
  '<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>' +
  address.replace(/&/g, '&amp;').replace(/</g, '&lt;') +
  '</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>';

const envelope = (content: string, impersonating: string | null): string =>
  '<?xml version="1.0" encoding="utf-8"?>' +
  `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="${MESSAGES}" xmlns:t="${SCHEMA}/types">` +
  `<soap:Header><t:RequestServerVersion Version="${VERSION}"/>${impersonating === null ? '' : acting(impersonating)}</soap:Header>` +
  `<soap:Body>${content}</soap:Body></soap:Envelope>`;

/** Taken is what a well-formed answer calls a success. A fault comes as a rule with status 500 (SOAP 1.1 §6.2). */
function judge(answer: HttpAnswer, wording: Wording): Sent {
  const root = parseXml(answer.body);
  const body = root?.name === 'Envelope' ? elementAt(root, 'Body') : null;
  const response = elementAt(body, 'CreateItemResponse', 'ResponseMessages', 'CreateItemResponseMessage');
  if (answer.status === 200 && response !== null) return outcome(response, answer, wording);
  const fault = elementAt(body, 'Fault');
  const complaint = fault === null ? null : complaintOf(elementAt(fault, 'detail'), textOf(fault, 'faultstring'));
  const byFault =
    complaint === null || complaint.code === '' ? null : (meaningOfCode(complaint.code, wording) ?? REFUSED);
  throw refusal(byFault ?? meaningOfStatus(answer.status, wording), answer, complaint);
}

const REFUSED: Meaning = ['send-refused', 'Exchange refused the request'];

function outcome(response: Element, answer: HttpAnswer, wording: Wording): Sent {
  const complaint = complaintOf(response, textOf(response, 'MessageText'));
  const meaning = RESPONSE_CLASSES.get(response.attributes.get('ResponseClass') ?? '') ?? REFUSED;
  if (meaning === 'taken') return { said: `HTTP ${answer.status} ${complaint.code}`.trim() };
  throw refusal(meaningOfCode(complaint.code, wording) ?? meaning, answer, complaint);
}

/** https://learn.microsoft.com/exchange/client-developer/web-service-reference/createitemresponsemessage */
const RESPONSE_CLASSES = new Map<string, Meaning | 'taken'>([
  ['Success', 'taken'],
  // "Describes a request that was not processed", and elsewhere "that may not have been processed successfully".
  ['Warning', ['send-unconfirmed', 'Exchange warns that it may not have taken the message']],
  ['Error', REFUSED],
]);

const NOT_EWS = 'the answer is not one of Exchange Web Services; look at the URL';
const NOT_THERE = 'there is no Exchange Web Services at the URL';
const NOT_PERMITTED = 'the account may not do this, or may not use Exchange Web Services';

const WORDING: Readonly<Record<SendCredential['kind'], Wording>> = {
  password: {
    200: NOT_EWS,
    401: 'the user name or password was not accepted, or not this way of logging on (Basic)',
    403: NOT_PERMITTED,
    404: NOT_THERE,
  },
  bearer: { 200: NOT_EWS, 401: 'the token was not accepted', 403: NOT_PERMITTED, 404: NOT_THERE },
};

/** The complaint in a response message, or in the detail of a fault: both name it alike. */
function complaintOf(detail: Element | null, message: string): Complaint {
  const values = elementAt(detail, 'MessageXml')?.children ?? [];
  const backOff = values.find(({ attributes }) => attributes.get('Name') === 'BackOffMilliseconds');
  return { code: textOf(detail, 'ResponseCode'), message, backOff: backOff?.text.trim() };
}

const textOf = (parent: Element | null, name: string): string => elementAt(parent, name)?.text.trim() ?? '';

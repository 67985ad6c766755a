/** The clouds of Microsoft 365, as --oauth-cloud names them. GCC without "High" is part of the worldwide one. */
export type Cloud = 'worldwide' | 'gcc-high' | 'dod' | 'china';

/** Where a cloud gives tokens, has its mailboxes, and what to ask for there. */
export interface CloudPlaces {
  /** The host of the identity provider. */
  readonly authority: string;
  /** The host of POP3 (implicit TLS on 995), IMAP and Exchange Web Services. */
  readonly mailHost: string;
  /** The scope of a token for those three, and for SMTP AUTH: all that an administrator has consented to. */
  readonly mailScope: string;
  /** The base URL of Microsoft Graph. */
  readonly graphUrl: string;
  readonly graphScope: string;
}

/**
 * Sources: for identity provider, Exchange and Graph in each cloud, Microsoft's own scripts
 * (github.com/microsoft/CSS-Exchange, Shared/AzureFunctions/Get-CloudServiceEndpoint.ps1); for Graph,
 * https://learn.microsoft.com/graph/deployments; for the scopes of Exchange in the government's clouds, CISA's ScubaGear
 * (Get-ExchangeOnlineScope); for the worldwide one, https://learn.microsoft.com/exchange/client-developer/legacy-protocols/
 * how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth.
 */
export const CLOUDS: Readonly<Record<Cloud, CloudPlaces>> = {
  worldwide: places('login.microsoftonline.com', 'outlook.office365.com', 'graph.microsoft.com'),
  'gcc-high': places('login.microsoftonline.us', 'outlook.office365.us', 'graph.microsoft.us'),
  dod: places('login.microsoftonline.us', 'outlook-dod.office365.us', 'dod-graph.microsoft.us'),
  china: places('login.partner.microsoftonline.cn', 'partner.outlook.cn', 'microsoftgraph.chinacloudapi.cn'),
};

function places(authority: string, mailHost: string, graphHost: string): CloudPlaces {
  return {
    authority,
    mailHost,
    mailScope: `https://${mailHost}/.default`,
    graphUrl: `https://${graphHost}/v1.0`,
    graphScope: `https://${graphHost}/.default`,
  };
}

/**
 * The token end point of a tenant.
 *
 * @param tenant its id or one of its domains
 */
export const tokenUrl = (cloud: Cloud, tenant: string): string =>
  `https://${CLOUDS[cloud].authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;

export const CLOUD_NAMES = Object.keys(CLOUDS) as readonly Cloud[];

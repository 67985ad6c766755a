import { describe, expect, test } from 'vitest';
import { CLOUDS, type Cloud, tokenUrl } from '../src/request/clouds.ts';

describe('a cloud of Microsoft 365', () => {
  test.each<[Cloud, string, string, string]>([
    ['worldwide', 'login.microsoftonline.com', 'outlook.office365.com', 'graph.microsoft.com'],
    ['gcc-high', 'login.microsoftonline.us', 'outlook.office365.us', 'graph.microsoft.us'],
    ['dod', 'login.microsoftonline.us', 'outlook-dod.office365.us', 'dod-graph.microsoft.us'],
    ['china', 'login.partner.microsoftonline.cn', 'partner.outlook.cn', 'microsoftgraph.chinacloudapi.cn'],
  ])('%s has its own places', (cloud, authority, mailHost, graphHost) => {
    expect(CLOUDS[cloud]).toEqual({
      authority,
      mailHost,
      mailScope: `https://${mailHost}/.default`,
      graphUrl: `https://${graphHost}/v1.0`,
      graphScope: `https://${graphHost}/.default`,
    });
    expect(tokenUrl(cloud, 'contoso.onmicrosoft.com')).toBe(
      `https://${authority}/contoso.onmicrosoft.com/oauth2/v2.0/token`,
    );
  });

  test('is asked for the tenant named, whatever stands in its name', () => {
    expect(tokenUrl('worldwide', '../evil?x#y')).toBe(
      'https://login.microsoftonline.com/..%2Fevil%3Fx%23y/oauth2/v2.0/token',
    );
  });
});

import { AndFilter, Attribute, Change, Client, EqualityFilter, PresenceFilter, ResultCodeError } from 'ldapts';

/**
 * What speaks LDAP. It stands alone, for it is kept compressed in the commands and unpacked only where a directory is
 * asked (docs/decisions/0002): nothing of ours may be imported here.
 */
export default { AndFilter, Attribute, Change, Client, EqualityFilter, PresenceFilter, ResultCodeError } as const;

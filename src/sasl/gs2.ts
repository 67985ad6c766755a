/** A user name as GS2 and SCRAM write it: `=` and `,` would end it (RFC 5801 §4, RFC 5802 §5.1). */
export const saslName = (userName: string): string => userName.replace(/=/g, '=3D').replace(/,/g, '=2C');

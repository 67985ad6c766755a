/**
 * Whom to test and how, from `-e NAME=VALUE`: POP3_SERVER, POP3_USER, and where they are needed POP3_ADDRESS, POP3_PORT,
 * POP3_TYPE (tls, ssl, plaintext) and POP3_CA, a file. The password is the secret POP3_PASSWORD of `--secret-source`, or
 * the variable of that name.
 */
export const LOGON = {
  server: __ENV.POP3_SERVER,
  address: __ENV.POP3_ADDRESS,
  port: __ENV.POP3_PORT,
  connectionType: __ENV.POP3_TYPE,
  userName: __ENV.POP3_USER,
  passwordSecret: 'POP3_PASSWORD',
  ...(__ENV.POP3_CA === undefined ? {} : { ca: open(__ENV.POP3_CA) }),
};

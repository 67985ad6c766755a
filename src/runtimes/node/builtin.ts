/**
 * Node's own modules, loaded when they are first needed: `tls` alone costs more than a whole plain logon, so what a
 * run does not use it does not load. `process.getBuiltinModule` (Node 20.16, 22.3) works in a script of either kind.
 */
export const builtin = {
  net: (): typeof import('node:net') => process.getBuiltinModule('net'),
  tls: (): typeof import('node:tls') => process.getBuiltinModule('tls'),
  https: (): typeof import('node:https') => process.getBuiltinModule('https'),
  dgram: (): typeof import('node:dgram') => process.getBuiltinModule('dgram'),
  dns: (): typeof import('node:dns') => process.getBuiltinModule('dns'),
  fs: (): typeof import('node:fs') => process.getBuiltinModule('fs'),
  childProcess: (): typeof import('node:child_process') => process.getBuiltinModule('child_process'),
  util: (): typeof import('node:util') => process.getBuiltinModule('util'),
  buffer: (): typeof import('node:buffer') => process.getBuiltinModule('buffer'),
  readline: (): typeof import('node:readline') => process.getBuiltinModule('readline'),
  tty: (): typeof import('node:tty') => process.getBuiltinModule('tty'),
  url: (): typeof import('node:url') => process.getBuiltinModule('url'),
  path: (): typeof import('node:path') => process.getBuiltinModule('path'),
  os: (): typeof import('node:os') => process.getBuiltinModule('os'),
  stream: (): typeof import('node:stream') => process.getBuiltinModule('stream'),
  crypto: (): typeof import('node:crypto') => process.getBuiltinModule('crypto'),
} as const;

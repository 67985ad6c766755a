/**
 * Runs a command in a network of its own whose only resolver is this script, and prints what came of it as JSON.
 * Started by resolver.test.ts inside `unshare --net --mount`; argv: a JSON of {resolver, command}.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const { resolver, command } = JSON.parse(process.argv[2] ?? '');

/** Response codes of RFC 1035 §4.1.1, in the flags of a recursive answer. */
const FLAGS = /** @type {Record<string, number>} */ ({
  answers: 0x8180,
  'has no address': 0x8180,
  'knows no such name': 0x8183,
  fails: 0x8182,
});
const TYPE_A = 1;

const socket = createSocket('udp4');
socket.on('message', (query, from) => {
  if (resolver === 'keeps silent') return;
  const reply = Buffer.from(query.subarray(0, questionEnd(query)));
  reply.writeUInt16BE(FLAGS[resolver] ?? 0, 2);
  reply.fill(0, 6, 12);
  const isA = reply.readUInt16BE(reply.length - 4) === TYPE_A;
  const answer =
    resolver === 'answers' && isA ? Buffer.from('c00c00010001000000050004' + '7f000001', 'hex') : Buffer.alloc(0);
  if (answer.length > 0) reply.writeUInt16BE(1, 6);
  socket.send(Buffer.concat([reply, answer]), from.port, from.address);
});
if (resolver !== 'is not there') {
  socket.bind(53, '127.0.0.1');
  await once(socket, 'listening');
}

const began = performance.now();
const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
let output = '';
child.stdout.on('data', (octets) => {
  output += octets;
});
child.stderr.on('data', (octets) => {
  output += octets;
});
const [code] = await once(child, 'close');
socket.close();
console.log(JSON.stringify({ code, output, tookMs: performance.now() - began }));

/** @param {Buffer} query one question: its name, then type and class */
function questionEnd(query) {
  let at = 12;
  while (query[at] !== 0) at += (query[at] ?? 0) + 1;
  return at + 5;
}

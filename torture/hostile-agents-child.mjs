// Agents as nobody wants them, in a process of their own so that they are not the load of who measures. Arguments: port,
// how many. Half a second after all are there it prints `ready`; told to on stdin it hangs up with all and ends.
import { connect } from 'node:net';

const [port, count] = [Number(process.argv[2]), Number(process.argv[3])];
const sockets = new Set();
const message = JSON.stringify({ cpu: 6, ram: 63.6, disk: 60.8, ram_total: 16558358528, ram_used: 36.37 });
const flood = message.repeat(400);
let connected = 0;

/** What each does once it is connected; every kind is there, the loudest most rarely. */
const kinds = [
  // A byte every half second, of an object that never ends.
  (socket) => every(socket, 500, () => socket.write('x'), '{"a": "'),
  () => undefined,
  // Replies that nobody reads.
  (socket) => every(socket, 100, () => socket.write(message.repeat(20)), '', socket.pause()),
  (socket) => every(socket, 200, () => socket.write('no JSON at all\n\0\xff{{{"')),
  // New names all the time.
  (socket) => every(socket, 250, () => socket.write(JSON.stringify({ [`k${Math.random()}`]: 1 }))),
  // Gone and back again.
  (socket) => setTimeout(() => socket.resetAndDestroy(), 1000),
  // Longer than there may be.
  (socket) => every(socket, 1000, () => socket.write('y'.repeat(100_000)), '{"b": "'),
  (socket) => every(socket, 1000, () => socket.write(message)),
];

function every(socket, ms, work, first = '') {
  socket.write(first);
  const timer = setInterval(work, ms);
  socket.once('close', () => clearInterval(timer));
}

/** As fast as it is taken. */
function pour(socket) {
  const more = () => {
    while (!socket.destroyed && socket.write(flood));
  };
  socket.on('drain', more);
  more();
}

function open(index) {
  const socket = connect(port, '127.0.0.1');
  sockets.add(socket);
  socket.on('error', () => undefined).on('data', () => undefined);
  socket.on('close', () => {
    sockets.delete(socket);
    setTimeout(() => open(index), 1000);
  });
  socket.once('connect', () => {
    if (++connected === count) setTimeout(() => process.stdout.write('ready\n'), 500);
    if (index % 100 === 0) pour(socket);
    else kinds[index % kinds.length](socket);
  });
}

for (let index = 0; index < count; index++) open(index);
process.stdin.once('data', () => process.exit());

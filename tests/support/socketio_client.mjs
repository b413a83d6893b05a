/** The JavaScript client of `tests/support/socketio_client.py`: emits what it reads, and writes what happens, line by line. */

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, options] = process.argv.slice(2);
const socket = io(url, JSON.parse(options));

const write = (...event) => process.stdout.write(`${JSON.stringify(event)}\n`);

socket.onAny((name, argument) => write(name, argument ?? null));
socket.on("connect", () => write("connect", socket.io.engine.transport.name));
socket.on("connect_error", (error) => write("connect_error", { message: error.message, data: error.data ?? null }));
socket.on("disconnect", (reason) => write("disconnect", reason));
socket.io.on("open", () => socket.io.engine.on("upgrade", (transport) => write("upgrade", transport.name)));

for await (const line of createInterface({ input: process.stdin })) {
  socket.emit(...JSON.parse(line));
}
socket.disconnect();

// Socket.IO with its Redis Streams adapter: for each byte on standard input, one event to every client.
//
//     node socketio.js PAYLOAD_BYTES     with PORT and REDIS_URL in the environment
//
// The event is emitted here, so that the adapter delivers it without the way through the stream, and appends it there.
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { createClient } from 'redis'
import { Server } from 'socket.io'

const EMPTY = '42["changes",{"data":""}]'.length
const message = { data: 'y'.repeat(Number(process.argv[2]) - EMPTY) }

const redis = createClient({ url: process.env.REDIS_URL })
await redis.connect()

const io = new Server({
  adapter: createAdapter(redis),
  transports: ['websocket'],
  pingInterval: 3_600_000,
  perMessageDeflate: false,
  serveClient: false,
})
io.listen(Number(process.env.PORT))

process.stdin.on('data', (asked) => {
  for (let round = 0; round < asked.length; round += 1) io.emit('changes', message)
})
process.stdin.on('end', () => process.exit(0))

-- Makes a stream the one of its agent, and tells all replicas, so that an older one is closed.
-- KEYS: holder. ARGV: agent, replica, how long it holds unless it is renewed (ms), channel.
-- Returns the stream's generation, which is greater than that of any before.
local time = redis.call('TIME')
local generation = tonumber(time[1]) * 1000000 + tonumber(time[2])
local held = redis.call('GET', KEYS[1])
local last = held and tonumber(string.match(held, '^%d+'))
if last and last >= generation then
  generation = last + 1
end
local text = string.format('%.0f', generation)
redis.call('SET', KEYS[1], text .. ' ' .. ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], '["' .. ARGV[1] .. ':' .. text .. '"]')
return generation

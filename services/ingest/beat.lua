-- Says that a replica of ingest lives, and notes since when ingest has been there without a break.
-- KEYS: presence, returned, heard. ARGV: replica, '1' when an agent was heard since the last beat, how long after the
-- newest beat ingest counts as away, how long beats are kept (both in ms).
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = string.format('%.0f', now_ms)

local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
-- a beat from the future was made before the clock was set back: it tells nothing either
if not newest or math.abs(now_ms - tonumber(newest)) > tonumber(ARGV[3]) then
  redis.call('SET', KEYS[2], now)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now_ms - tonumber(ARGV[4])))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
if ARGV[2] == '1' then
  redis.call('SET', KEYS[3], now)
end

-- Notes a sweep, since when sweeps have come without a break, and whether any agent was heard lately.
-- KEYS: the sweepers' memory. ARGV: the longest gap (ms) that is no break, when an agent was last heard (ms, '' for
-- never), how long ago (ms) that is late. Returns now, since, and the last sweep at which nobody was heard lately, in ms.
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = string.format('%.0f', now_ms)

local at = redis.call('HGET', KEYS[1], 'at')
-- a sweep from the future was before the clock was set back: it tells nothing either
if not at or math.abs(now_ms - tonumber(at)) > tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'since', now)
end
redis.call('HSET', KEYS[1], 'at', now)
if ARGV[2] == '' or now_ms - tonumber(ARGV[2]) >= tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'unheard', now)
end
return {now, redis.call('HGET', KEYS[1], 'since'), redis.call('HGET', KEYS[1], 'unheard')}

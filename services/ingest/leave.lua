-- Says that a replica of ingest goes, and when. KEYS: presence, left. ARGV: replica.
local time = redis.call('TIME')
redis.call('SET', KEYS[2], string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
redis.call('ZREM', KEYS[1], ARGV[1])

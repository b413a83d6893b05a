-- Gives up a stream that has ended, unless a newer one of its agent stands; then nothing is done.
-- KEYS: holder, deadlines. ARGV: what the holder is, member, how soon the agent is to be back (ms; '' for no such
-- deadline), how much of its deadline is left at most if nobody has heard it since (ms).
-- Returns 1 when it was the holder.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
if ARGV[3] ~= '' then
  local time = redis.call('TIME')
  local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local deadline = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or '')
  local sooner = now_ms + tonumber(ARGV[3])
  -- a later one was set by a message that came another way: the agent is there
  if deadline and deadline > sooner and deadline <= now_ms + tonumber(ARGV[4]) then
    redis.call('ZADD', KEYS[2], string.format('%.0f', sooner), ARGV[2])
  end
end
return 1

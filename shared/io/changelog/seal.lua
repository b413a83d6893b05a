-- Closes a partition's log for the guardian with this fence, so that it cannot grow any more.
-- KEYS[1] the partition's prefix; ARGV[1] the fence. Returns 1, or 0 when a later guardian was here.
local guardian = redis.call('GET', KEYS[1] .. 'guardian')
if guardian and tonumber(guardian) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1] .. 'guardian', ARGV[1])
redis.call('DEL', KEYS[1] .. 'epoch')
return 1

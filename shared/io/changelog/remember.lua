-- Sets first results of operations, vouched for by an epoch that is about to be opened.
-- KEYS[1] the partition's prefix; ARGV: fence, then (operation id, result, remember_ms) * n.
-- Returns 1, or 0 when the caller is not the last guardian that sealed the log.
if redis.call('GET', KEYS[1] .. 'guardian') ~= ARGV[1] then
  return 0
end
for i = 2, #ARGV, 3 do
  redis.call('SET', KEYS[1] .. 'op:' .. ARGV[i], ARGV[i + 1], 'PX', ARGV[i + 2])
end
return 1

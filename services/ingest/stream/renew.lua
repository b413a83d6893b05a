-- Says that streams still stand. KEYS: holders. ARGV: how long they hold (ms), then what each of them is to be.
-- Returns the places, from 1, of those that a newer stream has taken. One that Redis has lost is set again.
local taken = {}
for i, key in ipairs(KEYS) do
  local own, held = ARGV[i + 1], redis.call('GET', key)
  if held == own then
    redis.call('PEXPIRE', key, ARGV[1])
  elseif held and tonumber(string.match(held, '^%d+')) > tonumber(string.match(own, '^%d+')) then
    taken[#taken + 1] = i
  else
    redis.call('SET', key, own, 'PX', ARGV[1])
  end
end
return taken

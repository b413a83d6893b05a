-- Opens an epoch of one partition: puts the staged state in place of the old one, in one step, and the epoch last.
-- KEYS[1] the partition's prefix; ARGV: fence, epoch, then the names of the unique fields as `<resource>:<field>`.
-- Returns 1, or 0 when the caller is not the last guardian that sealed the log, or an epoch at least as new is open.
local prefix, fence, epoch = KEYS[1], ARGV[1], ARGV[2]
local staged = prefix .. 'new:' .. epoch .. ':'

if redis.call('GET', prefix .. 'guardian') ~= fence then
  return 0
end
local open = redis.call('GET', prefix .. 'epoch')
if open and tonumber(open) >= tonumber(epoch) then
  return 0
end

local function for_each_key(versions, act)
  for _, topic in ipairs(redis.call('HKEYS', versions)) do
    act('state:' .. topic)
    for i = 3, #ARGV do
      local resource, field = string.match(ARGV[i], '^([^:]+):(.+)$')
      if string.match(topic, ':(.+)$') == resource then
        act('unique:' .. topic .. ':' .. field)
        act('unique:' .. topic .. ':' .. field .. ':of')
      end
    end
  end
end

local function place(name)
  redis.call('UNLINK', prefix .. name)
  if redis.call('EXISTS', staged .. name) == 1 then
    redis.call('RENAME', staged .. name, prefix .. name)
    redis.call('PERSIST', prefix .. name)
  end
end

for_each_key(prefix .. 'versions', function(name) redis.call('UNLINK', prefix .. name) end)
for_each_key(staged .. 'versions', place)
place('versions')
-- what a client remembers of an earlier epoch is told from what it remembers of this one by these
redis.call('UNLINK', prefix .. 'began')
for _, topic in ipairs(redis.call('HKEYS', prefix .. 'versions')) do
  redis.call('HSET', prefix .. 'began', topic, redis.call('HGET', prefix .. 'versions', topic))
end
place('samples')
place('deadlines')

local time = redis.call('TIME')
redis.call('XADD', prefix .. 'log', epoch .. '-0', 'opened', time[1])
-- what is left of earlier epochs was applied before this one was minted, and serves nobody who resumes
redis.call('XTRIM', prefix .. 'log', 'MINID', epoch .. '-0')
redis.call('SET', prefix .. 'epoch', epoch)
return 1

-- Appends operations to the log of one partition: first checks, then writes.
-- The text carries the partition and the epoch, and only the guardian loads it: a server that restarted or took over
-- does not have it, so nothing can be appended before the guardian has looked.
-- ARGV: number of operations, then for each
--   topic, id, remember_ms, actor, origin, parent topic, n, (deadline kind, member, value) * n,
--   m, then m drafts, each by itself or in a run of samples of one agent's start:
--     action, id, expect, data, k, (unique field, value) * k
--     'samples', id, boot_id, n, (seq, data) * n
-- Returns for each {kind, position, prev, version, {index, code, detail, …}, {absent member, …}}.
local EPOCH = '@EPOCH@'
local PREFIX = 'muster:{@PARTITION@}:'
local LOG = PREFIX .. 'log'
local VERSIONS = PREFIX .. 'versions'
local DEADLINES = PREFIX .. 'deadlines'
local SAMPLES = PREFIX .. 'samples'

if redis.call('GET', PREFIX .. 'epoch') ~= EPOCH then
  return redis.error_reply('SEALED epoch ' .. EPOCH .. ' is not open')
end

if redis.call('XLEN', LOG) >= @MAX_ENTRIES@ then
  return redis.error_reply('OVERLOADED the log waits to be applied')
end

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end

local function integer(number)
  return string.format('%.0f', number)
end

-- By index, here and below, because this is most of what a call carries.
local function read_draft(action)
  local draft = {action = action, id = ARGV[at + 1], expect = ARGV[at + 2], boot = '', data = ARGV[at + 3]}
  local count = tonumber(ARGV[at + 4])
  at = at + 4
  if count > 0 then
    draft.unique = {}
    for i = 1, count do
      draft.unique[i] = {field = take(), value = take()}
    end
  end
  return draft
end

local function read_samples(drafts)
  local id, boot, count = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 3
  for place = #drafts + 1, #drafts + count do
    drafts[place] = {
      action = 'put', id = id, expect = '', boot = boot, seq = tonumber(ARGV[at + 1]), data = ARGV[at + 2],
    }
    at = at + 2
  end
end

local function read_operation()
  local op = {
    topic = take(), id = take(), remember_ms = take(), actor = take(), origin = take(), parent = take(),
    deadlines = {}, drafts = {},
  }
  for i = 1, tonumber(take()) do
    op.deadlines[i] = {kind = take(), member = take(), value = take()}
  end
  local count = tonumber(take())
  while #op.drafts < count do
    local action = take()
    if action == 'samples' then
      read_samples(op.drafts)
    else
      op.drafts[#op.drafts + 1] = read_draft(action)
    end
  end
  return op
end

-- What the drafts before this one, of the same operation, have made of the state.
local function new_overlay(op)
  return {
    state = PREFIX .. 'state:' .. op.topic,
    known = {}, has_parent = {}, last_boot = {}, last_seq = {}, holders = {}, values = {},
  }
end

-- The version of a record (0 where only its existence was asked for), or false.
local function stored_version(overlay, id, exact)
  local known = overlay.known[id]
  if known ~= nil then
    return known
  end
  if not exact then
    return redis.call('HEXISTS', overlay.state, id) == 1 and 0
  end
  local value = redis.call('HGET', overlay.state, id)
  return value and tonumber(string.match(value, '^%d+'))
end

-- Whether a record of the draft's id exists in the parent topic.
local function has_parent(overlay, op, id)
  local known = overlay.has_parent[id]
  if known == nil then
    known = redis.call('HEXISTS', PREFIX .. 'state:' .. op.parent, id) == 1
    overlay.has_parent[id] = known
  end
  return known
end

local function is_duplicate(overlay, op, draft)
  local id, seq = draft.id, draft.seq
  local boot, last = overlay.last_boot[id], overlay.last_seq[id]
  if not boot then
    local stored = redis.call('HGET', SAMPLES, op.topic .. ':' .. id)
    if stored then
      boot, last = string.match(stored, '^(%S+) (%d+)$')
      last = tonumber(last)
    end
  end
  if boot == draft.boot and seq <= last then
    return true
  end
  overlay.last_boot[id], overlay.last_seq[id] = draft.boot, seq
  return false
end

local function unique_key(op, field)
  return PREFIX .. 'unique:' .. op.topic .. ':' .. field
end

-- The field whose value another record holds, or nil; claims what is free.
local function taken_field(overlay, op, draft)
  for _, claim in ipairs(draft.unique) do
    if claim.value ~= '' then
      local name = claim.field .. ' ' .. claim.value
      local holder = overlay.holders[name]
      if holder == nil then
        holder = redis.call('HGET', unique_key(op, claim.field), claim.value)
      end
      if holder and holder ~= draft.id then
        return claim.field
      end
    end
  end
  for _, claim in ipairs(draft.unique) do
    local mine = claim.field .. ' of ' .. draft.id
    local old = overlay.values[mine]
    if old == nil then
      old = redis.call('HGET', unique_key(op, claim.field) .. ':of', draft.id)
    end
    if old then
      overlay.holders[claim.field .. ' ' .. old] = false
    end
    if claim.value ~= '' then
      overlay.holders[claim.field .. ' ' .. claim.value] = draft.id
    end
    overlay.values[mine] = claim.value ~= '' and claim.value
  end
  return nil
end

-- nil when the draft may happen, else a code and what it concerns.
local function objection(overlay, op, draft)
  if op.parent ~= '' and not has_parent(overlay, op, draft.id) then
    return 'orphan', ''
  end
  local version = stored_version(overlay, draft.id, draft.expect ~= '')
  draft.exists = version ~= false
  if draft.expect ~= '' and draft.exists and version ~= tonumber(draft.expect) then
    return 'version_conflict', integer(version)
  end
  if draft.action == 'create' and draft.exists then
    return 'already_exists', ''
  end
  if (draft.action == 'update' or draft.action == 'delete' or draft.expect ~= '') and not draft.exists then
    return 'not_found', ''
  end
  if draft.unique then
    local field = taken_field(overlay, op, draft)
    if field then
      return 'not_unique', field
    end
  end
  if draft.boot ~= '' and is_duplicate(overlay, op, draft) then
    return 'duplicate', ''
  end
  return nil
end

local function validate(op, overlay, prev)
  local accepted, failures = {}, {}
  for index, draft in ipairs(op.drafts) do
    local code, detail = objection(overlay, op, draft)
    if code then
      failures[#failures + 1] = index - 1
      failures[#failures + 1] = code
      failures[#failures + 1] = detail
      if op.id ~= '' then
        return {}, failures
      end
    else
      accepted[#accepted + 1] = draft
      overlay.known[draft.id] = draft.action ~= 'delete' and prev + #accepted
    end
  end
  return accepted, failures
end

-- Strings of Lua are hashed whole when they are made, so that each further copy of the data costs.
local function as_json(accepted)
  local pieces, n = {}, 0
  for i, draft in ipairs(accepted) do
    pieces[n + 1] = i == 1 and '[{"id":"' or ',{"id":"'
    pieces[n + 2] = draft.id
    if draft.action == 'delete' then
      pieces[n + 3] = '","action":"deleted","data":null'
      n = n + 3
    else
      pieces[n + 3] = draft.exists and '","action":"updated","data":' or '","action":"created","data":'
      pieces[n + 4] = draft.data
      n = n + 4
    end
    pieces[n + 1] = '}'
    n = n + 1
  end
  pieces[n + 1] = ']'
  return table.concat(pieces)
end

local function write_uniques(op, draft)
  for _, claim in ipairs(draft.unique) do
    local key = unique_key(op, claim.field)
    local old = redis.call('HGET', key .. ':of', draft.id)
    if old then
      redis.call('HDEL', key, old)
      redis.call('HDEL', key .. ':of', draft.id)
    end
    if claim.value ~= '' then
      redis.call('HSET', key, claim.value, draft.id)
      redis.call('HSET', key .. ':of', draft.id, claim.value)
    end
  end
end

-- HSET of many pairs, in slices that fit on Lua's stack.
local function set_fields(key, pairs_flat)
  for first = 1, #pairs_flat, 2000 do
    redis.call('HSET', key, unpack(pairs_flat, first, math.min(first + 1999, #pairs_flat)))
  end
end

local function write(op, overlay, accepted, prev)
  local last = {}
  for i, draft in ipairs(accepted) do
    last[draft.id] = i
  end
  local version = integer(prev + #accepted)
  local fields = {'topic', op.topic, 'prev', integer(prev), 'version', version, 'at', integer(now_ms),
    'actor', op.actor, 'op', op.id, 'changes', as_json(accepted)}
  if op.origin ~= '' then
    fields[#fields + 1] = 'origin'
    fields[#fields + 1] = op.origin
  end
  local position = redis.call('XADD', LOG, EPOCH .. '-*', unpack(fields))
  redis.call('HSET', VERSIONS, op.topic, version)
  local state = {}
  for i, draft in ipairs(accepted) do
    if draft.unique then
      write_uniques(op, draft)
    end
    if last[draft.id] == i then
      if draft.action == 'delete' then
        redis.call('HDEL', overlay.state, draft.id)
        redis.call('HDEL', SAMPLES, op.topic .. ':' .. draft.id)
        overlay.last_boot[draft.id] = nil
      else
        state[#state + 1] = draft.id
        state[#state + 1] = integer(prev + i) .. ' ' .. draft.data
      end
    end
  end
  set_fields(overlay.state, state)
  local samples = {}
  for id, boot in pairs(overlay.last_boot) do
    samples[#samples + 1] = op.topic .. ':' .. id
    samples[#samples + 1] = boot .. ' ' .. integer(overlay.last_seq[id])
  end
  set_fields(SAMPLES, samples)
  if op.id ~= '' then
    redis.call('SET', PREFIX .. 'op:' .. op.id, position .. ' ' .. integer(prev) .. ' ' .. version .. ' ' .. EPOCH, 'PX', op.remember_ms)
  end
  return position, version
end

local function is_due(op)
  for _, deadline in ipairs(op.deadlines) do
    if deadline.kind == 'expire' then
      local score = redis.call('ZSCORE', DEADLINES, deadline.member)
      if not score or tonumber(score) ~= tonumber(deadline.value) or tonumber(score) > now_ms then
        return false
      end
    end
  end
  return true
end

-- Moves a deadline that is set; says whether it was.
local function touch(member, score)
  -- the answer 0 may also mean that it is moved by nothing
  return redis.call('ZADD', DEADLINES, 'XX', 'CH', score, member) == 1 or redis.call('ZSCORE', DEADLINES, member)
end

local function move_deadlines(op)
  local absent = {}
  for _, deadline in ipairs(op.deadlines) do
    local kind, member = deadline.kind, deadline.member
    if kind == 'drop' or kind == 'expire' then
      redis.call('ZREM', DEADLINES, member)
    else
      local score = integer(now_ms + tonumber(deadline.value))
      if kind == 'arm' then
        redis.call('ZADD', DEADLINES, score, member)
      elseif not touch(member, score) then
        absent[#absent + 1] = member
      end
    end
  end
  return absent
end

local function run(op)
  if op.id ~= '' then
    local first = redis.call('GET', PREFIX .. 'op:' .. op.id)
    if first then
      -- a result that this epoch does not vouch for was lost before it was applied
      local position, prev, version, epoch = string.match(first, '^(%S+) (%d+) (%d+) (%d+)$')
      if epoch == EPOCH then
        return {'repeated', position, prev, version, {}, {}}
      end
    end
  end
  if not is_due(op) then
    return {'rejected', '', '0', '0', {0, 'not_due', ''}, {}}
  end
  local prev = tonumber(redis.call('HGET', VERSIONS, op.topic) or '0')
  local overlay = new_overlay(op)
  local accepted, failures = validate(op, overlay, prev)
  if op.id ~= '' and #failures > 0 then
    return {'rejected', '', '0', '0', failures, {}}
  end
  local position, version = '', integer(prev)
  if #accepted > 0 then
    position, version = write(op, overlay, accepted, prev)
  end
  return {'appended', position, integer(prev), version, failures, move_deadlines(op)}
end

local results = {}
for i = 1, tonumber(take()) do
  results[i] = run(read_operation())
end
return results

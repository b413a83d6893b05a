-- Appends operations to the log of one partition: first checks, then writes.
-- The text carries the partition and the epoch, and only the guardian loads it: a server that restarted or took over
-- does not have it, so nothing can be appended before the guardian has looked.
-- ARGV: number of operations, then for each
--   topic, id, remember_ms, actor, origin, parent topic, begun start, n, (deadline kind, member, value) * n,
--   m, then m drafts, each by itself or in a run of samples of one agent's start:
--     action, id, expect, data, k, (unique field, value) * k
--     'samples', id, boot_id, n, (seq, data) * n
-- A begun start is `<topic>:<id> <boot_id>`, empty where an operation is none.
-- Returns for each {kind, position, prev, version, {index, code, detail, …}, {absent member, …}}.
local EPOCH = '@EPOCH@'
local PREFIX = 'muster:{@PARTITION@}:'
local LOG = PREFIX .. 'log'
local VERSIONS = PREFIX .. 'versions'
local DEADLINES = PREFIX .. 'deadlines'
local SAMPLES = PREFIX .. 'samples'
local MOST_STARTS = 8
local MOST_RANGES = 32

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
  local draft = {action = action, id = ARGV[at + 1], expect = ARGV[at + 2], data = ARGV[at + 3]}
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
    start = take(), deadlines = {}, drafts = {},
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
    known = {}, has_parent = {}, windows = {}, latest = {}, holders = {}, values = {},
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

-- Which samples of a server were taken in, by starts of its agent, the latest one first:
--   `boot first-last,first-last;boot first-last`
-- The start that the last handshake has begun is marked with `!`, those that earlier ones have with `~`. The guardian restores windows from what the log says of them.
local function parse_window(text)
  local window = {}
  for mark, boot, listed in string.gmatch(text, '([!~]?)([%w_-]+) ([^;]*)') do
    local ranges = {}
    for first, last in string.gmatch(listed, '(%d+)-(%d+)') do
      ranges[#ranges + 1] = {tonumber(first), tonumber(last)}
    end
    window[#window + 1] = {boot = boot, begun = mark == '!', is_over = mark == '~', ranges = ranges}
  end
  return window
end

local function format_window(window)
  local starts = {}
  for i, start in ipairs(window) do
    local ranges = {}
    for k, range in ipairs(start.ranges) do
      ranges[k] = integer(range[1]) .. '-' .. integer(range[2])
    end
    starts[i] = (start.begun and '!' or start.is_over and '~' or '') .. start.boot .. ' ' .. table.concat(ranges, ',')
  end
  return table.concat(starts, ';')
end

-- A window in which only the last number of the first start is known, where that is all that is needed: for an agent
-- whose samples come in order, the rest would be taken apart and put together again for nothing.
local function fold_window(text)
  local _, to, mark, boot, last = string.find(text, '^([!~]?)([%w_-]+) [%d,-]*%-(%d+)')
  if not to then
    return nil
  end
  return {
    boot = boot, head = string.sub(text, 1, to - #last), last = tonumber(last), rest = string.sub(text, to + 1),
    leads = mark == '!' or not string.find(text, '!', 1, true),
  }
end

local function text_of(window)
  if window.head then
    return window.head .. integer(window.last) .. window.rest
  end
  return format_window(window)
end

local function folded_window_of(overlay, op, id)
  local window = overlay.windows[id]
  if not window then
    local text = redis.call('HGET', SAMPLES, op.topic .. ':' .. id) or ''
    window = fold_window(text) or parse_window(text)
    overlay.windows[id] = window
  end
  return window
end

local function window_of(overlay, op, id)
  local window = folded_window_of(overlay, op, id)
  if window.head then
    window = parse_window(text_of(window))
    overlay.windows[id] = window
  end
  return window
end

local function find_start(window, boot)
  for i, start in ipairs(window) do
    if start.boot == boot then
      return start, i
    end
  end
end

-- The start whose samples are the latest, whatever their clock says.
local function leading_start(window)
  for _, start in ipairs(window) do
    if start.begun then
      return start
    end
  end
  return window[1]
end

local function time_of(data)
  -- to the second: of less, the texts would have to be of one length
  local ts = data and string.match(data, [[^{%s*"ts"%s*:%s*"([^"]+)"]])
  return ts and string.sub(ts, 1, 19)
end

-- Whether a sample is older by its own clock than the record that stands.
local function is_older(overlay, draft)
  local latest = overlay.latest[draft.id]
  if latest == nil then
    local value = redis.call('HGET', overlay.state, draft.id)
    latest = value and string.match(value, '^%d+ (.*)$')
    overlay.latest[draft.id] = latest
  end
  local then_s, now_s = time_of(latest), time_of(draft.data)
  return then_s and now_s and now_s < then_s
end

local function contains(ranges, seq)
  for i = #ranges, 1, -1 do
    if seq >= ranges[i][1] then
      return seq <= ranges[i][2]
    end
  end
  return false
end

-- 'duplicate', 'late' (for history alone) or 'latest', or 'next' when it follows the latest and is noted already.
local function standing_of(overlay, op, draft)
  if draft.boot == '' then
    return is_older(overlay, draft) and 'late' or 'latest'
  end
  local folded = folded_window_of(overlay, op, draft.id)
  if folded.leads and folded.boot == draft.boot and folded.last + 1 == draft.seq then
    folded.last = draft.seq
    return 'next'
  end
  local window = window_of(overlay, op, draft.id)
  local start, lead = find_start(window, draft.boot), leading_start(window)
  if start and #start.ranges > 0 and draft.seq <= start.ranges[#start.ranges][2] then
    return contains(start.ranges, draft.seq) and 'duplicate' or 'late'
  end
  if not lead or start == lead then
    return 'latest'
  end
  if start and start.is_over then
    return 'late'
  end
  return is_older(overlay, draft) and 'late' or 'latest'
end

-- Adds a number that no range contains. Beyond so many ranges the lowest hole is given up: samples that were missed
-- come in ascending order, so that those below it have come, or never will.
local function add_number(ranges, seq)
  local i = #ranges
  while i > 0 and ranges[i][1] > seq do
    i = i - 1
  end
  local below, above = ranges[i], ranges[i + 1]
  local joins_below, joins_above = below and below[2] + 1 == seq, above and above[1] - 1 == seq
  if joins_below and joins_above then
    below[2] = above[2]
    table.remove(ranges, i + 1)
  elseif joins_below then
    below[2] = seq
  elseif joins_above then
    above[1] = seq
  else
    table.insert(ranges, i + 1, {seq, seq})
  end
  if #ranges > MOST_RANGES then
    ranges[1][2] = ranges[2][2]
    table.remove(ranges, 2)
  end
end

-- Puts a start where those that are heard are kept: the one with the latest sample first, others behind it.
local function move_start(window, start, from, to)
  if from and from <= to then
    return
  end
  if from then
    table.remove(window, from)
  end
  table.insert(window, math.min(to, #window + 1), start)
  if #window > MOST_STARTS then
    local oldest = #window
    if window[oldest].begun then
      oldest = oldest - 1
    end
    table.remove(window, oldest)
  end
end

local function note_sample(overlay, op, draft, standing)
  if draft.boot ~= '' and standing ~= 'next' then
    local window = window_of(overlay, op, draft.id)
    local start, from = find_start(window, draft.boot)
    start = start or {boot = draft.boot, begun = false, ranges = {}}
    move_start(window, start, from, standing == 'latest' and 1 or 2)
    add_number(start.ranges, draft.seq)
  end
  if standing ~= 'late' then
    overlay.latest[draft.id] = draft.data
  end
end

-- Notes that an agent has shaken hands: what it measures from now on is the latest, whatever its clock says.
local function begin_start(begun)
  local name, boot = string.match(begun, '^(%S+) (%S+)$')
  local window = parse_window(redis.call('HGET', SAMPLES, name) or '')
  local start, from = find_start(window, boot)
  if start and start.begun and from == 1 then
    return
  end
  for _, other in ipairs(window) do
    other.begun, other.is_over = false, other.begun or other.is_over
  end
  start = start or {boot = boot, ranges = {}}
  start.begun, start.is_over = true, false
  move_start(window, start, from, 1)
  redis.call('HSET', SAMPLES, name, format_window(window))
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
  if draft.boot then
    draft.standing = standing_of(overlay, op, draft)
    if draft.standing == 'duplicate' then
      return 'duplicate', ''
    end
    note_sample(overlay, op, draft, draft.standing)
  end
  return nil
end

local function validate(op, overlay, prev)
  local accepted, late, failures = {}, {}, {}
  for index, draft in ipairs(op.drafts) do
    local code, detail = objection(overlay, op, draft)
    if code then
      failures[#failures + 1] = index - 1
      failures[#failures + 1] = code
      failures[#failures + 1] = detail
      if op.id ~= '' then
        return {}, {}, failures
      end
    elseif draft.standing == 'late' then
      late[#late + 1] = draft
    else
      accepted[#accepted + 1] = draft
      overlay.known[draft.id] = draft.action ~= 'delete' and prev + #accepted
    end
  end
  return accepted, late, failures
end

-- Strings of Lua are hashed whole when they are made, so that each further copy of the data costs.
local function as_json(accepted)
  if #accepted == 0 then
    return '[]'
  end
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

-- The windows of the servers whose samples were taken in, as a JSON object, and as fields of the hash.
local function windows_as(op, overlay)
  local pieces, fields = {}, {}
  for id, window in pairs(overlay.windows) do
    local text = text_of(window)
    pieces[#pieces + 1] = '"' .. id .. '":"' .. text .. '"'
    fields[#fields + 1] = op.topic .. ':' .. id
    fields[#fields + 1] = text
  end
  return '{' .. table.concat(pieces, ',') .. '}', fields
end

local function write(op, overlay, accepted, late, prev)
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
  if #late > 0 then
    fields[#fields + 1] = 'late'
    fields[#fields + 1] = as_json(late)
  end
  local samples = {}
  if next(overlay.windows) then
    local windows
    windows, samples = windows_as(op, overlay)
    fields[#fields + 1] = 'windows'
    fields[#fields + 1] = windows
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
      else
        state[#state + 1] = draft.id
        state[#state + 1] = integer(prev + i) .. ' ' .. draft.data
      end
    end
  end
  set_fields(overlay.state, state)
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
  local accepted, late, failures = validate(op, overlay, prev)
  if op.id ~= '' and #failures > 0 then
    return {'rejected', '', '0', '0', failures, {}}
  end
  local position, version = '', integer(prev)
  if #accepted + #late > 0 then
    position, version = write(op, overlay, accepted, late, prev)
  end
  if op.start ~= '' then
    begin_start(op.start)
  end
  return {'appended', position, integer(prev), version, failures, move_deadlines(op)}
end

local results = {}
for i = 1, tonumber(take()) do
  results[i] = run(read_operation())
end
return results

-- One step of one limit: the generic cell rate algorithm, and a wait that doubles for whoever goes on past the limit.
-- One key and the server's own clock: atomic for all nodes, in a Redis cluster too.
--
-- KEYS[1]  the limit of one subject: "<time at which all is given back> <strikes> <shut until>", in microseconds
-- ARGV     microseconds after which one more is given, most at once, first wait (0: none), longest wait
-- answers  admitted (1 or 0), how many are left, microseconds to wait, microseconds until all is given back
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local period, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local first, longest = tonumber(ARGV[3]), tonumber(ARGV[4])
local whole = period * most

local full_at, strikes, shut_until = now, 0, 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local a, b, c = string.match(kept, '^(%d+) (%d+) (%d+)$')
  if a then
    full_at, strikes, shut_until = tonumber(a), tonumber(b), tonumber(c)
  end
end
-- a clock that went back shuts nobody out for longer than the limit itself would
full_at = math.max(now, math.min(full_at, now + whole))
shut_until = math.min(shut_until, now + longest)
if now > shut_until + longest then
  strikes = 0
end

local function keep()
  local until_us = full_at
  if strikes > 0 then
    until_us = math.max(until_us, shut_until + longest)
  end
  local ms = math.max(1, math.ceil((until_us - now) / 1000))
  local text = string.format('%.0f %.0f %.0f', full_at, strikes, shut_until)
  redis.call('SET', KEYS[1], text, 'PX', string.format('%.0f', ms))
end

if shut_until > now then
  return { 0, 0, shut_until - now, full_at - now }
end
local wait = full_at + period - whole - now
if wait <= 0 then
  full_at = full_at + period
  keep()
  return { 1, math.floor((whole - (full_at - now)) / period), 0, full_at - now }
end
if first > 0 then
  strikes = strikes + 1
  wait = math.max(wait, math.min(first * 2 ^ math.min(strikes - 1, 30), longest))
  shut_until = now + wait
  keep()
end
return { 0, 0, math.ceil(wait), full_at - now }

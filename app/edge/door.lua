-- What the door passes on of a request, and what it says of its sender. Everything else that a client sent ends here:
-- Restate writes down what it receives.

local PASSED = {
  ["content-type"] = true,
  ["content-length"] = true,
  ["idempotency-key"] = true,
  ["traceparent"] = true,
  ["webhook-signature"] = true,
}
local ALGORITHMS = { RS256 = true, ES256 = true, EdDSA = true }
local MAX_IDEMPOTENCY_KEY = 256
local NOT_ACCEPTED = '{"code":503,"message":"nothing was accepted: Restate does not know this handler now; ask again",'
  .. '"metadata":{"reason":"unavailable"},"source":"edge"}'

local function refuse(handle, status, message)
  handle:respond({ [":status"] = status }, message)
end

-- A claim by its name, or else by a path of names with dots between them.
local function claim(payload, name)
  if payload[name] ~= nil then
    return payload[name]
  end
  local found = payload
  for part in string.gmatch(name, "[^.]+") do
    if type(found) ~= "table" then
      return nil
    end
    found = found[part]
  end
  return found
end

-- The roles of ours that a claim names: a list, or a text with blanks or commas between them.
local function roles(named)
  local words = {}
  if type(named) == "string" then
    for word in string.gmatch(named, "[^%s,]+") do
      words[word] = true
    end
  elseif type(named) == "table" then
    for _, word in pairs(named) do
      words[word] = true
    end
  end
  local known = {}
  for _, role in ipairs(ROLES) do
    if words[role] then
      known[#known + 1] = role
    end
  end
  return table.concat(known, ",")
end

local function strip(headers)
  local gone = {}
  for name, _ in pairs(headers) do
    if string.sub(name, 1, 1) ~= ":" and not PASSED[name] then
      gone[#gone + 1] = name
    end
  end
  for _, name in ipairs(gone) do
    headers:remove(name)
  end
end

-- The value of a header that may be there once; false where it is there more than once.
local function once(headers, name)
  if headers:getNumValues(name) > 1 then
    return false
  end
  return headers:get(name)
end

-- What is wrong with a body's announcement, or nil. A web page of another site can send anything but JSON unasked.
local function wrong_content(headers)
  local length, kind = once(headers, "content-length"), once(headers, "content-type")
  if length == false or kind == false then
    return "content-type and content-length: can be given once"
  end
  if length and length ~= "0" and not string.match(length, "^[1-9]%d*$") then
    return "content-length: must be a number" -- others after us may read 010 as eight
  end
  if length == nil or length == "0" then
    headers:remove("content-type") -- Restate refuses one without a body
    return nil
  end
  local media = string.match(string.lower(kind or ""), "^%s*([^;%s]*)")
  if media ~= "application/json" then
    return "content-type: must be application/json"
  end
  headers:replace("content-type", "application/json") -- Restate takes neither capitals nor blanks in it
end

-- Whether a token is for us: in these very words. Envoy takes "https://betting/" for "betting".
local function is_for_us(audiences)
  if type(audiences) ~= "table" then
    return audiences == AUDIENCE
  end
  for _, one in pairs(audiences) do
    if one == AUDIENCE then
      return true
    end
  end
  return false
end

-- Who signed in, as the verified token says; the reason why it is not taken as the second value.
local function signed_in(handle)
  local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  if verified == nil then
    return nil
  end
  local token, payload = verified["header"], verified["payload"]
  if token == nil or payload == nil then
    return nil, "the token cannot be read"
  end
  if not ALGORITHMS[token["alg"]] then
    return nil, "the token must be signed with RS256, ES256 or EdDSA"
  end
  if token["crit"] ~= nil then
    return nil, "the token must have no critical extensions"
  end
  if not is_for_us(payload["aud"]) then
    return nil, "the token is for another audience"
  end
  local subject = payload["sub"]
  if type(subject) ~= "string" or not string.match(subject, "^[%w._:@-]+$") or #subject > 64 or string.match(subject, "^%.%.?$") then
    return nil, "the token's subject must be 1 to 64 of the characters A-Z a-z 0-9 . _ : @ -, and not . or .."
  end
  return payload
end

-- An idempotency key is its user's own: by another's, nobody gets that answer.
local function scope_idempotency(headers, subject)
  local key = once(headers, "idempotency-key")
  headers:remove("idempotency-key")
  if key == false or (key and (#key > MAX_IDEMPOTENCY_KEY or string.find(key, "[^ -~]"))) then
    return "idempotency-key: can be given once, with up to " .. MAX_IDEMPOTENCY_KEY .. " characters of ASCII"
  end
  if key and key ~= "" and subject then
    headers:add("idempotency-key", subject .. "/" .. key)
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  strip(headers)
  local payload, unfit = signed_in(handle)
  if unfit then
    return refuse(handle, "401", unfit)
  end
  local subject = payload and payload["sub"]
  local wrong = wrong_content(headers) or scope_idempotency(headers, subject)
  if wrong then
    return refuse(handle, "400", wrong)
  end
  local trace = once(headers, "traceparent")
  if not trace or #trace ~= 55 or not string.match(trace, "^%x%x%-%x+%-%x+%-%x%x$") then
    headers:remove("traceparent")
  end
  if subject then
    headers:add("x-betting-user", subject)
    headers:add("x-betting-roles", roles(claim(payload, ROLES_CLAIM)))
    -- The handler's time, which it would have to write into its journal otherwise.
    headers:add("x-betting-received-at", string.format("%.0f", handle:timestamp(EnvoyTimestampResolution.MILLISECOND)))
  end
end

-- Restate's own 404, not a handler's: this node does not know yet, or not any more, what is asked for. The address is one
-- of ours, and nothing was accepted, so it is no "not found" but an outage that passes.
function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get(":status") ~= "404" or headers:get("x-restate-error-source") ~= "ingress" then
    return
  end
  headers:replace(":status", "503")
  headers:remove("x-restate-error-source")
  headers:add("retry-after", "1")
  handle:body(true):setBytes(NOT_ACCEPTED)
end

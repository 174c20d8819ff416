-- A route of Envoy Gateway looks at the path alone; a query, which may be a delay, is not for Restate. Nor is the host
-- that was asked: a route that replaces it would pass the client's on beside it, as x-forwarded-host.

function envoy_on_request(handle)
  local headers = handle:headers()
  if string.find(headers:get(":path"), "[?#]") then
    return handle:respond({ [":status"] = "404" }, "not found")
  end
  headers:replace(":authority", "restate")
end

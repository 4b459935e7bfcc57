-- The kinds of postroom.dev report in the form of kstatus: Ready, and, only while True, Reconciling and
-- Stalled. What waits for its first success is Reconciling; what was Ready and broke is not. Ready counts
-- where it is about the spec of now, and nothing here takes a field for granted.
local hs = {status = "Progressing", message = "Waiting for the operator"}
local function fields(value)
  if type(value) == "table" then
    return value
  end
  return {}
end
local spec, status = fields(obj.spec), fields(obj.status)
local generation = fields(obj.metadata).generation
if spec.suspend == true then
  hs.status = "Suspended"
  hs.message = "spec.suspend is true"
  return hs
end
if spec.connection == "Disconnected" then
  hs.status = "Suspended"
  hs.message = "spec.connection is Disconnected"
  return hs
end
if generation == nil or status.observedGeneration ~= generation then
  return hs
end
local conditions = {}
-- ipairs would end at the first hole, and hide what comes after it.
for _, condition in pairs(fields(status.conditions)) do
  local name = fields(condition).type
  if name ~= nil then
    if conditions[name] ~= nil then
      hs.message = "status has two conditions of one type"
      return hs
    end
    conditions[name] = condition
  end
end
local function is(name, value)
  return fields(conditions[name]).status == value
end
local ready = fields(conditions["Ready"])
local current = ready.observedGeneration == generation
if current and type(ready.message) == "string" then
  hs.message = ready.message
end
if is("Stalled", "True") then
  hs.status = "Degraded"
elseif is("Reconciling", "True") then
  hs.status = "Progressing"
elseif current and is("Ready", "True") then
  hs.status = "Healthy"
elseif current and is("Ready", "False") then
  hs.status = "Degraded"
end
return hs

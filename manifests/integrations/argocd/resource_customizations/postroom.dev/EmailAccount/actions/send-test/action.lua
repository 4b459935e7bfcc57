-- Asks for one test message; status.lastTest answers under this value as its nonce.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["postroom.dev/send-test"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj

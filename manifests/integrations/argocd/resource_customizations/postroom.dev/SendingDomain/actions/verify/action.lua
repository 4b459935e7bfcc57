-- Asks for one check now; status.lastHandledReconcileAt answers with the same value.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["postroom.dev/requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj

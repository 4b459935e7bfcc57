-- While it is suspended or disconnected nothing is checked and nothing is sent. Only a mailbox that is
-- read can be synced.
local suspended = obj.spec.suspend == true
local atRest = suspended or obj.spec.connection == "Disconnected"
local reads = obj.spec.imap ~= nil or obj.spec.provider ~= nil
return {
  ["verify"] = {["disabled"] = atRest},
  ["sync"] = {["disabled"] = atRest or not reads},
  ["send-test"] = {["disabled"] = atRest, ["displayName"] = "Send a test message"},
  ["suspend"] = {["disabled"] = suspended},
  ["resume"] = {["disabled"] = not suspended}
}

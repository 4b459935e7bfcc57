-- While it is suspended nothing is checked, so there is nothing to ask for.
local suspended = obj.spec.suspend == true
return {
  ["verify"] = {["disabled"] = suspended},
  ["suspend"] = {["disabled"] = suspended},
  ["resume"] = {["disabled"] = not suspended}
}

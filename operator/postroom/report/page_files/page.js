"use strict";
// Copies what stands before a button. Without this the buttons stay hidden, and a click selects the value.
(() => {
  const said = document.getElementById("said");
  // Works in pages without TLS, too, where there is no navigator.clipboard.
  const byEvent = (text) => {
    const fill = (event) => {
      event.clipboardData.setData("text/plain", text);
      event.preventDefault();
    };
    document.addEventListener("copy", fill, { once: true });
    const done = document.execCommand("copy");
    document.removeEventListener("copy", fill);
    return done;
  };
  const copy = async (text) => {
    if (byEvent(text)) return true;
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  };
  const press = async (button) => {
    const value = button.previousElementSibling;
    const done = await copy(value.textContent);
    if (!done) window.getSelection().selectAllChildren(value);
    button.textContent = done ? "Copied" : "Selected";
    said.textContent = done ? "Copied." : "Selected: copy it with the keyboard.";
    button.classList.add("done");
    setTimeout(() => {
      button.textContent = "Copy";
      button.classList.remove("done");
      said.textContent = "";
    }, 2000);
  };
  // A fragment may be of an object on another page of the list: the server knows on which.
  const there = () => {
    const name = location.hash.slice(1);
    const asked = new URLSearchParams(location.search);
    if (!name || !document.querySelector("form.filter") || document.getElementById(name)) return;
    if (asked.has("object") || name.split("/").length !== 3) return;
    location.replace(`?object=${encodeURIComponent(name)}#${name}`);
  };
  addEventListener("hashchange", there);
  there();
  for (const button of document.querySelectorAll(".copy > button")) button.hidden = false;
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy > button");
    if (button) press(button);
  });
})();

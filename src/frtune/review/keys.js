() => {
  if (window.frtuneReviewKeys) return;
  window.frtuneReviewKeys = true;
  const buttons = { k: "keep", c: "change", d: "drop", n: "next_row", p: "back", s: "save" };
  document.addEventListener("keydown", event => {
    if (event.target.closest?.("textarea, input, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) document.getElementById("change").click();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    // a Korean layout gives a Hangul letter: the key itself says which one it is
    const letter = (/^[a-z]$/i.test(event.key) ? event.key : event.code.slice(3)).toLowerCase();
    const target = letter === "e"
      ? document.querySelector("#new_label textarea, #new_label input")
      : buttons[letter] && document.getElementById(buttons[letter]);
    if (!target || target.offsetParent === null) return;
    event.preventDefault();
    if (letter === "e") { target.focus(); target.select(); } else target.click();
  });
}

// What every page does in the browser. It stands before Gradio's scripts.

// Gradio's own words in the language of ours
for (const [name, value] of [["language", window.frtuneLanguage], ["languages", [window.frtuneLanguage]]])
  Object.defineProperty(navigator, name, { get: () => value });

// answers and messages are read out when they come; what Gradio does not say in the page's language is translated
const frtuneLive = "#answer, #answer2, #message, #progress, .frtune-live", frtuneTexts = ["aria-label", "title", "placeholder"];
// Gradio's messages, what it tells screen readers, and its box for files
const frtuneSaid = "[data-testid=toast-body], .sr-only[role=status], :has(> .or)";
// what is wrong, and where one is, come into view
const frtuneNews = "#message .frtune-error, #answer .frtune-error, #progress .frtune-note";
new MutationObserver(changes => {
  for (const part of document.querySelectorAll(frtuneLive))
    if (!part.hasAttribute("aria-live")) part.setAttribute("aria-live", "polite");
  for (const name of frtuneTexts)
    for (const part of document.querySelectorAll(`[${name}]`)) {
      const text = window.frtuneWords[part.getAttribute(name)];
      if (text) part.setAttribute(name, text);
    }
  for (const input of document.querySelectorAll("label > input[title]"))
    input.removeAttribute("title");  // the number of a phrase, which its label names
  for (const part of document.querySelectorAll(frtuneSaid)) {
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const said = texts.currentNode.data.trim();
      const [pattern, form] = window.frtunePatterns.map(([p, f]) => [new RegExp(p), f])
        .find(([p]) => p.test(said)) ?? [said, window.frtuneWords[said]];
      if (form) texts.currentNode.data = texts.currentNode.data.replace(said, () => said.replace(pattern, form));
    }
  }
  const news = changes.flatMap(({ target, addedNodes }) => [
    (target.closest ? target : target.parentElement)?.closest(frtuneNews),
    ...[...addedNodes].map(node => node.matches?.(frtuneNews) ? node : node.querySelector?.(frtuneNews)),
  ]);
  new Set(news).forEach(part => part?.scrollIntoView({ block: "nearest" }));
}).observe(document, {
  childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: frtuneTexts,
});

const frtuneShown = part => part && part.offsetParent !== null && !part.disabled;

// the arrows go from tab to tab
document.addEventListener("keydown", event => {
  const tab = event.target.closest?.("[role=tab]"), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!tab || !step) return;
  const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")].filter(frtuneShown);
  const next = tabs.at((tabs.indexOf(tab) + step) % tabs.length);
  event.preventDefault();
  next.focus();
  next.click();
});

// a menu closes when the focus leaves it: Gradio leaves it open over what follows
document.addEventListener("focusout", event => {
  const menu = event.target.closest?.("[role=combobox]");
  if (menu) setTimeout(() => {
    if (menu !== document.activeElement && menu.getAttribute("aria-expanded") === "true")
      menu.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  }, 200);
});

// Ctrl+Enter runs; the digits grade
document.addEventListener("keydown", event => {
  if (event.defaultPrevented) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const button = ["#run", "#run_file", "#start", "#next", "#write"]
      .map(name => document.querySelector(name)).find(frtuneShown);
    if (button) { event.preventDefault(); button.click(); }
    return;
  }
  const typing = event.target.closest?.("textarea, [contenteditable], input:not([type=radio]):not([type=checkbox])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return;
  const scales = [...document.querySelectorAll("[id^=grade], #best")].filter(frtuneShown);
  const scale = scales.find(each => !each.querySelector("input:checked"))
    ?? scales.find(each => each.contains(document.activeElement)) ?? scales[0];
  const choices = [...(scale?.querySelectorAll("input[type=radio]") ?? [])], digit = Number(event.key);
  const choice = scale?.id === "best" ? choices.at(digit - 1)  // 0: the last one, no difference
    : choices.find(each => Number(each.value) === digit);
  if (choice) { event.preventDefault(); choice.click(); }
});

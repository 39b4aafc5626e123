(function () {
  var root = document.documentElement, button = document.getElementById("theme"), key = "liftgate-theme";
  function kept() { try { return localStorage.getItem(key); } catch (_) { return null; } }
  function isDark() { return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark"; }
  function label() { button.textContent = isDark() ? "Light" : "Dark"; button.setAttribute("aria-label", isDark() ? "Show in light colours" : "Show in dark colours"); }
  if (kept() === "light" || kept() === "dark") { root.dataset.theme = kept(); }
  button.hidden = false;
  label();
  button.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem(key, root.dataset.theme); } catch (_) { /* a file page may not keep anything */ }
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
})();

// The page of findings: a reason written beside a finding becomes an --ignore of the next check.
const shell = text => "'" + text.replaceAll("'", "'\\''") + "'";
const show = () => {
  const given = [...document.querySelectorAll("[data-reject]")].filter(one => one.value.trim());
  const flags = given.map(one => "--ignore " + shell(one.dataset.reject + "=" + one.value.trim()));
  const keys = given.map(one => "  " + one.dataset.reject + ": " + JSON.stringify(one.value.trim()));
  const out = document.getElementById("rejected");
  out.textContent = given.length ? [out.dataset.command, ...flags].join(" ") + "\n\nignore:\n" + keys.join("\n") : "nothing yet";
};
document.querySelectorAll("[data-reject]").forEach(one => one.addEventListener("input", show));

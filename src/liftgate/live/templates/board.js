(function () {
  var link = document.getElementById("link"), main = document.querySelector("main");
  function opened(part) { return Array.from(part.querySelectorAll("details[open]")).map(function (d) { return d.dataset.key; }); }
  function take(parts) {
    if (parts.length) { main.querySelectorAll(":scope > p").forEach(function (none) { none.remove(); }); }
    parts.forEach(function (one) {
      var part = document.getElementById(one.id);
      if (!part) {
        part = document.createElement("section");
        part.className = "part";
        part.id = one.id;
        main.append(part);
      }
      if (part.dataset.hash === one.hash) { return; }
      var open = opened(part);
      part.dataset.hash = one.hash;
      part.innerHTML = one.html;
      part.querySelectorAll("details").forEach(function (d) { d.open = open.indexOf(d.dataset.key) >= 0; });
    });
  }
  var source = new EventSource("events");
  source.onopen = function () { link.textContent = "live"; };
  source.onerror = function () { link.textContent = "not connected: the board has ended, or the tunnel is closed; it tries again"; };
  source.addEventListener("parts", function (event) {
    take(JSON.parse(event.data));
    link.textContent = "live, last change " + new Date().toLocaleTimeString();
  });
})();

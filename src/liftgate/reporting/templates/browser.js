(function () {
  var box = document.querySelector(".browser"), source = document.querySelector(".browser-data");
  if (!box || !source) { return; }
  var images = JSON.parse(source.textContent), shown = [], at = 0, withTruth = true;
  var form = box.querySelector("form"), thumbs = box.querySelector(".thumbs"), out = box.querySelector("output"), dialog = box.querySelector("dialog");
  var panels = dialog.querySelector(".panels"), SVG = box.querySelector("svg").namespaceURI;
  function unique(values) { return Array.from(new Set(values.flat())).filter(Boolean).sort(); }
  function fill(name, values) {
    var select = form.elements[name];
    values.forEach(function (value) { select.append(new Option(value, value)); });
    if (values.length < 2) { select.closest("label").hidden = true; }
  }
  fill("class", unique(images.map(function (i) { return i.classes; })));
  fill("group", unique(images.map(function (i) { return i.group || ""; })));
  fill("kind", unique(images.map(function (i) { return i.kinds; })).concat(images.some(function (i) { return !i.kinds.length; }) ? ["no error"] : []));
  fill("change", unique(images.map(function (i) { return i.change; })));
  if (!images.some(function (i) { return i.random; })) { form.elements.random.closest("label").hidden = true; }
  function node(parent, name, values) {
    var made = document.createElementNS(SVG, name);
    Object.keys(values).forEach(function (key) { made.setAttribute(key, values[key]); });
    parent.append(made);
    return made;
  }
  function draw(image, boxes, label) {
    var svg = document.createElementNS(SVG, "svg"), size = image.width / 32;
    svg.setAttribute("viewBox", "0 0 " + image.width + " " + image.height);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", image.name + ", " + label);
    if (image.jpeg) { node(svg, "image", {href: image.jpeg, width: image.width, height: image.height, preserveAspectRatio: "none"}); }
    function rows(list, kind) {
      list.forEach(function (b) {
        var d = "M" + b.xyxy[0] + " " + b.xyxy[1] + "H" + b.xyxy[2] + "V" + b.xyxy[3] + "H" + b.xyxy[0] + "z";
        node(svg, "path", {"class": "case", d: d});
        node(svg, "path", {"class": kind, d: d});
        b.points.forEach(function (p) { node(svg, "circle", {"class": kind + "-point", cx: p[0], cy: p[1], r: image.width / 160}); });
        var below = kind === "guess", word = node(svg, "text", {"class": below ? "tg" : "tt", x: b.xyxy[0], y: below ? Math.min(b.xyxy[3] + size, image.height - size / 4) : Math.max(b.xyxy[1] - size / 4, size), "font-size": size, "stroke-width": size / 5});
        word.textContent = b.label + (b.score === null ? "" : " " + b.score.toFixed(2));
      });
    }
    if (withTruth) { rows(image.truth, "truth"); }
    rows(boxes, "guess");
    return svg;
  }
  function open(number) {
    at = (number + shown.length) % shown.length;
    var image = shown[at];
    dialog.querySelector(".where").textContent = (at + 1) + " of " + shown.length;
    dialog.querySelector(".about").textContent = [image.name, image.group && "in " + image.group, image.note, image.kinds.join(", "), image.change].filter(Boolean).join(" · ");
    var list = image.panels.length ? image.panels : [{arm: "labels", boxes: []}];
    panels.replaceChildren.apply(panels, list.map(function (panel) {
      var cell = document.createElement("div"), name = document.createElement("span");
      name.textContent = panel.arm;
      cell.append(draw(image, panel.boxes, panel.arm), name);
      return cell;
    }));
    if (!dialog.open) { dialog.showModal(); }
  }
  function apply() {
    var want = {}, random = form.elements.random.checked;
    ["class", "group", "kind", "change"].forEach(function (name) { want[name] = form.elements[name].value; });
    shown = images.filter(function (i) {
      return (!want["class"] || i.classes.indexOf(want["class"]) >= 0) && (!want.group || i.group === want.group) &&
        (!want.kind || (want.kind === "no error" ? !i.kinds.length : i.kinds.indexOf(want.kind) >= 0)) && (!want.change || i.change === want.change) && (!random || i.random);
    });
    out.textContent = shown.length + " of " + images.length + " shown";
    thumbs.replaceChildren.apply(thumbs, shown.map(function (image, number) {
      var item = document.createElement("div"), button = document.createElement("button"), word = document.createElement("span");
      item.setAttribute("role", "listitem");
      button.type = "button";
      if (image.jpeg) { var small = new Image(); small.src = image.jpeg; small.alt = ""; small.loading = "lazy"; button.append(small); }
      word.textContent = image.name.split("/").pop();
      button.append(word);
      button.setAttribute("aria-label", image.name + ": " + image.note);
      button.className = image.change;
      button.addEventListener("click", function () { open(number); });
      item.append(button);
      return item;
    }));
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  dialog.addEventListener("keydown", function (event) {
    var step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (step) { event.preventDefault(); open(at + step); }
    if (event.key === "t" || event.key === "T") { withTruth = !withTruth; open(at); }
  });
  dialog.addEventListener("click", function (event) {
    if (event.target.dataset.go) { open(at + Number(event.target.dataset.go)); }
    if ("close" in event.target.dataset || event.target === dialog) { dialog.close(); }
  });
  dialog.addEventListener("close", function () { var back = thumbs.querySelectorAll("button")[at]; if (back) { back.focus(); } });
  box.hidden = false;
  apply();
})();

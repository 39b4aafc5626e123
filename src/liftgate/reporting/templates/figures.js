(function () {
  document.querySelectorAll(".slider").forEach(function (box) {
    var curves = JSON.parse(box.dataset.curves), input = box.querySelector("input"), out = box.querySelector("output"), body = box.querySelector("tbody");
    function cell(row, text, head) { var c = document.createElement(head ? "th" : "td"); c.textContent = text; if (head) { c.scope = "row"; } else { c.className = "n"; } row.append(c); }
    function share(value) { return value === null ? "–" : value.toFixed(4); }
    function show() {
      var at = Number(input.value);
      out.textContent = curves[0].conf[at].toFixed(2);
      input.setAttribute("aria-valuetext", "confidence " + out.textContent);
      body.replaceChildren.apply(body, curves.map(function (c) {
        var row = document.createElement("tr");
        cell(row, c.arm, true);
        cell(row, c.n_right[at].toLocaleString("en"));
        cell(row, (c.n_objects - c.n_right[at]).toLocaleString("en"));
        cell(row, (c.n_detections[at] - c.n_right[at]).toLocaleString("en"));
        cell(row, share(c.precision[at])); cell(row, share(c.recall[at])); cell(row, share(c.f1[at]));
        return row;
      }));
    }
    input.addEventListener("input", show);
    box.hidden = false;
    show();
  });
})();

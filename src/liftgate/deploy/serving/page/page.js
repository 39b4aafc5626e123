"use strict";
// Images are sent one by one to this server and to nowhere else. Boxes are drawn here, so that the slider works without asking again.
const at = (id) => document.getElementById(id);
const shownImages = [];
let floor = 0;

function headers() {
  const token = at("token").value.trim();
  return token ? { Authorization: "Bearer " + token } : {};
}

function say(text, bad) {
  at("status").textContent = text;
  at("status").className = bad ? "bad" : "";
}

async function told(answer) {
  try {
    const { error } = await answer.json();
    return [error.what, error.expected && "expected " + error.expected, error.got && "got " + error.got].filter(Boolean).join(", ");
  } catch {
    return "status " + answer.status;
  }
}

async function askModel() {
  let answer;
  try {
    answer = await fetch("model", { headers: headers() });
  } catch {
    say("the server does not answer", true);
    return;
  }
  if (!answer.ok) {
    say(answer.status === 401 ? "the server asks for a token" : await told(answer), true);
    return;
  }
  const model = await answer.json();
  floor = model.threshold;
  at("conf").min = floor;
  at("conf").value = Math.max(floor, Number(at("conf").value) || floor);
  at("model").textContent = `model ${model.model_version}, ${model.format} ${model.precision}, ${model.runtime}; classes: ${model.classes.join(", ")}`;
  say("");
  redraw();
}

const colour = (name) => {
  let hash = 0;
  for (const sign of name) hash = (hash * 31 + sign.codePointAt(0)) >>> 0;
  return `hsl(${hash % 360} 90% 45%)`;
};

function draw({ canvas, picture, answer, rows }) {
  const pen = canvas.getContext("2d");
  canvas.width = answer.width;
  canvas.height = answer.height;
  pen.drawImage(picture, 0, 0, answer.width, answer.height);
  const unit = Math.max(answer.width, answer.height) / 500;
  const limit = Number(at("conf").value);
  const kept = answer.detections.filter((one) => one.confidence >= limit);
  pen.lineWidth = Math.max(1.5 * unit, 1);
  pen.font = `${Math.max(11 * unit, 9)}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  rows.replaceChildren();
  for (const one of kept) {
    const [x0, y0, x1, y1] = one.box;
    pen.strokeStyle = pen.fillStyle = colour(one.class);
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    const text = `${one.class} ${one.confidence.toFixed(2)}`;
    const high = 13 * unit;
    const top = Math.max(y0 - high, 0);
    pen.fillRect(x0, top, pen.measureText(text).width + 4 * unit, high);
    pen.fillStyle = "#fff";
    pen.fillText(text, x0 + 2 * unit, top + unit);
    const row = rows.insertRow();
    for (const value of [one.class, one.confidence.toFixed(3), one.box.map((side) => side.toFixed(0)).join(", ")]) {
      row.insertCell().textContent = value;
    }
    row.cells[2].className = "narrow";
  }
  canvas.setAttribute("aria-label", `${kept.length} detections`);
  return kept.length;
}

function redraw() {
  at("shown").textContent = Number(at("conf").value).toFixed(2);
  for (const one of shownImages) one.count.textContent = `${draw(one)} detections`;
}

async function show(file) {
  const query = new URLSearchParams({ image_id: file.name });
  const answer = await fetch("predict?" + query, { method: "POST", headers: { ...headers(), "Content-Type": file.type || "application/octet-stream" }, body: file });
  if (!answer.ok) throw new Error(`${file.name}: ${await told(answer)}`);
  const found = await answer.json();
  const picture = await createImageBitmap(file);
  const article = document.createElement("article");
  const title = article.appendChild(document.createElement("h2"));
  title.textContent = file.name;
  const canvas = article.appendChild(document.createElement("canvas"));
  canvas.setAttribute("role", "img");
  const count = article.appendChild(document.createElement("p"));
  const times = article.appendChild(document.createElement("p"));
  times.textContent = `${found.model_version}, ${found.width} × ${found.height}, model ${found.timings_ms.detect.toFixed(1)} ms, in all ${found.timings_ms.total.toFixed(1)} ms`;
  const table = article.appendChild(document.createElement("table"));
  const head = table.createTHead().insertRow();
  for (const name of ["class", "confidence", "box (x0, y0, x1, y1)"]) {
    const cell = document.createElement("th");
    cell.textContent = name;
    head.append(cell);
  }
  head.cells[2].className = "narrow";
  const shown = { canvas, picture, answer: found, rows: table.createTBody(), count };
  shownImages.unshift(shown);
  at("results").prepend(article);
  redraw();
}

async function take(files) {
  const failed = [];
  for (const [index, file] of [...files].entries()) {
    say(`${index + 1} of ${files.length}: ${file.name}`);
    try {
      await show(file);
    } catch (error) {
      failed.push(error.message);
    }
  }
  say(failed.join("; "), failed.length > 0);
}

const door = at("door");
for (const name of ["dragenter", "dragover"]) {
  door.addEventListener(name, (event) => { event.preventDefault(); door.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  door.addEventListener(name, (event) => { event.preventDefault(); door.classList.remove("over"); });
}
door.addEventListener("drop", (event) => take([...event.dataTransfer.files]));
at("files").addEventListener("change", async (event) => { await take([...event.target.files]); event.target.value = ""; });
at("conf").addEventListener("input", redraw);
at("token").addEventListener("change", askModel);
at("access").addEventListener("submit", (event) => { event.preventDefault(); askModel(); });
askModel();

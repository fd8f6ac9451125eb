// Everything that is drawn and pressed in the report, by what `charts.js` before it has.

const COLOURS = ["#4477aa", "#ee6677", "#228833", "#b8860b", "#66ccee", "#aa3377", "#999999", "#ee7733", "#009988", "#cc3311", "#7755cc"];
const SHAPES = ["M-4,-4h8v8h-8z", "M0,-5L5,4H-5z", "M0,-5.5L5.5,0L0,5.5L-5.5,0z", "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z", "M-5,-4h10l-5,9z"];
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const ERROR_LEVELS = 16; // of Cb and Cr, shown as white
const hidden = new Set();
const state = { zoom: null, flicker: null, heat: false, side: 0, turn: 0 };

const colour = (codec) => COLOURS[data.codecs.indexOf(codec) % COLOURS.length];
const shape = (codec) => SHAPES[data.codecs.indexOf(codec) % SHAPES.length];
const dash = (codec) => DASHES[Math.floor(data.codecs.indexOf(codec) / 3) % DASHES.length];
const visible = () => data.codecs.filter((codec) => !hidden.has(codec));
const points = (codec) => data.points.filter((p) => p.clip === $("clip").value && p.codec === codec).sort((a, b) => a.kbps - b.kbps);
const digits = (metric) => (metric.includes("ssim") ? 4 : 2);
const unit = () => data.metrics[$("metric").value].unit;

// ── charts ────────────────────────────────────────────────────────────────────────────────────────────────────────

const HIGH = 400, LOW = 300; // pixels

function drawCurves() {
  const metric = $("metric").value, wide = width("rd");
  const curves = visible().map((codec) => [codec, points(codec).filter((p) => p.means[metric] !== undefined)]).filter(([, ps]) => ps.length);
  const all = curves.flatMap(([, ps]) => ps);
  if (!all.length) return $("rd").replaceChildren("This metric is not defined on this clip.");
  const rates = all.map((p) => p.kbps);
  const [low, high] = [Math.min(...rates) / 1.1, Math.max(...rates) * 1.1];
  const [worst, best] = padded(all.map((p) => p.means[metric]));
  const x = scale(low, high, LEFT, wide - RIGHT, true), y = scale(worst, best, HIGH - BOTTOM, TOP);
  const { title } = data.metrics[metric];
  const svg = frame(x, y, logTicks(low, high, wide / 60), ticks(worst, best, 7), "kbit/s of the whole file, logarithmic", `${title}${unit() ? ", " + unit() : ""}`, wide, HIGH);
  for (const [codec, ps] of curves) {
    const path = ps.map((p, i) => `${i ? "L" : "M"}${x(p.kbps)},${y(p.means[metric])}`).join("");
    svg.append(element("path", { class: "series", d: path, stroke: colour(codec), "stroke-dasharray": dash(codec) }));
    for (const p of ps) svg.append(marker(p, codec, x(p.kbps), y(p.means[metric]), metric));
  }
  $("rd").replaceChildren(svg);
}

function marker(p, codec, x, y, metric) {
  const text = `${codec}, QP ${p.qp}\n${p.kbps.toFixed(1)} kbit/s, ${p.bytes.toLocaleString("en")} bytes\n${data.metrics[metric].title} ${number(p.means[metric], digits(metric))} ${unit()}${p.note ? "\n" + p.note : ""}`;
  const group = element("g", { class: "point", tabindex: 0, role: "img", "aria-label": text.replaceAll("\n", "; "), transform: `translate(${x} ${y})` });
  group.append(element("path", { d: shape(codec), fill: colour(codec) }), element("rect", { x: -11, y: -11, width: 22, height: 22, fill: "transparent" }));
  const show = () => tip(text, group.getBoundingClientRect());
  for (const [event, action] of [["mouseenter", show], ["focus", show], ["mouseleave", untip], ["blur", untip]]) group.addEventListener(event, action);
  return group;
}

function atQp(codec) {
  return points(codec).find((p) => String(p.qp) === $("qp").value);
}

function drawBits() {
  const rows = visible().map((codec) => [codec, atQp(codec)]).filter(([, p]) => p);
  const wide = width("bits"), left = Math.min(250, 0.42 * wide), letters = Math.floor((left - 8) / 6.8);
  const row = 26, high = rows.length * row + TOP + BOTTOM;
  const largest = Math.max(...rows.map(([, p]) => p.bytes), 1);
  const x = scale(0, largest, left, wide - 100);
  const svg = element("svg", { viewBox: `0 0 ${wide} ${high}`, role: "group" });
  rows.forEach(([codec, p], i) => {
    const y = TOP + i * row;
    svg.append(element("text", { x: left - 8, y: y + 15, "text-anchor": "end" }, codec.length > letters ? codec.slice(0, letters - 1) + "…" : codec));
    let before = 0;
    for (const [part, size] of Object.entries(p.parts)) {
      const bar = element("rect", { x: x(before), y: y + 2, width: Math.max(0, x(before + size) - x(before)), height: row - 8, fill: PART_COLOURS[part], tabindex: 0, role: "img" });
      const text = `${codec}, QP ${p.qp}\n${part}: ${size.toLocaleString("en")} bytes, ${((100 * size) / p.bytes).toFixed(1)} %`;
      bar.setAttribute("aria-label", text.replaceAll("\n", "; "));
      for (const event of ["mouseenter", "focus"]) bar.addEventListener(event, () => tip(text, bar.getBoundingClientRect()));
      for (const event of ["mouseleave", "blur"]) bar.addEventListener(event, untip);
      svg.append(bar);
      before += size;
    }
    svg.append(element("text", { x: x(p.bytes) + 8, y: y + 15 }, `${p.bytes.toLocaleString("en")} bytes`));
  });
  let x0 = 0;
  for (const [name, fill] of Object.entries({ "luma or all": PART_COLOURS.luma, colour: PART_COLOURS.colour, update: PART_COLOURS.update, container: PART_COLOURS.container })) {
    svg.append(element("rect", { x: x0, y: high - 26, width: 12, height: 12, fill }), element("text", { x: x0 + 17, y: high - 16 }, name));
    x0 += 26 + 6.8 * name.length;
  }
  $("bits").replaceChildren(svg);
}

function drawStrip() {
  const metric = data.metrics[$("metric").value].series;
  const rows = visible().map((codec) => [codec, atQp(codec)]).filter(([, p]) => p && (p.series[metric] || []).some((v) => v !== null));
  if (!rows.length) return $("strip").replaceChildren("No series of this metric at this QP.");
  const values = rows.flatMap(([, p]) => p.series[metric].filter((v) => v !== null));
  const length = Math.max(...rows.map(([, p]) => p.series[metric].length));
  const [low, high] = padded(values), wide = width("strip");
  const x = scale(0, Math.max(length - 1, 1), LEFT, wide - RIGHT), y = scale(low, high, LOW - BOTTOM, TOP);
  const svg = frame(x, y, ticks(0, length - 1, wide / 80).filter(Number.isInteger), ticks(low, high, 5), "frame", data.metrics[metric].title, wide, LOW);
  for (const [codec, p] of rows) {
    let pen = "M";
    const path = p.series[metric].map((v, i) => { if (v === null) return ""; const step = `${pen}${x(i).toFixed(1)},${y(v).toFixed(1)}`; pen = "L"; return step; });
    svg.append(element("path", { class: "series", d: path.join(""), stroke: colour(codec), "stroke-dasharray": dash(codec) }));
  }
  const keyed = rows.find(([, p]) => p.keys.length);
  for (const key of keyed ? keyed[1].keys : []) svg.append(element("line", { class: "key", x1: x(key), x2: x(key), y1: LOW - BOTTOM, y2: LOW - BOTTOM - 8 }));
  const overlay = element("rect", { x: LEFT, y: TOP, width: wide - LEFT - RIGHT, height: LOW - TOP - BOTTOM, fill: "transparent" });
  overlay.addEventListener("mousemove", (event) => {
    const box = overlay.getBoundingClientRect();
    const i = Math.round(((event.clientX - box.left) / box.width) * (length - 1));
    const lines = rows.map(([codec, p]) => `${codec}: ${number(p.series[metric][i], digits(metric))}`);
    tip(`frame ${i}${keyed && keyed[1].keys.includes(i) ? ", key frame" : ""}\n${lines.join("\n")}`, { left: event.clientX, top: event.clientY, bottom: event.clientY });
  });
  overlay.addEventListener("mouseleave", untip);
  svg.append(overlay);
  $("strip").replaceChildren(svg);
}

// ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────

// the kind of delta that the controls ask for, of those that a row has
function deltaKind(row) {
  const kind = $("kind").value;
  if (kind !== "rate") return kind;
  const kinds = [];
  if ($("accounting").value === "paper" && !$("keys").checked) kinds.push("paper_inner");
  if (!$("keys").checked) kinds.push("inner");
  if ($("accounting").value === "paper") kinds.push("paper");
  return kinds.find((k) => k in row) || "rate";
}

function common(row) {
  const length = row.common_db === null ? "" : `, ${row.common_db.toFixed(1)} dB`;
  return ` (${Math.round(100 * row.overlap)} %${length})`;
}

function drawDeltas() {
  const metric = $("metric").value, best = data.sets[$("against").value];
  const found = (best ? best.deltas : data.deltas)[metric];
  $("accounting").disabled = $("keys").disabled = $("kind").value !== "rate";
  $("passed-over").replaceChildren(...(best ? best.notes : []).map((note) => element("li", {}, note)));
  if (!found) return $("bd").replaceChildren(element("caption", {}, data.metrics[metric].better ? "No deltas: they take two codecs with points at two QPs each, on one clip." : "This metric is no measure of quality: it has no deltas."));
  const codecs = Object.keys(found), sums = Object.fromEntries(codecs.map((codec) => [codec, []]));
  const smaller = $("kind").value === "quality" ? -1 : 1;
  const cell = (value, row) => {
    const td = element("td", value ? { class: smaller * value < 0 ? "good" : "bad" } : {}, value === null || value === undefined ? "undefined" : (value > 0 ? "+" : "") + value.toFixed($("kind").value === "quality" ? 2 : 1));
    if (row) td.append(element("small", {}, common(row)));
    if (row && row.anchor) td.append(element("br"), element("small", {}, row.anchor));
    return td;
  };
  const head = ["clip", ...codecs.map((codec) => element("th", {}, codec, element("small", {}, best ? "" : ` against ${data.counterparts[codec]}`)))];
  const rows = data.clips.map((clip) => [clip, ...codecs.map((codec) => {
    const row = found[codec][clip];
    if (!row) return "";
    const kind = deltaKind(row), value = row[kind];
    if (value !== null && value !== undefined && !row.narrow.includes(kind)) sums[codec].push(value);
    return cell(value, row);
  })]);
  const means = ["mean where defined", ...codecs.map((codec) => {
    const values = sums[codec];
    return values.length ? cell(values.reduce((a, b) => a + b) / values.length) : "undefined";
  })];
  fillTable($("bd"), head, [...rows, means]);
  $("bd").tBodies[0].lastChild.className = "mean";
}

// worst frame and blocks of each codec at one QP, and the frame's beside that of x265 all-intra
function drawWorst() {
  const titles = { worst_frame: "worst frame, dB", worst_block_median: "worst block, median", worst_block_max: "worst block, maximum" };
  const metrics = Object.keys(titles).filter((m) => m in data.metrics);
  const reference = data.intra && atQp(data.intra);
  const rows = data.codecs.map((codec) => [codec, atQp(codec)]).filter(([, p]) => p && metrics.some((m) => m in p.means));
  const more = ([codec, p]) => (codec !== data.intra && [p, reference].every((q) => "worst_frame" in q.means) ? number(p.means.worst_frame - reference.means.worst_frame) : "");
  $("worst").replaceChildren();
  if (!rows.length) return;
  const head = ["codec", ...metrics.map((m) => titles[m]), ...(reference ? [`worst frame, more than ${data.intra}`] : [])];
  fillTable($("worst"), head, rows.map((row) => [row[0], ...metrics.map((m) => (m in row[1].means ? number(row[1].means[m]) : "")), ...(reference ? [more(row)] : [])]));
}

function drawCosts() {
  const head = ["codec", "encode, s", "encode, peak MB", "decode, s", "decode, peak MB"];
  const rows = data.codecs.map((codec) => [codec, atQp(codec)]).filter(([, p]) => p && p.encode[0] !== null).map(([codec, p]) =>
    [codec, ...[p.encode[0], p.encode[1], p.decode[0], p.decode[1]].map((v, i) => number(v, i % 2 ? 0 : 2))]);
  fillTable($("costs"), head, rows);
}

function drawCommands() {
  const found = data.codecs.map((codec) => [codec, atQp(codec)]).filter(([, p]) => p && p.command);
  $("commands").replaceChildren(...found.flatMap(([codec, p]) => [element("p", {}, codec), element("code", { tabindex: 0 }, p.command)]));
}

// ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────

const shown = () => data.pictures[$("clip").value] || [];

function choosePictures() {
  const pictures = shown();
  $("comparer").hidden = !pictures.length;
  if (!pictures.length) return;
  const pairs = pictures.map((p, i) => [i, p.title]);
  options($("left"), pairs, pictures.length > 2 ? 2 : 0);
  options($("right"), pairs, Math.min(3, pictures.length - 1));
  state.zoom = null;
  $("pictures-hint").textContent = `Frame ${data.frames[$("clip").value]}: the one between key frames in which Tinct's colour is worst. The anchor is the file of the nearest size. ` +
    `WebP at quality ${data.pictureQuality}. Colour error: distance of Cb and Cr from the source, dark is none, white is ${ERROR_LEVELS} levels or more.`;
  $("all").replaceChildren(...pictures.map((p) => element("figure", {}, element("img", { src: p.src, alt: p.title }), element("figcaption", {}, `${p.title}: ${p.caption}`))));
  drawPictures();
}

const images = new Map(); // of pictures, decoded once

function image(picture) {
  if (!images.has(picture)) {
    const made = new Image();
    made.src = picture.src;
    images.set(picture, made.decode().then(() => made));
  }
  return images.get(picture);
}

async function drawPictures() {
  const pictures = shown(), [left, right] = [pictures[$("left").value], pictures[$("right").value]], turn = ++state.turn;
  if (!left || !right) return;
  const [truth, over, under] = await Promise.all([pictures[0], left, right].map(image));
  if (turn !== state.turn) return; // something else was asked for meanwhile
  for (const [id, picture] of [["over", left], ["under", right]]) {
    $(id).src = picture.src;
    $(id).alt = picture.title;
  }
  $("captions").replaceChildren(...[left, right].map((p, i) => element("div", {}, element("b", {}, `${i ? "right" : "left"}: ${p.title}`), element("br"), p.caption)));
  state.zoom ??= fitting(under);
  const wide = Math.min(under.naturalWidth, $("view").clientWidth) * state.zoom;
  $("stage").style.width = `${wide}px`;
  $("stage").style.height = `${(wide * under.naturalHeight) / under.naturalWidth}px`;
  $("stage").classList.toggle("large", state.zoom > 2);
  $("zoom").textContent = `${state.zoom}×`;
  divide();
  $("error").hidden = !state.heat;
  if (state.heat) drawError(truth, over, under);
}

// the largest zoom with which a picture is seen whole
function fitting(picture) {
  const fits = (z) => picture.naturalWidth * z <= $("view").clientWidth && picture.naturalHeight * z <= 0.8 * innerHeight;
  return [4, 2].find(fits) || 1;
}

function divide() {
  const share = state.flicker === null ? Number($("slider").value) : state.side ? 100 : 0;
  $("over").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  $("error").style.clipPath = "none";
  $("line").style.left = `${share}%`;
  $("line").hidden = state.flicker !== null;
}

function pixels(picture) {
  const canvas = element("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// left of the divider the left picture's error, right of it the right one's
function drawError(truth, over, under) {
  const [t, a, b] = [truth, over, under].map(pixels), canvas = $("error");
  canvas.width = t.width; canvas.height = t.height;
  const context = canvas.getContext("2d", { willReadFrequently: true }), out = context.createImageData(t.width, t.height);
  const share = state.flicker === null ? Number($("slider").value) / 100 : state.side;
  for (let i = 0; i < t.data.length; i += 4) {
    const p = ((i / 4) % t.width) / t.width < share ? a.data : b.data;
    const [r, g, l] = [p[i] - t.data[i], p[i + 1] - t.data[i + 1], p[i + 2] - t.data[i + 2]];
    const error = Math.min(1, Math.hypot(-0.169 * r - 0.331 * g + 0.5 * l, 0.5 * r - 0.419 * g - 0.081 * l) / ERROR_LEVELS);
    out.data[i] = 255 * Math.min(1, 2.2 * error); out.data[i + 1] = 255 * Math.max(0, 1.8 * error - 0.6);
    out.data[i + 2] = 255 * Math.max(0, Math.min(1, 0.25 * (error > 0) + 2 * error - 1.1)); out.data[i + 3] = 255;
  }
  context.putImageData(out, 0, 0);
}

function press(id, on) {
  $(id).setAttribute("aria-pressed", String(on));
}

function toggleFlicker() {
  if (state.flicker === null) {
    state.flicker = setInterval(() => { state.side = 1 - state.side; divide(); if (state.heat) drawPictures(); }, 500);
  } else {
    clearInterval(state.flicker);
    state.flicker = null;
  }
  press("flicker", state.flicker !== null);
  divide();
}

function toggleHeat() {
  state.heat = !state.heat;
  press("heat", state.heat);
  drawPictures();
}

function toggleGrid() {
  $("all").hidden = !$("all").hidden;
  press("grid", !$("all").hidden);
}

function zoom(factor) {
  state.zoom = Math.max(1, Math.min(8, state.zoom * factor));
  drawPictures();
}

// ── all of it ─────────────────────────────────────────────────────────────────────────────────────────────────────

// what points measured elsewhere say of themselves
function noted(codec) {
  const note = data.points.find((p) => p.codec === codec).note;
  return note ? ` (${note})` : "";
}

function drawLegend() {
  $("legend").replaceChildren(...data.codecs.map((codec) => {
    const line = element("path", { d: "M0,5H26", stroke: colour(codec), "stroke-width": 2, "stroke-dasharray": dash(codec) });
    const mark = element("path", { d: shape(codec), fill: colour(codec), transform: "translate(13 5)" });
    const button = element("button", { "aria-pressed": String(!hidden.has(codec)) }, element("svg", {}, line, mark), codec + noted(codec));
    button.addEventListener("click", () => {
      hidden.has(codec) ? hidden.delete(codec) : hidden.add(codec);
      button.setAttribute("aria-pressed", String(!hidden.has(codec)));
      drawCurves(); drawBits(); drawStrip();
    });
    return button;
  }));
}

function draw() {
  drawCurves(); drawDeltas(); drawBits(); drawStrip(); drawWorst(); drawCosts(); drawCommands();
}

function start() {
  const s = data.setup;
  $("setup").textContent = `First ${s.frames} frames, QP ${s.qps.join(", ")}. Rate is the size of the file. ${s.date}, ${s.machine}, ${s.jobs} at a time. ` +
    Object.entries(s.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  $("notes").replaceChildren(...data.notes.map((note) => element("li", {}, note)));
  options($("clip"), data.clips.map((c) => [c, c]));
  options($("metric"), Object.entries(data.metrics).map(([name, m]) => [name, m.title]));
  options($("against"), [["", "each codec's own anchor"], ...data.sets.map((set, i) => [i, set.title])]);
  options($("qp"), [...new Set(data.points.map((p) => p.qp))].sort((a, b) => a - b).map((q) => [q, q]), 37);
  drawLegend();
  draw();
  choosePictures();
  if (data.figure) { $("figure5").src = data.figure; $("figure").hidden = false; }
  $("clip").addEventListener("change", () => { draw(); choosePictures(); });
  for (const id of ["metric", "qp"]) $(id).addEventListener("change", draw);
  for (const id of ["against", "kind", "accounting", "keys"]) $(id).addEventListener("change", drawDeltas);
  for (const id of ["left", "right"]) $(id).addEventListener("change", drawPictures);
  $("slider").addEventListener("input", () => { divide(); if (state.heat) drawPictures(); });
  $("stage").addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !event.buttons) return;
    const box = $("stage").getBoundingClientRect();
    $("slider").value = (100 * (event.clientX - box.left)) / box.width;
    $("slider").dispatchEvent(new Event("input"));
  });
  const actions = { flicker: toggleFlicker, heat: toggleHeat, grid: toggleGrid, "zoom-in": () => zoom(2), "zoom-out": () => zoom(0.5) };
  for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", action);
  const keys = { f: toggleFlicker, h: toggleHeat, g: toggleGrid, "+": () => zoom(2), "=": () => zoom(2), "-": () => zoom(0.5) };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT" || $("comparer").hidden) return;
    if (keys[event.key]) { keys[event.key](); event.preventDefault(); return; }
    const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (step && document.activeElement === $("view") && $("view").scrollWidth <= $("view").clientWidth) {
      $("slider").value = Number($("slider").value) + step;
      $("slider").dispatchEvent(new Event("input"));
      event.preventDefault();
    }
  });
  addEventListener("resize", () => { draw(); drawPictures(); });
  document.documentElement.dataset.ready = "yes";
}

start();

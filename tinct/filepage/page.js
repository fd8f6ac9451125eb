// Everything that is drawn on the page of a file, by what `charts.js` before it has.

const frames = data.frames, total = frames.seconds.length;
const HIGH = 210, LANE = 30; // pixels
const DASHES = { Y: "", U: "7 4", V: "2 3" };
const kbits = (value) => value.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const title = (name) => data.parts.find((part) => part.name === name).title;
const kind = (i) => data.kinds[Number(frames.kinds[i])];
const isEntry = new Set(frames.entries);
const fill = (name) => PART_COLOURS[name] || PART_COLOURS.luma;
const worst = data.quality ? data.quality.worst : null;
const named = Object.keys(frames.bytes).filter((name) => frames.bytes[name].some((size) => size > 0));

// ── whole file ────────────────────────────────────────────────────────────────────────────────────────────────────

function drawWhole() {
  const wide = width("whole"), svg = element("svg", { viewBox: `0 0 ${wide} 26`, "aria-hidden": "true" }); // the table below says the same
  const x = scale(0, data.size, 0, wide);
  let before = 0;
  for (const part of data.parts) {
    svg.append(element("rect", { x: x(before), y: 2, width: x(part.bytes), height: 20, fill: fill(part.name) }));
    before += part.bytes;
  }
  $("whole").replaceChildren(svg);
}

function drawTables() {
  const rows = data.parts.map((part) => {
    const td = element("td", {}, element("i", { class: "swatch", style: `background: ${fill(part.name)}` }), part.title);
    return [td, count(part.bytes), part.kbps === null ? "" : kbits(part.kbps), `${number((100 * part.bytes) / data.size, 1)} %`];
  });
  const whole = data.parts.every((part) => part.kbps !== null) ? kbits(data.parts.reduce((sum, part) => sum + part.kbps, 0)) : "";
  fillTable($("parts"), ["part", "bytes", "kbit/s", "share"], [...rows, ["the file", count(data.size), whole, "100 %"]]);
  const planes = data.quality ? Object.keys(data.quality.planes).map((name) => `PSNR ${name}, mean dB`) : [];
  fillTable($("groups"), ["kind", "frames", "bytes", "bytes a frame", ...planes], data.groups.map((group) =>
    [group.title, count(group.frames), count(group.bytes), count(Math.round(group.bytes / group.frames)), ...(group.psnr || []).map((db) => number(db))]));
  $("group-words").textContent = ["Bytes are those of the video's packets.", ...data.groups.map((group) => group.words)].filter(Boolean).join(" ");
  $("facts").replaceChildren(...data.facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

// ── frame by frame ────────────────────────────────────────────────────────────────────────────────────────────────

// frames in as many columns as can be told apart: [first, end] of each
function columns(wide) {
  const many = Math.max(1, Math.min(total, Math.floor(wide - LEFT - RIGHT)));
  const edge = (c) => Math.ceil((c * total) / many);
  return Array.from({ length: many }, (_, c) => [edge(c), edge(c + 1)]);
}

const mean = (values, [from, to]) => values.slice(from, to).reduce((a, b) => a + b, 0) / (to - from);
const place = (wide) => scale(0, total, LEFT, wide - RIGHT); // of a frame's left edge
const steps = (wide) => ticks(0, total - 1, wide / 90).filter(Number.isInteger);

function axes(wide, y, [low, high], yTitle) {
  const x = place(wide), svg = frame((i) => x(i + 0.5), y, steps(wide), ticks(low, high, 4), "frame", yTitle, wide, HIGH);
  svg.setAttribute("role", "img");
  return svg;
}

function drawBits(wide) {
  const x = place(wide), parts = columns(wide);
  const heights = parts.map((column) => named.map((name) => (mean(frames.bytes[name], column) * 8) / 1000));
  const sums = heights.map((values) => values.reduce((a, b) => a + b, 0));
  const high = Math.max(...sums) * 1.05 || 1, y = scale(0, high, HIGH - BOTTOM, TOP);
  const svg = axes(wide, y, [0, high], "kbit a frame");
  parts.forEach(([from, to], c) => {
    let before = 0;
    const room = x(to) - x(from), gap = room > 4 ? 1 : 0;
    heights[c].forEach((value, n) => {
      if (value) svg.append(element("rect", { x: x(from) + gap / 2, width: room - gap, y: y(before + value), height: y(before) - y(before + value), fill: fill(named[n]) }));
      before += value;
    });
  });
  const most = sums.indexOf(Math.max(...sums));
  svg.setAttribute("aria-label", `Bits along the video: at most ${number(sums[most], 1)} kbit a frame, at frame ${parts[most][0]}`);
  $("bits-legend").replaceChildren(...named.map((name) => element("li", {}, element("i", { class: "swatch", style: `background: ${fill(name)}` }), title(name))));
  finish("bits", svg, HIGH);
}

function drawLanes(wide) {
  const x = place(wide), parts = columns(wide), every = frames.entries.length === total;
  const lanes = data.groups.map((group) => [group, data.kinds.includes(group.name) ? (i) => kind(i) === group.name : (i) => isEntry.has(i)]);
  const high = lanes.length * LANE + 6;
  const svg = element("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img" });
  lanes.forEach(([group, holds], n) => {
    const top = n * LANE;
    const share = group.frames === total ? "every frame" : `${count(group.frames)} of ${count(total)}`;
    svg.append(element("text", { class: "label", x: LEFT, y: top + 13 }, `${group.title}: ${share}`));
    svg.append(element("rect", { class: "ground", x: LEFT, y: top + 18, width: wide - LEFT - RIGHT, height: 10 }));
    for (const [from, to] of parts) {
      let i = from;
      while (i < to && !holds(i)) i++;
      if (i < to) svg.append(element("rect", { class: "lane", x: x(from), y: top + 18, width: Math.max(1.5, x(to) - x(from) - (x(to) - x(from) > 4 ? 1 : 0)), height: 10 }));
    }
  });
  svg.setAttribute("aria-label", `${lanes.map(([group]) => `${group.title}: ${group.frames} frames`).join("; ")}${every ? "; every frame is an entry point" : ""}`);
  finish("lanes", svg, high);
}

function drawQuality(wide) {
  const x = place(wide), parts = columns(wide);
  const curves = Object.entries(frames.psnr).map(([name, values]) => [name, parts.map((column) => mean(values, column))]);
  const lowest = frames.psnr.Y[worst];
  const [low, high] = padded([lowest, ...curves.flatMap(([, values]) => values)], 0.08), y = scale(low, high, HIGH - BOTTOM, TOP);
  const svg = axes(wide, y, [low, high], "PSNR, dB");
  for (const [name, values] of curves) {
    const path = parts.map(([from, to], c) => `${c ? "L" : "M"}${((x(from) + x(to)) / 2).toFixed(1)},${y(values[c]).toFixed(1)}`);
    svg.append(element("path", { class: `series plane-${name}`, d: path.join("") + (parts.length === 1 ? "h6" : ""), "stroke-dasharray": DASHES[name] }));
  }
  const at = x(worst + 0.5), right = at > wide - 120;
  svg.append(element("path", { class: "worst", d: `M${at},${y(lowest) + 3}l6,10h-12z` }));
  svg.append(element("text", { class: "worst", x: at + (right ? -10 : 10), y: y(lowest) + 13, "text-anchor": right ? "end" : "start" }, `worst, ${number(lowest)} dB`));
  const said = Object.entries(data.quality.planes).map(([name, [db, pooled]]) => [name, `${name}: mean ${number(db)} dB, pooled ${number(pooled)} dB`]);
  svg.setAttribute("aria-label", `${said.map(([, text]) => text).join("; ")}; worst frame ${worst}, Y ${number(lowest)} dB`);
  $("quality-legend").replaceChildren(...said.map(([name, text]) =>
    element("li", {}, element("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, element("path", { class: `plane-${name}`, d: "M0,6H26", "stroke-dasharray": DASHES[name] })), text)));
  finish("psnr", svg, HIGH);
}

// put a chart in its place, with the cursor; pointing at it chooses a frame
function finish(id, svg, high) {
  svg.prepend(element("line", { class: "cursor", y1: 0, y2: high }));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), x = scale(LEFT, box.width - RIGHT, 0, total);
    $("at").value = Math.max(0, Math.min(total - 1, Math.floor(x(event.clientX - box.left))));
    choose();
  });
  $(id).replaceChildren(svg);
}

function choose() {
  const i = Number($("at").value), wide = width("bits"), at = place(wide)(i + 0.5);
  for (const line of document.querySelectorAll(".cursor")) {
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
  }
  const sizes = named.filter((name) => frames.bytes[name][i]).map((name) => `${title(name)} ${count(frames.bytes[name][i])} bytes`);
  const planes = frames.psnr ? Object.entries(frames.psnr).map(([name, values]) => `${name} ${number(values[i])} dB`) : [];
  const words = [`Frame ${count(i)} at ${number(frames.seconds[i], 3)} s: ${describe(i)}`, sizes.join(", ") || "no bytes", planes.join(", ")].filter(Boolean).join("; ");
  $("readout").textContent = words;
  $("at").setAttribute("aria-valuetext", words);
}

function describe(i) {
  return [kind(i), ...(isEntry.has(i) ? ["entry point"] : []), ...(i === worst ? ["the worst in luma"] : [])].join(", ");
}

// ── all of it ─────────────────────────────────────────────────────────────────────────────────────────────────────

function drawPictures() {
  $("pictures").replaceChildren(...data.pictures.map((one) => {
    const head = `Frame ${count(one.number)} at ${number(frames.seconds[one.number], 3)} s: ${describe(one.number)}`;
    const db = frames.psnr ? `, Y ${number(frames.psnr.Y[one.number])} dB` : "";
    const figures = one.images.map((image) =>
      element("figure", {}, element("img", { src: image.src, alt: `Frame ${one.number} ${image.title}` }), element("figcaption", {}, image.title)));
    return element("div", one.worst ? { class: "is-worst" } : {}, element("h3", {}, head + db), element("div", { class: "shown" }, ...figures));
  }));
}

function draw() {
  const wide = width("bits");
  drawWhole(); drawBits(wide); drawLanes(wide);
  if (data.quality) drawQuality(wide);
  const each = Math.ceil(total / columns(wide).length);
  $("averaged").textContent = each > 1 ? `The charts average up to ${each} frames in a column; the line above them is of one frame.` : "";
  choose();
}

function start() {
  document.title = `Tinct: ${data.name}`;
  $("name").textContent = data.name;
  const against = data.source ? [`Quality is against ${data.source}.`] : [];
  $("words").replaceChildren(...[...data.words, ...against].map((text) => element("p", {}, text)));
  $("at").max = total - 1;
  $("quality").hidden = $("to-worst").hidden = !data.quality;
  drawTables(); drawPictures();
  if (data.quality) $("at").value = worst;
  draw();
  $("at").addEventListener("input", choose);
  $("to-worst").addEventListener("click", () => { $("at").value = worst; choose(); });
  addEventListener("resize", draw);
  document.documentElement.dataset.ready = "yes";
}

start();

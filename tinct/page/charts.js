"use strict";
// What pages share: the data in the page, elements, axes, tips and tables. A page's own script follows; nothing is fetched.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const number = (value, digits = 2) => (value === null || value === undefined ? "undefined" : value.toFixed(digits));
const count = (value) => value.toLocaleString("en");
const PART_COLOURS = { luma: "#8a8f98", video: "#8a8f98", colour: "#ee6677", update: "#b8860b", container: "#4477aa", audio: "#228833", subtitle: "#aa3377" };

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "g", "line", "text", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
  if (pairs.some(([value]) => String(value) === String(chosen))) select.value = chosen;
}

const LEFT = 62, RIGHT = 14, TOP = 12, BOTTOM = 44; // pixels
const width = (id) => Math.max(300, $(id).clientWidth);

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(+value.toPrecision(10));
  return found;
}

function logTicks(low, high, wanted) {
  const found = [], steps = wanted * 3 > 10 * Math.log10(high / low) ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const m of steps) if (m * 10 ** power >= low && m * 10 ** power <= high) found.push(m * 10 ** power);
  return found;
}

function frame(x, y, xTicks, yTicks, xTitle, yTitle, wide, high) {
  const svg = element("svg", { viewBox: `0 0 ${wide} ${high}`, role: "group" });
  for (const value of yTicks) {
    svg.append(element("line", { class: "axis", x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(element("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  for (const value of xTicks) {
    svg.append(element("line", { class: "axis", x1: x(value), x2: x(value), y1: high - BOTTOM, y2: high - BOTTOM + 5 }));
    svg.append(element("text", { x: x(value), y: high - BOTTOM + 19, "text-anchor": "middle" }, value.toLocaleString("en")));
  }
  svg.append(element("text", { x: wide - RIGHT, y: high - 6, "text-anchor": "end" }, xTitle));
  svg.append(element("text", { x: 14, y: TOP, transform: `rotate(-90 14 ${TOP})`, "text-anchor": "end" }, yTitle));
  return svg;
}

function scale(low, high, from, to, log = false) {
  const turn = log ? Math.log : (v) => v;
  const [a, b] = [turn(low), turn(high)];
  return (value) => from + ((turn(value) - a) / (b - a || 1)) * (to - from);
}

function padded(values, share = 0.05) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

function tip(text, box) {
  $("tip").textContent = text;
  $("tip").hidden = false;
  const own = $("tip").getBoundingClientRect();
  $("tip").style.left = `${Math.max(4, Math.min(box.left + 16, innerWidth - own.width - 4))}px`;
  $("tip").style.top = `${box.top > own.height + 8 ? box.top - own.height - 4 : box.bottom + 4}px`;
}

function untip() {
  $("tip").hidden = true;
}

// fill a table from head and rows of cells, each a text or a <td>; on a narrow screen a row becomes a card, so roles say what it is
function fillTable(table, head, rows) {
  const labels = head.map((cell) => (cell instanceof Node ? cell.textContent : cell));
  const heads = head.map((cell) => element("th", { role: "columnheader", scope: "col" }, ...(cell instanceof Node ? cell.childNodes : [cell])));
  const body = rows.map((cells) => {
    const made = cells.map((cell, i) => {
      const td = cell instanceof Node ? cell : element("td", {}, cell);
      td.setAttribute("role", i ? "cell" : "rowheader");
      if (i) td.dataset.label = labels[i];
      if (td.hasChildNodes()) td.replaceChildren(element("span", {}, ...td.childNodes));
      return td;
    });
    return element("tr", { role: "row" }, ...made);
  });
  table.setAttribute("role", "table");
  table.className = "cards";
  table.replaceChildren(element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)), element("tbody", { role: "rowgroup" }, ...body));
}

// The operator console. One module, no build step; `tsc --checkJs` checks the types in the comments.
// What is drawn over a picture always belongs to that picture: both come in one message.

/** @typedef {{id: number, state: number, confidence: number, reason: string, box: number[],
 *   polygon: number[], expected: number[] | null}} Target */
/** @typedef {{camera: string, stamp: string, size: [number, number], targets: Target[] | null}} About */
/** @typedef {{name: string, level: number, message: string, values: Record<string, string>}} Diagnostic */
/** @typedef {{type: "status", camera: string, delay_ms: number | null, images_hz: number,
 *   results_hz: number, latency_ms: [number, number] | null, strips: Record<string, string>,
 *   diagnostics: Diagnostic[], targets: Target[]}} Status */
/** @typedef {{type: "cameras", cameras: string[], shapes: string[]}} Cameras */
/** @typedef {{type: "answer", request: number, ok: boolean, id: number, text: string}} Answer */
/** @typedef {{type: "refused", text: string}} Refused */
/** @typedef {{x: number, y: number}} Point */

const STATES = ["gone", "tracking", "uncertain", "lost"];
const STATE_COLORS = ["#0a0d12", "#34d399", "#fbbf24", "#f87171"];
const TARGET_COLORS = ["#34d399", "#60a5fa", "#f472b6", "#facc15", "#c084fc", "#fb923c", "#22d3ee", "#a3e635"];
/** A lost target fades from the picture after this time. */
const FADE_MS = 2000;
/** A movement of fewer CSS pixels is a tap. */
const TAP_PX = 6;
const LASSO_STEP_PX = 3;
const MAX_CORNERS = 500;

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}
/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
function context(canvas) {
  const made = canvas.getContext("2d");
  if (!made) throw new Error("this browser has no canvas");
  return made;
}
/** @param {number} id */
const colorOf = (id) => TARGET_COLORS[(id - 1) % TARGET_COLORS.length];
/** Empty where it is lost, or where nothing is known of it.
 *  @param {Target} target */
const confidenceOf = (target) =>
  target.state !== 3 && target.confidence > 0 ? `${Math.round(100 * target.confidence)} %` : "";
/** As on the overlay (`Target.label` in Python).
 *  @param {Target} target */
const labelOf = (target) => `${target.id} ${STATES[target.state]} ${confidenceOf(target)}`.trim();

const stage = element("stage", HTMLDivElement);
const picture = element("picture", HTMLCanvasElement);
const overlay = element("overlay", HTMLCanvasElement);
const buttons = {
  freeze: element("freeze", HTMLButtonElement), box: element("box", HTMLButtonElement),
  lasso: element("lasso", HTMLButtonElement), point: element("point", HTMLButtonElement),
  reset: element("reset", HTMLButtonElement), help: element("help", HTMLButtonElement),
};
const lists = {
  tabs: element("tabs", HTMLElement), targets: element("targets", HTMLUListElement),
  log: element("log", HTMLOListElement), health: element("health", HTMLUListElement),
};
const texts = {
  empty: element("empty", HTMLParagraphElement), frozen: element("frozen", HTMLParagraphElement),
  toast: element("toast", HTMLParagraphElement), hint: element("hint", HTMLParagraphElement),
  count: element("count", HTMLElement), none: element("no-targets", HTMLParagraphElement),
  images: element("images-hz", HTMLElement), results: element("results-hz", HTMLElement),
  latency: element("latency", HTMLElement), delay: element("delay", HTMLElement),
};
const targetTemplate = element("target", HTMLTemplateElement);

/**
 * What the page knows.
 * @type {{socket: WebSocket | null, cameras: string[], shapes: string[], camera: string,
 *   about: About | null, image: ImageBitmap | null, live: Target[], frozen: boolean,
 *   shape: "box" | "lasso" | "point", drag: Point[] | null, pointer: number | null, chosen: number,
 *   redraw: number, lostSince: Map<number, number>, request: number, retry: number,
 *   status: Status | null, pending: {points: Point[], until: number} | null}}
 */
const page = {
  socket: null, cameras: [], shapes: ["box", "polygon"], camera: "", about: null, image: null, live: [],
  frozen: false, shape: "box", drag: null, pointer: null, chosen: 0, redraw: 0, lostSince: new Map(),
  request: 0, retry: 0, status: null, pending: null,
};

// ---- the connection ---------------------------------------------------------------------------

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { page.retry = 0; document.body.classList.add("connected"); watch(); };
  socket.onmessage = ({data}) => {
    if (data instanceof ArrayBuffer) void showPicture(data);
    else receive(JSON.parse(data));
  };
  socket.onclose = () => {
    document.body.classList.remove("connected");
    page.socket = null;
    page.retry = Math.min(page.retry + 1, 5);
    say("The robot does not answer; trying again.", false);
    window.setTimeout(connect, 400 * 2 ** page.retry);
  };
  page.socket = socket;
}
/** @param {object} message @returns {boolean} whether it could be sent */
function send(message) {
  if (page.socket?.readyState !== WebSocket.OPEN) return false;
  page.socket.send(JSON.stringify(message));
  return true;
}
/** @param {object} command */
function ask(command) {
  page.request += 1;
  if (!send({request: page.request, camera: page.camera, ...command})) say("Not connected.", false);
}
function watch() {
  // A page that nobody sees watches nothing, so that the robot need not even take the images.
  send({type: "watch", camera: document.hidden ? "" : page.camera, pictures: !page.frozen && !document.hidden});
}
/** @param {Cameras | Status | Answer | Refused} message */
function receive(message) {
  if (message.type === "cameras") showCameras(message);
  else if (message.type === "status") showStatus(message);
  else if (message.type === "answer") {
    say(sentence(message.text), message.ok);
    page.pending = null;
    if (message.ok && message.id) page.chosen = message.id;
    redraw();
  } else say(sentence(message.text), false);
}
/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

let toastTimer = 0;
/** @param {string} text @param {boolean} good */
function say(text, good) {
  texts.toast.textContent = text;
  texts.toast.className = good ? "" : "bad";
  texts.toast.hidden = false;
  window.clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => { texts.toast.hidden = true; }, good ? 2500 : 6000);
  if (lists.log.lastElementChild?.lastChild?.textContent === text) return;
  lists.log.querySelector(".old")?.remove();
  const line = document.createElement("li"), time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], {hour12: false});
  line.className = good ? "" : "bad";
  line.append(time, text);
  lists.log.append(line);
  while (lists.log.children.length > 50) lists.log.firstElementChild?.remove();
  lists.log.scrollTop = lists.log.scrollHeight;
}

// ---- pictures -----------------------------------------------------------------------------------

/** @param {ArrayBuffer} data */
async function showPicture(data) {
  const length = new DataView(data).getUint32(0, true);
  const head = new Uint8Array(data, 4, length);
  /** @type {About} */
  const about = JSON.parse(new TextDecoder().decode(head));
  try {
    if (about.camera !== page.camera) return;
    if (about.targets) page.live = about.targets;
    noteLost();
    showTargets();
    if (page.frozen || page.drag) return;
    const blob = new Blob([new Uint8Array(data, 4 + length)], {type: "image/jpeg"});
    const image = await createImageBitmap(blob);
    if (about.camera !== page.camera || page.frozen || page.drag) { image.close(); return; }
    page.image?.close();
    page.image = image;
    page.about = about;
    stage.dataset.stamp = about.stamp;
    paint();
    redraw();
  } finally {
    send({type: "shown", stamp: about.stamp});
  }
}
/** Where the image lies on the stage, in CSS pixels, and how many of them an image pixel has. */
function place() {
  const [width, height] = page.about?.size ?? [16, 9];
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  return {scale, left: (stage.clientWidth - width * scale) / 2, top: (stage.clientHeight - height * scale) / 2,
          width, height};
}
/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
function cleared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(stage.clientWidth * ratio), height = Math.round(stage.clientHeight * ratio);
  const pen = context(canvas);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
  return pen;
}
function paint() {
  const pen = cleared(picture);
  texts.empty.hidden = page.image !== null;
  if (!page.image || !page.about) return;
  stage.style.setProperty("--shape", page.about.size.join(" / "));
  const {scale, left, top, width, height} = place();
  pen.drawImage(page.image, left, top, width * scale, height * scale);
}
function redraw() {
  const pen = cleared(overlay);
  const {scale, left, top} = place();
  /** @param {number} x @param {number} y @returns {[number, number]} */
  const at = (x, y) => [left + x * scale, top + y * scale];
  const targets = page.about?.targets ?? [];
  if (page.image) for (const target of targets) drawTarget(pen, target, at, scale, targets.length > 6);
  if (page.pending && performance.now() > page.pending.until) page.pending = null;
  const points = page.drag ?? page.pending?.points;
  if (points && page.image) drawShape(pen, points.map(({x, y}) => at(x, y)), !page.drag);
}
/** @param {CanvasRenderingContext2D} pen @param {Target} target @param {(x: number, y: number) => [number, number]} at
 *  @param {number} scale @param {boolean} crowded */
function drawTarget(pen, target, at, scale, crowded) {
  const since = page.lostSince.get(target.id);
  if (since !== undefined && performance.now() - since > FADE_MS && target.id !== page.chosen) return;
  const state = target.state, color = colorOf(target.id);
  const [x, y, width, height] = target.box;
  pen.save();
  pen.globalAlpha = state === 3 ? 0.6 : 1;
  pen.strokeStyle = pen.fillStyle = color;
  pen.lineJoin = "round";
  if (state !== 3 && target.polygon.length >= 6) {
    pen.beginPath();
    for (let k = 0; k < target.polygon.length; k += 2) pen.lineTo(...at(target.polygon[k], target.polygon[k + 1]));
    pen.closePath();
    pen.globalAlpha = state === 1 ? 0.24 : 0.12;
    pen.fill();
    pen.globalAlpha = 1;
    if (state === 2) pen.setLineDash([7, 5]);
    stroke(pen, target.id === page.chosen ? 3 : 2);
  }
  const [bx, by] = at(x, y);
  pen.setLineDash(state === 1 ? [] : [4, 4]);
  pen.globalAlpha = state === 3 ? 0.7 : 0.45;
  pen.lineWidth = 1;
  pen.strokeRect(bx, by, width * scale, height * scale);
  if (target.expected && state !== 1) {
    pen.setLineDash([2, 4]);
    const [left, top, wide, high] = target.expected;
    pen.strokeRect(...at(left, top), wide * scale, high * scale);
  }
  pen.globalAlpha = 1;
  drawLabel(pen, crowded && target.id !== page.chosen ? `${target.id}` : labelOf(target), bx, by, color);
  pen.restore();
}
/** A coloured line with a dark edge, seen on every background.
 *  @param {CanvasRenderingContext2D} pen @param {number} width */
function stroke(pen, width) {
  const color = pen.strokeStyle;
  pen.strokeStyle = "#000a";
  pen.lineWidth = width + 2;
  pen.stroke();
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.stroke();
}
/** @param {CanvasRenderingContext2D} pen @param {string} text @param {number} x @param {number} y @param {string} color */
function drawLabel(pen, text, x, y, color) {
  pen.setLineDash([]);
  pen.font = "600 12px system-ui, sans-serif";
  const width = pen.measureText(text).width + 12;
  const left = Math.max(2, Math.min(x, stage.clientWidth - width - 2));
  const top = y - 22 < 2 ? Math.max(2, y + 4) : y - 22;
  pen.fillStyle = pen.strokeStyle = color;
  pen.lineWidth = 4;  // its round corners are those of the label
  pen.lineJoin = "round";
  pen.fillRect(left + 2, top + 2, width - 4, 14);
  pen.strokeRect(left + 2, top + 2, width - 4, 14);
  pen.fillStyle = "#07090d";
  pen.fillText(text, left + 6, top + 13);
}
/** What is being drawn, or waits for its answer.
 *  @param {CanvasRenderingContext2D} pen
 *  @param {[number, number][]} points @param {boolean} waiting */
function drawShape(pen, points, waiting) {
  const [[x0, y0]] = points, [x1, y1] = points[points.length - 1];
  pen.save();
  pen.strokeStyle = "#fff";
  pen.fillStyle = "#ffffff18";
  if (waiting) pen.setLineDash([6, 5]);
  pen.beginPath();
  if (page.shape === "lasso") { for (const point of points) pen.lineTo(...point); if (waiting) pen.closePath(); }
  else pen.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
  pen.fill();
  stroke(pen, 2);
  pen.restore();
}
function noteLost() {
  const lost = new Set();
  for (const target of page.live) if (target.state === 3) lost.add(target.id);
  for (const id of page.lostSince.keys()) if (!lost.has(id)) page.lostSince.delete(id);
  for (const id of lost) if (!page.lostSince.has(id)) page.lostSince.set(id, performance.now());
}

// ---- drawing ------------------------------------------------------------------------------------

/** @param {PointerEvent} event @returns {Point} in pixels of the image, inside it */
function imagePoint(event) {
  const {scale, left, top, width, height} = place(), area = stage.getBoundingClientRect();
  const x = (event.clientX - area.left - left) / scale, y = (event.clientY - area.top - top) / scale;
  return {x: Math.min(Math.max(x, 0), width), y: Math.min(Math.max(y, 0), height)};
}
overlay.addEventListener("pointerdown", (event) => {
  if (!page.image || page.pointer !== null || event.button !== 0) return;
  overlay.setPointerCapture(event.pointerId);
  overlay.focus({preventScroll: true});
  page.pointer = event.pointerId;
  page.drag = [imagePoint(event)];  // the picture stands still from here on
  event.preventDefault();
});
overlay.addEventListener("pointermove", (event) => {
  if (!page.drag || event.pointerId !== page.pointer) return;
  const point = imagePoint(event), last = page.drag[page.drag.length - 1];
  if (page.shape !== "lasso") page.drag = [page.drag[0], point];
  else if (Math.hypot(point.x - last.x, point.y - last.y) * place().scale >= LASSO_STEP_PX) page.drag.push(point);
  redraw();
});
overlay.addEventListener("pointerup", (event) => {
  if (!page.drag || event.pointerId !== page.pointer) return;
  if (page.shape !== "lasso") page.drag = [page.drag[0], imagePoint(event)];
  const points = page.drag;
  page.drag = page.pointer = null;
  finish(points);
});
overlay.addEventListener("pointercancel", cancel);
overlay.addEventListener("lostpointercapture", (event) => { if (event.pointerId === page.pointer) cancel(); });

/** @param {Point[]} points */
function finish(points) {
  const xs = points.map((point) => point.x), ys = points.map((point) => point.y), {scale} = place();
  const x = Math.min(...xs), y = Math.min(...ys);
  const width = Math.max(...xs) - x, height = Math.max(...ys) - y;
  if (Math.max(width, height) * scale < TAP_PX) tap(points[0]);
  else if (page.shape === "lasso" && points.length >= 3) start("polygon", thinned(points).flatMap(({x, y}) => [x, y]), points);
  else if (width * scale < TAP_PX || height * scale < TAP_PX) say("That is a line; drag a box from corner to corner.", false);
  else start("box", [x, y, width, height], points);
  redraw();
}
/** @param {Point[]} points @returns {Point[]} */
function thinned(points) {
  const step = Math.ceil(points.length / MAX_CORNERS);
  return points.filter((_, index) => index % step === 0);
}
/** @param {string} shape @param {number[]} values @param {Point[]} points */
function start(shape, values, points) {
  if (!page.about) return;
  const rounded = values.map((value) => Math.round(10 * value) / 10);
  ask({type: "start", stamp: page.about.stamp, size: page.about.size, shape, values: rounded, id: page.redraw});
  page.pending = {points, until: performance.now() + 4000};
  page.redraw = 0;
  showHint();
}
/** Choose the target under a tap, or with the tool for it start one.
 *  @param {Point} point */
function tap(point) {
  if (page.shape === "point") { start("point", [point.x, point.y], [point, point]); return; }
  const inside = (page.about?.targets ?? []).filter(({box: [x, y, w, h]}) =>
    point.x >= x && point.x <= x + w && point.y >= y && point.y <= y + h);
  inside.sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3]);
  choose(inside[0]?.id ?? 0);
}
function cancel() {
  page.drag = page.pointer = null;
  page.redraw = 0;
  page.pending = null;
  showHint();
  redraw();
}
function toggleFreeze() {
  if (!page.image) return;
  page.frozen = !page.frozen;
  buttons.freeze.setAttribute("aria-pressed", `${page.frozen}`);
  buttons.freeze.textContent = page.frozen ? "Go on" : "Freeze";
  texts.frozen.hidden = !page.frozen;
  watch();
  showHint();
}
/** @param {"box" | "lasso" | "point"} shape */
function setShape(shape) {
  page.shape = shape;
  for (const name of /** @type {const} */ (["box", "lasso", "point"])) {
    buttons[name].setAttribute("aria-pressed", `${name === shape}`);
  }
  showHint();
}
function showHint() {
  const what = page.redraw ? `target ${page.redraw} again` : "an object";
  const how = {box: "Drag a box around", lasso: "Draw around", point: "Tap"}[page.shape];
  const then = page.redraw ? " Esc cancels." : page.frozen ? " It catches up with the stream." : " to follow it.";
  texts.hint.textContent = `${how} ${what}${page.redraw || page.frozen ? "." : ""}${then}`;
}

// ---- the panel ----------------------------------------------------------------------------------

/** @param {number} id */
function choose(id) {
  page.chosen = id;
  showTargets();
  redraw();
}
/** @param {number} id */
function beginRedraw(id) {
  choose(id);
  page.redraw = id;
  showHint();
}
/** @param {number} id */
function remove(id) { ask({type: "remove", id}); }

function showTargets() {
  const strips = page.status?.strips ?? {};
  const present = new Map(page.live.map((target) => [target.id, target]));
  if (page.chosen && !present.has(page.chosen)) page.chosen = 0;
  for (const item of [...lists.targets.children]) {
    if (item instanceof HTMLElement && !present.has(Number(item.dataset.id))) item.remove();
  }
  for (const target of page.live) {
    const item = itemOf(target.id);
    const state = STATES[target.state] ?? "gone";
    item.dataset.state = state;
    item.dataset.box = target.box.join(",");
    item.classList.toggle("chosen", target.id === page.chosen);
    const [stateText, confidence, reason] = [".state", ".confidence", ".reason"].map((name) => item.querySelector(name));
    if (stateText) { stateText.textContent = state; stateText.className = `state ${state}`; }
    if (confidence) confidence.textContent = confidenceOf(target);
    if (reason instanceof HTMLElement) { reason.textContent = target.reason; reason.hidden = !target.reason; }
    const strip = item.querySelector("canvas");
    if (strip && item.dataset.strip !== strips[target.id]) {
      const cells = strips[target.id] ?? "";
      item.dataset.strip = cells;
      drawStrip(strip, cells);
    }
  }
  texts.count.textContent = page.live.length ? `${page.live.length}` : "";
  texts.none.hidden = page.live.length > 0;
  buttons.reset.disabled = page.live.length === 0;
}
/** @param {number} id @returns {HTMLElement} */
function itemOf(id) {
  const found = lists.targets.querySelector(`[data-id="${id}"]`);
  if (found instanceof HTMLElement) return found;
  const made = targetTemplate.content.firstElementChild?.cloneNode(true);
  if (!(made instanceof HTMLElement)) throw new Error("the page has no template of a target");
  made.dataset.id = `${id}`;
  const badge = made.querySelector(".id");
  if (badge instanceof HTMLElement) { badge.textContent = `${id}`; badge.style.background = colorOf(id); }
  made.addEventListener("click", (event) => {
    const name = event.target instanceof Element ? event.target.className : "";
    if (name.includes("redraw")) beginRedraw(id);
    else if (name.includes("remove")) remove(id);
    else choose(id);
  });
  const after = [...lists.targets.children].find((one) => one instanceof HTMLElement && Number(one.dataset.id) > id);
  lists.targets.insertBefore(made, after ?? null);
  return made;
}
/** @param {HTMLCanvasElement} canvas @param {string} cells */
function drawStrip(canvas, cells) {
  const pen = context(canvas);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (let k = 0; k < cells.length; k += 1) {
    if (cells[k] === " ") continue;
    pen.fillStyle = STATE_COLORS[Number(cells[k])] ?? STATE_COLORS[0];
    pen.fillRect(k, 0, 1, canvas.height);
  }
}
/** @param {Cameras} message */
function showCameras({cameras, shapes}) {
  page.cameras = cameras;
  page.shapes = shapes;
  buttons.point.hidden = !shapes.includes("point");
  if (!cameras.includes(page.camera)) showCamera(cameras[0] ?? "");
  lists.tabs.replaceChildren(...cameras.map((name) => {
    const tab = document.createElement("button");
    tab.textContent = name.replace(/^\//, "").replace(/\/tracker$/, "");
    tab.title = name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", `${name === page.camera}`);
    tab.addEventListener("click", () => showCamera(name));
    return tab;
  }));
}
/** @param {string} name */
function showCamera(name) {
  page.camera = name;
  page.image?.close();
  page.image = page.about = page.status = null;
  page.live = [];
  page.lostSince.clear();
  if (page.frozen) { page.frozen = false; buttons.freeze.setAttribute("aria-pressed", "false"); texts.frozen.hidden = true; buttons.freeze.textContent = "Freeze"; }
  cancel();
  for (const tab of lists.tabs.children) tab.setAttribute("aria-selected", `${/** @type {HTMLElement} */ (tab).title === name}`);
  texts.empty.textContent = name ? `Waiting for images of ${name} …` : "No tracker is on the network yet.";
  lists.targets.replaceChildren();
  showTargets();
  paint();
  watch();
}
/** @param {Status} status */
function showStatus(status) {
  if (status.camera !== page.camera) return;
  page.status = status;
  if (page.frozen || !page.image) { page.live = status.targets; noteLost(); }
  texts.images.textContent = `${status.images_hz.toFixed(1)} Hz`;
  texts.results.textContent = `${status.results_hz.toFixed(1)} Hz`;
  texts.latency.textContent = status.latency_ms ? `${status.latency_ms.map((ms) => ms.toFixed(0)).join(" / ")} ms` : "–";
  texts.delay.textContent = status.delay_ms === null ? "–" : `${status.delay_ms.toFixed(0)} ms`;
  showTargets();
  showHealth(status.diagnostics);
  if (!page.image) {
    const problem = status.diagnostics.find((one) => one.level > 0);
    if (problem) texts.empty.textContent = sentence(problem.message);
  }
  if (page.pending && performance.now() > page.pending.until) redraw();
}
/** @param {Diagnostic[]} diagnostics */
function showHealth(diagnostics) {
  if (diagnostics.length) lists.health.querySelector(".old")?.remove();
  for (const one of diagnostics) {
    let item = [...lists.health.children].find((line) => line instanceof HTMLElement && line.dataset.name === one.name);
    if (!(item instanceof HTMLElement)) {
      item = document.createElement("li");
      /** @type {HTMLElement} */ (item).dataset.name = one.name;
      const details = document.createElement("details");
      details.append(document.createElement("summary"), document.createElement("table"));
      item.append(details);
      lists.health.append(item);
    }
    item.className = ["ok", "warn", "error", "error"][one.level] ?? "error";
    const summary = item.querySelector("summary"), table = item.querySelector("table");
    if (summary) summary.textContent = `${one.name}: ${one.message}`;
    if (!table || !item.querySelector("details")?.open) continue;
    table.replaceChildren(...Object.entries(one.values).map(([key, value]) => {
      const row = document.createElement("tr");
      row.insertCell().textContent = key;
      row.insertCell().textContent = value;
      return row;
    }));
  }
}

// ---- keys, buttons, windows ----------------------------------------------------------------------

const keys = element("keys", HTMLDialogElement);
buttons.freeze.addEventListener("click", toggleFreeze);
buttons.box.addEventListener("click", () => setShape("box"));
buttons.lasso.addEventListener("click", () => setShape("lasso"));
buttons.point.addEventListener("click", () => setShape("point"));
buttons.reset.addEventListener("click", () => remove(0));
buttons.help.addEventListener("click", () => keys.showModal());

/** @type {Record<string, () => void>} */
const KEYS = {
  " ": toggleFreeze,
  b: () => setShape("box"),
  l: () => setShape("lasso"),
  p: () => { if (page.shapes.includes("point")) setShape("point"); },
  r: () => { if (page.chosen) beginRedraw(page.chosen); },
  x: () => { if (page.chosen) remove(page.chosen); },
  X: () => { if (page.live.length) remove(0); },
  "[": () => showCamera(neighbour(-1)),
  "]": () => showCamera(neighbour(1)),
  "?": () => keys.showModal(),
  Escape: cancel,
};
/** @param {number} step */
function neighbour(step) {
  const count = page.cameras.length;
  return page.cameras[(page.cameras.indexOf(page.camera) + step + count) % count] ?? page.camera;
}
document.addEventListener("keydown", (event) => {
  if (keys.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const digit = Number(event.key);
  if (digit >= 1 && page.live.some(({id}) => id === digit)) choose(digit);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});
document.addEventListener("visibilitychange", watch);
new ResizeObserver(() => { paint(); redraw(); }).observe(stage);
texts.empty.textContent = "Connecting …";
showHint();
connect();

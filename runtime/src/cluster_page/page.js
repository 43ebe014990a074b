// Shows what `/cluster/status` says, once a second. Nothing of it becomes HTML: names of nodes and topics are text.
"use strict";

const EVERY_MS = 1000;
const TAKEOVERS_SHOWN = 20;

const cell = (text, kind) => ({ text: text ?? "", kind });

function fill(id, rows) {
  const body = document.querySelector(`#${id} tbody`);
  const numbers = [...document.querySelectorAll(`#${id} th`)].map((head) => head.className === "number");
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((one, column) => {
      const { text, kind } = typeof one === "object" && one !== null ? one : cell(one);
      const data = row.insertCell();
      data.textContent = text;
      data.classList.toggle("number", numbers[column]);
      if (kind) data.classList.add(kind);
    });
    return row;
  }));
}

function ago(seconds) {
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function show({ asked, now_seconds: now, nodes }) {
  const status = nodes[asked];
  const at = (node, { topic, partition }) =>
    nodes[node]?.partitions.find((one) => one.topic === topic && one.partition === partition);
  const name = ({ topic, partition }) => `${topic}/${partition}`;

  document.title = `${status.service}: cluster`;
  document.querySelector("#title").textContent = `${status.service} ${status.version}, cluster ${status.cluster}`;

  fill("nodes", status.nodes.map((node) => {
    const seen = nodes[node.id];
    const phases = (phase) => seen?.partitions.filter((one) => one.phase === phase).length ?? "";
    let state = cell("ready", "good");
    if (!seen) state = cell("does not answer", "bad");
    else if (node.cut_off) state = cell("cut off from the log", "bad");
    else if (node.draining) state = cell("draining", "warn");
    else if (!seen.ready) state = cell("not ready", "warn");
    const title = node.planner ? `${node.id} (makes the plan)` : node.id;
    return [title, state, node.zone, node.version, node.http, phases("serving"), phases("standby")];
  }));

  const takeovers = [];
  let leaderless = 0;
  fill("partitions", status.partitions.map((seen) => {
    const owned = seen.owner === null ? undefined : at(seen.owner, seen);
    const shown = owned ?? seen;
    let state = cell(shown.phase, shown.phase === "serving" ? "good" : "warn");
    if (shown.phase === "halted") state = cell("halted", "bad");
    else if (seen.owner === null) state = cell("leaderless", "bad");
    else if (!owned) state = cell("owner does not answer", "bad");
    if (state.kind === "bad") leaderless += 1;
    if (owned?.phase === "serving") takeovers.push({ ...owned, owner: seen.owner });
    const standbys = seen.standbys.map((standby) => {
      const copy = at(standby, seen);
      if (copy?.staleness_ms === undefined) return `${standby} (?)`;
      return `${standby} (−${Math.max(0, shown.position - copy.position)}, ${copy.staleness_ms} ms)`;
    });
    return [name(seen), state, seen.owner, standbys.join(", "), shown.epoch, shown.keys, shown.bytes, shown.position, shown.queue,
      shown.snapshot ? shown.snapshot.age_seconds === null ? "?" : ago(shown.snapshot.age_seconds) : ""];
  }));

  takeovers.sort((one, other) => other.taken_over_seconds - one.taken_over_seconds || name(one).localeCompare(name(other)));
  fill("takeovers", takeovers.slice(0, TAKEOVERS_SHOWN).map((one) =>
    [name(one), one.owner, one.epoch, ago(Math.max(0, now - one.taken_over_seconds))]));

  const answering = status.nodes.filter((node) => nodes[node.id]).length;
  const summary = document.querySelector("#summary");
  summary.textContent = `${answering} of ${status.nodes.length} nodes answer; ${leaderless} of ${status.partitions.length} partitions without a working owner; `
    + `plan ${status.coordinator.plan}, as node ${asked} sees it`;
  summary.className = answering < status.nodes.length || leaderless ? "warn" : "good";
}

async function look() {
  try {
    const answer = await fetch("/cluster/status", { cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    show(await answer.json());
  } catch (error) {
    const summary = document.querySelector("#summary");
    summary.textContent = `this node does not answer: ${error.message}`;
    summary.className = "bad";
  }
  setTimeout(look, EVERY_MS);
}

look();

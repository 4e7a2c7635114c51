'use strict';
// Everything shown comes from /status, /schemas and /connections of the proxy that served this page.
const TOKEN = 'mongosluice-token';
const WINDOW_MS = 5 * 60 * 1000;
const $ = (id) => document.getElementById(id);
const TRIED_NAMESPACES = 5;
const TRIED_ROWS = 10;
const POOLS_SHOWN = 50;
let samples = [];
let newest = 0;
let turn = 0;

// --- numbers ------------------------------------------------------------------------------------

function short(value, digits = 1) {
  if (value >= 1e9) return (value / 1e9).toFixed(digits) + 'G';
  if (value >= 1e6) return (value / 1e6).toFixed(digits) + 'M';
  if (value >= 1e4) return (value / 1e3).toFixed(digits) + 'k';
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 10 ? 1 : 2);
}

function bytes(value) {
  for (const [size, unit] of [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']])
    if (value >= size) return (value / size).toFixed(value >= 10 * size ? 0 : 1) + ' ' + unit;
  return Math.round(value) + ' B';
}

function milliseconds(value) {
  if (value >= 1000) return (value / 1000).toFixed(2) + ' s';
  if (value === 0) return '0 ms';
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2) + ' ms';
}

function span(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return Math.round(ms) + ' ms';
  if (seconds < 60) return seconds + ' s';
  if (seconds < 3600) return Math.floor(seconds / 60) + ' min';
  if (seconds < 86400) return Math.floor(seconds / 3600) + ' h ' + Math.floor(seconds / 60) % 60 + ' min';
  return Math.floor(seconds / 86400) + ' d ' + Math.floor(seconds / 3600) % 24 + ' h';
}

const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');

// --- the document -------------------------------------------------------------------------------

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

// rows: [[text or {text, kind, title}, …], …]
function fill(id, rows) {
  const body = $(id).tBodies[0];
  const columns = [...$(id).tHead.rows[0].cells];
  body.replaceChildren(...rows.map((row) => {
    const line = element('tr');
    row.forEach((cell, at) => {
      const {text, kind = '', title, code} = typeof cell === 'object' ? cell : {text: cell};
      const made = element('td', (columns[at].className + ' ' + kind).trim());
      if (code) made.append(element('code', '', text));
      else made.textContent = text;
      if (title) made.title = title;
      line.append(made);
    });
    return line;
  }));
  $(id).hidden = rows.length === 0;
  const empty = $('no-' + id);
  if (empty) empty.hidden = rows.length > 0;
}

// --- charts -------------------------------------------------------------------------------------

const SVG = 'http://www.w3.org/2000/svg';

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The next of 1, 2, 5, 10, 20, … that is not under the value.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}

class Chart {
  // series: [{key, name}], `least`: the smallest top of the scale
  constructor(id, title, series, format, least) {
    Object.assign(this, {series, format, least, root: $(id), hover: null});
    const caption = element('figcaption');
    caption.append(element('h2', '', title));
    this.values = series.map((one, at) => {
      const label = element('span');
      const value = element('b', '', '–');
      label.append(element('i', ['first', 'second', 'third'][one.colour ?? at]), one.name, value);
      caption.append(label);
      return value;
    });
    this.svg = shape('svg', {role: 'img', 'aria-label': title});
    this.root.append(caption, this.svg);
    this.svg.addEventListener('pointermove', (event) => {
      this.hover = event.offsetX;
      this.draw();
    });
    this.svg.addEventListener('pointerleave', () => {
      this.hover = null;
      this.draw();
    });
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  draw() {
    const width = this.svg.clientWidth;
    const height = this.svg.clientHeight;
    if (width === 0) return;
    const [left, right, top, bottom] = [46, 4, 6, 18];
    const end = newest || Date.now();
    const x = (ms) => left + (width - left - right) * (1 - (end - ms) / WINDOW_MS);
    const shown = samples.filter((sample) => sample.at_ms > end - WINDOW_MS);
    const peak = Math.max(this.least, ...this.series.flatMap(({key}) => shown.map((s) => s[key])));
    const scale = ceiling(peak);
    const y = (value) => top + (height - top - bottom) * (1 - value / scale);
    const parts = [];
    for (const part of [0, 0.5, 1]) {
      parts.push(shape('line', {class: 'grid', x1: left, x2: width - right, y1: y(part * scale), y2: y(part * scale)}));
      const label = shape('text', {x: left - 8, y: y(part * scale) + 4, 'text-anchor': 'end'});
      label.textContent = part === 0 ? '0' : this.format(part * scale);
      parts.push(label);
    }
    for (const minutes of [4, 3, 2, 1, 0]) {
      const anchor = minutes === 0 ? 'end' : 'middle';
      const label = shape('text', {x: x(end - minutes * 60000), y: height - 3, 'text-anchor': anchor});
      label.textContent = minutes === 0 ? 'now' : '−' + minutes + ' min';
      parts.push(label);
    }
    this.series.forEach(({key, colour}, at) => {
      if (shown.length < 2) return;
      const name = ['first', 'second', 'third'][colour ?? at];
      const line = shown.map((s) => x(s.at_ms).toFixed(1) + ',' + y(s[key]).toFixed(1)).join('L');
      const from = x(shown[0].at_ms).toFixed(1);
      const to = x(shown[shown.length - 1].at_ms).toFixed(1);
      if (at === 0)
        parts.push(shape('path', {class: 'area ' + name, d: `M${from},${y(0)}L${line}L${to},${y(0)}Z`}));
      parts.push(shape('path', {class: 'series ' + name, d: 'M' + line}));
    });
    let at = shown[shown.length - 1];
    if (this.hover !== null && shown.length > 0) {
      at = shown.reduce((best, s) => Math.abs(x(s.at_ms) - this.hover) < Math.abs(x(best.at_ms) - this.hover) ? s : best);
      parts.push(shape('line', {class: 'cursor', x1: x(at.at_ms), x2: x(at.at_ms), y1: top, y2: height - bottom}));
    }
    this.values.forEach((value, index) => {
      value.textContent = at === undefined ? '–' : this.format(at[this.series[index].key]);
    });
    this.svg.replaceChildren(...parts);
  }
}

const charts = [
  new Chart('c-throughput', 'Throughput', [{key: 'requests', name: 'requests/s'}], (v) => short(v), 10),
  new Chart('c-latency', 'Latency of the servers', [{key: 'latency_p99_ms', name: 'p99', colour: 1},
    {key: 'latency_p50_ms', name: 'p50', colour: 0}], milliseconds, 1),
  new Chart('c-documents', 'Documents checked', [{key: 'passed', name: 'passed/s'},
    {key: 'refused', name: 'refused/s', colour: 2}], (v) => short(v), 10),
  new Chart('c-batches', 'Merged inserts', [{key: 'batch_documents', name: 'documents each'},
    {key: 'batches', name: 'batches/s'}], (v) => short(v), 10),
];

// --- what goes on -------------------------------------------------------------------------------

function showState(status) {
  const kind = status.state === 'running' ? (status.ready ? 'good' : 'bad') : 'wait';
  $('state').className = 'pill ' + kind;
  write('state', status.state === 'running' && !status.ready ? 'not ready' : status.state);
  $('notice').hidden = status.ready;
  write('notice', status.reason);
  write('where', [status.upstream.set_name || status.upstream.kind, 'version ' + status.version,
    'up ' + span(status.uptime_ms)].join(' · '));
}

// Faults that wait for an operator.
function showTroubles(status) {
  const troubles = [];
  if (status.reload && !status.reload.ok) troubles.push('The last reload failed: ' + status.reload.error);
  if (status.certificates_problem) troubles.push('Changed certificate files: ' + status.certificates_problem);
  for (const {option, valid_until_ms} of status.certificates) {
    const days = (valid_until_ms - status.now_ms) / 86400000;
    if (days < 14)
      troubles.push('The certificate ' + option + (days <= 0 ? ' has expired' : ' expires in ' + days.toFixed(1) + ' days'));
  }
  $('troubles').hidden = troubles.length === 0;
  $('troubles').replaceChildren(...troubles.map((text) => element('li', '', text)));
}

function showTiles(status) {
  const now = status.now || {};
  const {memory, connections} = status;
  write('t-requests', short(now.requests ?? 0));
  write('t-bytes', bytes(now.request_bytes ?? 0) + '/s in, ' + bytes(now.reply_bytes ?? 0) + '/s out');
  write('t-latency', milliseconds(now.latency_p50_ms ?? 0));
  write('t-latency-99', 'p99 ' + milliseconds(now.latency_p99_ms ?? 0));
  write('t-clients', short(connections.clients));
  write('t-running', connections.phases.running + ' running, ' + connections.upstream + ' to servers');
  write('t-passed', short((now.passed ?? 0) + (now.refused ?? 0)));
  write('t-refused', short(status.validation.refused) + ' refused in all');
  write('t-memory', bytes(memory.resident_bytes));
  write('t-buffers', bytes(memory.buffer_bytes) + ' of buffers');
  write('t-errors', short(now.errors ?? 0));
  const {paused, connecting, waiting} = connections.phases;
  const all = paused + connecting + waiting;
  write('t-waiting', all === 0 ? 'nobody waits' : all + ' wait, ' + milliseconds(connections.oldest_wait_ms));
}

function showRefusals(refusals) {
  $('no-refusals').hidden = refusals.length > 0;
  $('refusals').replaceChildren(...refusals.map((refusal) => {
    const line = element('li');
    const ns = element('span', 'ns', refusal.ns);
    ns.title = refusal.ns;
    if (refusal.warned) ns.append(element('span', 'tag', 'warned'));
    line.append(element('time', '', clock(refusal.at_ms)), ns, element('span', 'reason', refusal.reason));
    if (refusal.info) {
      const info = element('pre');
      info.append(element('code', '', JSON.stringify(refusal.info, null, 1)));
      line.append(info);
    }
    return line;
  }));
}

function showCommands(commands) {
  const rows = Object.entries(commands).sort((a, b) => b[1] - a[1]).slice(0, 10);
  const most = rows.length > 0 ? rows[0][1] : 1;
  $('no-commands').hidden = rows.length > 0;
  $('commands').replaceChildren(...rows.flatMap(([name, count]) => {
    const track = element('div', 'track');
    const bar = element('div');
    bar.style.width = 100 * count / most + '%';
    track.append(bar);
    return [element('span', '', name), track, element('span', 'n', short(count))];
  }));
}

function showStatus(status) {
  const {columns, rows} = status.samples;
  for (const row of rows)
    samples.push(Object.fromEntries(columns.map((name, at) => [name, row[at]])));
  samples = samples.slice(-300);
  newest = samples.length > 0 ? samples[samples.length - 1].at_ms : 0;
  showState(status);
  showTroubles(status);
  showTiles(status);
  showRefusals(status.validation.refusals);
  $('broken-card').hidden = status.validation.broken.length === 0;
  fill('broken', status.validation.broken.map(({file, error}) => [{text: file, kind: 'cut', title: file}, {text: error, kind: 'bad'}]));
  showCommands(status.commands);
  fill('servers', status.upstream.servers.map((server) => [server.address, server.type,
    server.error ? {text: server.error, kind: 'bad cut', title: server.error} : {text: 'reachable', kind: 'good'}]));
  charts.forEach((chart) => chart.draw());
}

function showSchemas({schemas, total}) {
  write('schema-count', total > schemas.length ? schemas.length + ' of ' + total : total > 0 ? String(total) : '');
  const refused = (schema) => schema.counts.refused + schema.counts.unproved_rejected;
  schemas.sort((a, b) => refused(b) - refused(a));
  fill('schemas', schemas.map((schema) => [
    {text: schema.ns, kind: 'cut', title: schema.ns}, schema.action, schema.level, short(schema.counts.passed),
    {text: short(refused(schema)), kind: refused(schema) > 0 ? 'bad' : ''}, short(schema.counts.warned),
    {text: schema.origin === 'file' ? schema.source.split('/').pop() : 'collection', kind: 'cut', title: schema.source},
    {text: schema.hash.slice(0, 12), title: schema.hash, code: true}]));
}

function versionState(version, at) {
  if (at === 0) return {text: 'newest', kind: 'good'};
  if (!version.accepted) return {text: 'not accepted any more', kind: 'bad'};
  if (version.accepted_until_ms === null) return 'accepted';
  return 'accepted until ' + new Date(version.accepted_until_ms).toISOString().slice(0, 16).replace('T', ' ') + ' UTC';
}

function versionRow(ns, version, state, refused, undecided) {
  return [{text: ns, kind: 'cut', title: ns}, version.name ?? '', state, short(version.passed), refused, undecided,
    {text: version.hash.slice(0, 12), title: version.hash, code: true}];
}

function showVersions({schemas}) {
  const several = schemas.filter((schema) => schema.versions.length > 1 || schema.candidate);
  $('versions-card').hidden = several.length === 0;
  fill('versions', several.flatMap(({ns, versions, candidate}) => [
    ...versions.map((version, at) => versionRow(ns, version, versionState(version, at), '', '')),
    ...(candidate ? [versionRow(ns, candidate, 'candidate',
      {text: short(candidate.refused), kind: candidate.refused > 0 ? 'wait' : ''}, short(candidate.undecided))] : [])]));
  return several.filter((schema) => schema.candidate && schema.candidate.refused > 0)
    .sort((a, b) => b.candidate.refused - a.candidate.refused).slice(0, TRIED_NAMESPACES).map((schema) => schema.ns);
}

function showTried(schemas) {
  $('tried-title').hidden = schemas.length === 0;
  fill('tried', schemas.flatMap(({ns, candidate}) => (candidate?.rows ?? []).slice(0, TRIED_ROWS).map((row) => [
    {text: ns, kind: 'cut', title: ns}, row.path || '(document)', row.reason ?? '(nobody looked why)',
    row.application || '(none)', row.driver || '(none)', short(row.count)])));
}

const PHASES = {running: 'good', awaiting: 'good', connecting: 'wait', waiting: 'wait', paused: 'wait', closing: 'bad'};

function showConnections({connections, clients}) {
  write('connection-count', clients > connections.length ? connections.length + ' of ' + clients
    : clients > 0 ? String(clients) : '');
  fill('connections', connections.map((one) => [
    String(one.id), one.remote, {text: one.state, kind: PHASES[one.state]},
    one.command + (one.in_transaction ? ' (transaction)' : ''), span(one.state_ms),
    {text: one.identity || '–', kind: 'cut', title: one.identity}, {text: one.server, kind: 'cut', title: one.server},
    span(one.connected_ms)]));
}

// the fullest first; a proxy without shared connections has no pools
function showPools({pools}) {
  const used = pools.filter((pool) => pool.size + pool.own + pool.waiting > 0);
  $('pools-card').hidden = used.length === 0;
  write('pool-count', used.length > POOLS_SHOWN ? POOLS_SHOWN + ' of ' + used.length : String(used.length));
  used.sort((a, b) => b.waiting - a.waiting || b.size + b.own - a.size - a.own);
  fill('pools', used.slice(0, POOLS_SHOWN).map((pool) => [
    {text: pool.kind === 'own' ? '(logins and own connections)' : pool.users || (pool.kind === 'users' ? '(a user)' : '(nobody)'),
      kind: 'cut', title: pool.users},
    {text: pool.application || '–', kind: 'cut', title: pool.application}, {text: pool.server, kind: 'cut', title: pool.server},
    short(pool.kind === 'own' ? pool.own : pool.size), short(pool.idle), short(pool.leased), short(pool.awaiting),
    {text: short(pool.waiting), kind: pool.waiting > 0 ? 'wait' : ''},
    pool.waiting > 0 ? milliseconds(pool.oldest_wait_ms) : '–']));
}

// --- asking -------------------------------------------------------------------------------------

class Unauthorized extends Error {}

async function get(path) {
  const token = sessionStorage.getItem(TOKEN);
  const reply = await fetch(path, {headers: token ? {Authorization: 'Bearer ' + token} : {}, cache: 'no-store'});
  if (reply.status === 401) throw new Unauthorized();
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.error);
  return body;
}

function askForToken(again) {
  sessionStorage.removeItem(TOKEN);
  $('main').hidden = true;
  $('login').hidden = false;
  if (again) write('login-error', 'That is not the token.');
  $('token').focus();
}

function showProblem(error) {
  $('state').className = 'pill bad';
  write('state', 'no answer');
  $('notice').hidden = false;
  write('notice', 'The proxy does not answer: ' + error.message + '. Trying again.');
}

async function refresh() {
  showStatus(await get('/status?since=' + newest));
  if (turn++ % 2 === 0) {
    showConnections(await get('/connections?limit=50'));
    showPools(await get('/pools'));
    const schemas = await get('/schemas?limit=200');
    showSchemas(schemas);
    showTried(await Promise.all(showVersions(schemas).map((ns) => get('/schemas/' + encodeURIComponent(ns)))));
  }
  $('login').hidden = true;
  $('main').hidden = false;
}

async function loop() {
  try {
    await refresh();
  } catch (error) {
    if (error instanceof Unauthorized) return askForToken(sessionStorage.getItem(TOKEN) !== null);
    showProblem(error);
  }
  setTimeout(loop, document.hidden ? 10000 : 1000);
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $('token').value.trim());
  $('token').value = '';
  turn = 0;
  loop();
});

if (document.body.dataset.token === 'yes' && !sessionStorage.getItem(TOKEN)) askForToken(false);
else loop();

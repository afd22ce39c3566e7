'use strict';
(() => {
  const make = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) e.setAttribute(name, value);
    e.append(...children);
    return e;
  };
  const root = document.documentElement;
  let theme; // values of the variables, read once for each change
  const color = name => {
    theme ||= getComputedStyle(root);
    return theme.getPropertyValue(name).trim();
  };

  // ---- numbers
  const digits = (v, n = 4) => String(+v.toPrecision(n));
  const scaled = (v, unit, n) => {
    const size = Math.abs(v);
    for (const [factor, prefix] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
      if (size >= factor * 0.99995) return digits(v / factor, n) + ' ' + prefix + unit;
    }
    return digits(v, n) + (unit ? ' ' + unit : '');
  };
  const duration = (v, n) => {
    const [factor, unit] = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']].find(([f]) => Math.abs(v) >= f * 0.99995) || [1, 'ns'];
    return digits(v / factor, n) + ' ' + unit;
  };
  const written = {
    'ratio': (v, n) => digits(100 * v, n) + ' %',
    'ns': duration,
    's': (v, n) => Math.abs(v) >= 7200 ? digits(v / 3600, n) + ' h' : Math.abs(v) >= 600 ? digits(v / 60, n) + ' min' : digits(v, n) + ' s',
  };
  const write = (unit, v, n) => written[unit] ? written[unit](v, n) : scaled(v, unit, n);

  // ---- files
  const unpack = async id => {
    const text = atob(document.getElementById(id).textContent.trim());
    const octets = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
    return new Response(new Blob([octets]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  };
  const save = (blob, name) => {
    const url = URL.createObjectURL(blob);
    const link = make('a', {href: url, download: name});
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  };
  const draw = async svg => { // at 300 dots per inch, as long as a canvas may be so large
    const url = URL.createObjectURL(new Blob([svg], {type: 'image/svg+xml'}));
    try {
      const picture = new Image();
      picture.src = url;
      await picture.decode();
      const scale = Math.min(300 / 96, 8000 / picture.naturalWidth, 8000 / picture.naturalHeight);
      const canvas = make('canvas', {width: Math.round(picture.naturalWidth * scale), height: Math.round(picture.naturalHeight * scale)});
      canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
      return await new Promise((done, failed) => canvas.toBlob(b => b ? done(b) : failed(new Error('no picture')), 'image/png'));
    } finally {
      URL.revokeObjectURL(url);
    }
  };
  if (window.DecompressionStream) {
    const button = (b, work) => {
      b.hidden = false;
      b.addEventListener('click', async () => {
        try {
          save(await work(b.dataset), b.dataset.name);
        } catch (error) {
          b.textContent = 'not saved: ' + error.message;
        }
      });
    };
    for (const b of document.querySelectorAll('[data-gzip]')) button(b, async d => new Blob([await unpack(d.gzip)], {type: d.type}));
    for (const b of document.querySelectorAll('[data-picture]')) button(b, async d => draw(await unpack(d.picture)));
  }

  // ---- what does not fit
  const fits = new ResizeObserver(entries => {
    for (const {target} of entries) target.classList.toggle('overflows', target.scrollWidth > target.clientWidth + 1);
  });
  for (const e of document.querySelectorAll('.scroll')) fits.observe(e);
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not(.screen):not(.long):not([open])')];
    for (const d of closed) d.open = true;
  });
  addEventListener('afterprint', () => {
    for (const d of closed) d.open = false;
  });

  // ---- plots
  const dashes = [[], [5, 3], [1.5, 3]];
  const colorOf = s => color('--s' + s.c % 7);
  const dashOf = s => dashes[Math.floor(s.c / 7) % dashes.length];
  // shapes are filled or, every second round, hollow; their order is that of the pictures.
  const shapes = [
    (p, x, y, r) => p.arc(x, y, r, 0, 7),
    (p, x, y, r) => p.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
    (p, x, y, r) => { p.moveTo(x, y - r * 1.2); p.lineTo(x + r * 1.1, y + r * 0.8); p.lineTo(x - r * 1.1, y + r * 0.8); p.closePath(); },
    (p, x, y, r) => { p.moveTo(x - r, y - r); p.lineTo(x + r, y + r); p.moveTo(x + r, y - r); p.lineTo(x - r, y + r); },
    (p, x, y, r) => p.arc(x, y, r, 0, 7),
    (p, x, y, r) => p.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
    (p, x, y, r) => { p.moveTo(x, y - r * 1.2); p.lineTo(x + r * 1.1, y + r * 0.8); p.lineTo(x - r * 1.1, y + r * 0.8); p.closePath(); },
    (p, x, y, r) => { p.moveTo(x - r * 1.2, y); p.lineTo(x + r * 1.2, y); p.moveTo(x, y - r * 1.2); p.lineTo(x, y + r * 1.2); },
  ];
  const solid = s => s.c % 8 < 3;
  // Outlined marks stand for what was found, as an NDR, among the points that were measured.
  const outlines = {
    diamond: (p, x, y, r) => { p.moveTo(x, y - r); p.lineTo(x + r * 0.75, y); p.lineTo(x, y + r); p.lineTo(x - r * 0.75, y); p.closePath(); },
    down: (p, x, y, r) => { p.moveTo(x - r * 0.9, y - r * 0.75); p.lineTo(x + r * 0.9, y - r * 0.75); p.lineTo(x, y + r * 0.95); p.closePath(); },
  };
  const mark = (context, s, x, y, r, ratio) => {
    const path = new Path2D();
    context.setLineDash([]);
    if (outlines[s.m]) {
      outlines[s.m](path, x, y, r * 1.9);
      context.fill(path);
      context.save();
      context.strokeStyle = color('--ink');
      context.lineWidth = 0.9 * ratio;
      context.stroke(path);
      context.restore();
      return;
    }
    shapes[s.c % 8](path, x, y, r);
    if (solid(s)) {
      context.fill(path);
    } else {
      context.lineWidth = 1.4 * ratio;
      context.stroke(path);
    }
  };
  const paths = {diamond: 'M13 0.5L17 6L13 11.5L9 6z', down: 'M8 2H18L13 11z'};
  const swatch = (s, parts) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 26 12');
    svg.setAttribute('aria-hidden', 'true');
    const add = (tag, attributes) => {
      const e = document.createElementNS(svg.namespaceURI, tag);
      for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
      svg.append(e);
    };
    const ink = 'var(--s' + s.c % 7 + ')';
    if (parts.some(p => p.line)) {
      add('path', {d: 'M1 6H25', fill: 'none', style: 'stroke:' + ink, 'stroke-width': 2, 'stroke-dasharray': dashOf(s).join(' ')});
    }
    if (parts.some(p => p.dots && !p.m)) {
      const d = ['M17 6a4 4 0 1 1-8 0a4 4 0 1 1 8 0', 'M9.4 2.4h7.2v7.2h-7.2z', 'M13 1.2L17.4 9.2H8.6z', 'M9 2L17 10M17 2L9 10',
        'M17 6a4 4 0 1 1-8 0a4 4 0 1 1 8 0', 'M9.4 2.4h7.2v7.2h-7.2z', 'M13 1.2L17.4 9.2H8.6z', 'M8.2 6H17.8M13 1.2V10.8'][s.c % 8];
      add('path', {d, style: (solid(s) ? 'stroke:none;fill:' : 'fill:none;stroke-width:1.5;stroke:') + ink});
    }
    if (paths[s.m]) add('path', {d: paths[s.m], style: 'fill:var(--soft);stroke:var(--ink)', 'stroke-width': 0.9});
    return svg;
  };

  class Plot {
    constructor(figure, data) {
      this.figure = figure;
      this.series = data.s;
      this.axes = {x: data.x, y: data.y};
      this.log = {x: data.x.log, y: data.y.log};
      this.shown = data.s.map(() => true);
      // One row for each point of any series, so that points which share an x stay apart.
      this.rows = [];
      data.s.forEach((s, i) => s.p.forEach(p => this.rows.push({s: i, x: p[0], y: p[1], low: p[2], high: p[3], note: p[4]})));
      this.rows.sort((a, b) => a.x - b.x || a.s - b.s);
      this.can = {};
      for (const k of ['x', 'y']) {
        const values = this.rows.map(r => r[k]);
        const positive = values.filter(v => v > 0);
        this.can[k] = k === 'x' ? positive.length === values.length : positive.length > 0 && values.every(v => v >= 0);
        this.log[k] &&= this.can[k];
      }
      const least = Math.min(...this.rows.filter(r => r.y > 0).map(r => r.y));
      // Zeros stand one decade below the least value, on a line labelled 0.
      this.zeros = this.rows.some(r => r.y === 0);
      this.floor = 10 ** (Math.floor(Math.log10(least) + 1e-9) - 1);
      this.layout(data);
    }

    layout(data) {
      const place = this.figure.querySelector('.plot');
      const title = this.figure.querySelector('h3').textContent;
      this.board = make('div', {class: 'board', tabindex: 0, role: 'group',
        'aria-label': title + '. Arrow keys go from point to point, plus and minus zoom, 0 shows all.'});
      this.tip = make('div', {class: 'tip'});
      this.tip.hidden = true;
      this.said = make('div', {class: 'skip', 'aria-live': 'polite'});
      const tools = make('div', {class: 'tools'});
      const tool = (text, label, act) => {
        const b = make('button', {type: 'button', 'aria-label': label}, text);
        b.addEventListener('click', act);
        tools.append(b);
        return b;
      };
      for (const k of ['x', 'y']) {
        if (!this.can[k]) continue;
        const b = tool('log ' + k, 'logarithmic ' + k + ' axis: ' + this.axes[k].title, () => {
          this.log[k] = !this.log[k];
          b.setAttribute('aria-pressed', this.log[k]);
          this.build();
        });
        b.setAttribute('aria-pressed', this.log[k]);
        b.dataset.log = k;
      }
      tool('+', 'zoom in', () => this.zoom(0.5));
      tool('−', 'zoom out', () => this.zoom(2));
      this.reset = tool('Reset', 'show all', () => this.all());
      tools.append(make('span', {class: 'hint'}, 'Drag to zoom; a double click shows all.'));
      this.key = make('ul', {class: 'key', 'aria-label': 'Legend'});
      this.series.forEach((s, i) => {
        if (this.series.some((o, j) => j !== i && o.n === s.of)) return;
        const parts = this.series.filter((o, j) => j === i || o.of === s.n);
        const b = make('button', {type: 'button', 'aria-pressed': true, title: 'show or hide'}, swatch(s, parts), make('span', null, s.n));
        b.addEventListener('click', () => {
          const on = b.getAttribute('aria-pressed') !== 'true';
          b.setAttribute('aria-pressed', on);
          this.series.forEach((o, j) => {
            if (j !== i && o.of !== s.n) return;
            this.shown[j] = on;
            this.u.setSeries(j + 1, {show: on});
          });
          this.leave();
        });
        this.key.append(make('li', null, b));
      });
      for (const m of data.m || []) this.key.append(make('li', {class: 'mark'}, swatch(m, []), m.n));
      place.append(tools, make('div', {class: 'axis-y'}, this.axes.y.title), this.board, make('div', {class: 'axis-x'}, this.axes.x.title),
        this.key, this.tip, this.said);
      place.hidden = false;
      this.figure.classList.add('plotted');
      this.place = place;
      this.figure.plot = this;
      this.board.addEventListener('keydown', e => this.press(e));
      this.board.addEventListener('blur', () => this.leave());
      this.build();
      new ResizeObserver(() => requestAnimationFrame(() => {
        const {width, height} = this.size();
        if (width > 0 && (width !== this.u.width || height !== this.u.height)) this.u.setSize({width, height});
      })).observe(this.board);
    }

    size() {
      const width = Math.floor(this.board.clientWidth);
      return {width, height: Math.round(Math.min(430, Math.max(270, width * 0.55)))};
    }

    at(r) { return this.log.y && r.y === 0 ? this.floor : r.y; } // where a row is drawn

    // range is that of all that is shown: of x, or of y between two values of x.
    range(k, from = -Infinity, to = Infinity) {
      let low = Infinity, high = -Infinity;
      for (const r of this.rows) {
        if (!this.shown[r.s] || r.x < from || r.x > to) continue;
        for (const v of k === 'x' ? [r.x] : [this.at(r), r.low, r.high]) {
          if (v == null || this.log[k] && v <= 0) continue;
          low = Math.min(low, v);
          high = Math.max(high, v);
        }
      }
      if (low > high) return this.log[k] ? [1, 10] : [0, 1];
      if (this.log[k]) {
        if (k === 'y' && this.zeros && low <= this.floor) return [this.floor, Math.max(high * 1.6, this.floor * 100)];
        const room = high > low ? (high / low) ** 0.04 : 2;
        return [low / room, high * room];
      }
      const room = high > low ? (high - low) * 0.04 : Math.abs(high) * 0.1 || 1;
      return [low >= 0 && low < high * 0.5 ? 0 : low - room, high + room];
    }

    build() {
      if (this.u) this.u.destroy();
      this.leave();
      const axis = k => ({
        scale: k,
        stroke: () => color('--soft'),
        font: '12px system-ui, sans-serif',
        grid: {stroke: () => color('--grid'), width: 1},
        ticks: {stroke: () => color('--line'), width: 1, size: 5},
        gap: 4,
        space: k === 'x' ? 64 : 34,
        values: (u, values) => values.map(v => v == null ? '' :
          k === 'y' && this.log.y && this.zeros && v <= this.floor * 1.001 ? '0' : this.label(k, v)),
        size: (u, values) => k === 'x' ? 30 : 14 + Math.max(24, ...(values || []).map(v => {
          u.ctx.font = '12px system-ui, sans-serif';
          return u.ctx.measureText(v || '').width;
        })),
      });
      const first = this.rows[0].x, last = this.rows[this.rows.length - 1].x; // asked for so: all
      const tight = k => this.log[k] ? {splits: (u, i, low, high) => this.ticks(k, u, low, high), filter: (u, splits) => this.few(splits, k, u)} : {};
      this.u = new uPlot({
        ...this.size(),
        padding: [10, 16, 0, 0],
        legend: {show: false},
        cursor: {
          points: {show: false},
          drag: {x: true, y: true, uni: 24, setScale: true},
          bind: {dblclick: () => () => this.all()},
        },
        scales: {
          x: {time: false, distr: this.log.x ? 3 : 1, range: (u, low, high) => this.span = low === first && high === last ? this.range('x') : [low, high]},
          y: {distr: this.log.y ? 3 : 1, range: () => this.range('y', ...this.span)},
        },
        axes: [{...axis('x'), ...tight('x')}, {...axis('y'), ...tight('y')}],
        series: [{}, ...this.series.map((s, i) => ({
          label: s.n,
          scale: 'y',
          show: this.shown[i],
          stroke: () => s.line ? colorOf(s) : 'transparent',
          width: s.line ? 1.7 : 0,
          alpha: s.line && s.dots ? 0.6 : 1,
          dash: dashOf(s),
          spanGaps: true,
          points: {show: false},
        }))],
        hooks: {draw: [u => this.paint(u)], setCursor: [u => this.follow(u)]},
      }, [this.rows.map(r => r.x), ...this.series.map((s, i) => this.rows.map(r => r.s === i ? this.at(r) : null))], this.board);
    }

    label(k, v) {
      const unit = this.axes[k].unit;
      return unit === 'pps' || unit === 'bit/s' || unit === 'B' ? scaled(v, '', 7) : write(unit, v, 7); // the title has the unit
    }

    // room is how many numbers have place along an axis.
    room(k, u) {
      return Math.max(1, (k === 'x' ? u.bbox.width / 66 : u.bbox.height / 24) / (devicePixelRatio || 1));
    }

    // ticks are those of a logarithmic axis, upwards: decades, what lies between them where there is room, or even steps where
    // less than half a decade is shown.
    ticks(k, u, low, high) {
      const decades = Math.log10(high / low), room = this.room(k, u), found = [];
      if (decades < 0.5) {
        const rough = (high - low) / Math.min(room, 8), unit = 10 ** Math.floor(Math.log10(rough));
        const step = unit * [1, 2, 5, 10].find(f => f * unit >= rough);
        for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(+(i * step).toPrecision(12));
        return found;
      }
      const most = decades * 3 > room * 2 ? 1 : 9;
      for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
        for (let d = 1; d <= most; d++) {
          const v = +(d + 'e' + e);
          if (v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9)) found.push(v);
        }
      }
      return found;
    }

    // few leaves of them those whose numbers have room.
    few(splits, k, u) {
      const {min, max} = u.scales[k];
      const decades = Math.log10(max / min), room = this.room(k, u), every = Math.max(1, Math.ceil(decades / room));
      if (decades < 0.5) return splits;
      const wanted = decades * 3 <= room ? ['1', '2', '5'] : ['1'];
      return splits.map(v => {
        const [d, e] = v.toExponential().split('e');
        return wanted.includes(d) && (d !== '1' || e % every === 0) ? v : null;
      });
    }

    paint(u) {
      const context = u.ctx, ratio = devicePixelRatio || 1;
      const x = v => u.valToPos(v, 'x', true), y = v => u.valToPos(v, 'y', true);
      const top = u.bbox.top, bottom = top + u.bbox.height;
      const bound = v => Math.min(1e5, Math.max(-1e5, v));
      const height = v => bound(this.log.y && v <= 0 ? bottom : y(v));
      context.save();
      context.beginPath();
      const slack = 6 * ratio; // marks at the edge are whole
      context.rect(u.bbox.left - slack, top - slack, u.bbox.width + 2 * slack, u.bbox.height + 2 * slack);
      context.clip();
      const inside = r => r.x >= u.scales.x.min && r.x <= u.scales.x.max;
      this.series.forEach((s, i) => {
        if (!this.shown[i]) return;
        const rows = this.rows.filter(r => r.s === i);
        context.fillStyle = context.strokeStyle = colorOf(s);
        if (!s.dots) {
          const band = rows.filter(r => r.low != null && r.high != null);
          if (band.length < 2) return;
          context.save();
          context.globalAlpha = 0.16;
          context.beginPath();
          context.rect(u.bbox.left, top, u.bbox.width, u.bbox.height);
          context.clip();
          context.beginPath();
          for (const r of band) context.lineTo(bound(x(r.x)), height(r.high));
          for (const r of band.reverse()) context.lineTo(bound(x(r.x)), height(r.low));
          context.fill();
          context.restore();
          return;
        }
        context.lineWidth = ratio;
        context.setLineDash([]);
        for (const r of rows) {
          if (r.low == null || r.high == null || !inside(r)) continue;
          const at = x(r.x), end = 3 * ratio, low = height(r.low), high = height(r.high);
          context.beginPath();
          for (const v of [low, high]) { context.moveTo(at - end, v); context.lineTo(at + end, v); }
          context.moveTo(at, low);
          context.lineTo(at, high);
          context.stroke();
        }
        for (const r of rows) {
          const v = y(this.at(r));
          if (inside(r) && v >= top - slack && v <= bottom + slack) mark(context, s, x(r.x), v, 3.2 * ratio, ratio);
        }
      });
      context.restore();
    }

    // point is a row's place on the board.
    point(r) {
      return [this.u.valToPos(r.x, 'x') + this.u.over.offsetLeft, this.u.valToPos(this.at(r), 'y') + this.u.over.offsetTop];
    }

    follow(u) {
      const {left, top} = u.cursor;
      if (left == null || left < 0) return this.keep || this.leave();
      let best = null, least = 40 * 40;
      for (const r of this.rows) {
        if (!this.shown[r.s]) continue;
        const dx = u.valToPos(r.x, 'x') - left, dy = u.valToPos(this.at(r), 'y') - top;
        if (dx * dx + dy * dy < least) {
          least = dx * dx + dy * dy;
          best = r;
        }
      }
      if (best) this.tell(best); else this.leave();
    }

    tell(r) {
      const s = this.series[r.s], units = {x: this.axes.x.unit, y: this.axes.y.unit};
      const interval = r.low != null && r.high != null ? ' (' + write(units.y, r.low) + ' to ' + write(units.y, r.high) + ')' : '';
      const lines = [write(units.x, r.x) + ': ' + write(units.y, r.y) + interval];
      if (r.note) lines.push(r.note);
      this.tip.replaceChildren(make('b', null, s.n), ...lines.flatMap(l => [make('br'), l]));
      this.tip.hidden = false;
      const [x, y] = this.point(r), left = this.board.offsetLeft, top = this.board.offsetTop;
      const width = this.tip.offsetWidth, height = this.tip.offsetHeight;
      const right = left + x + 12;
      this.tip.style.left = Math.max(0, right + width > this.place.clientWidth ? left + x - 12 - width : right) + 'px';
      this.tip.style.top = Math.max(0, top + y - height - 10) + 'px';
      this.now = r;
    }

    leave() {
      this.tip.hidden = true;
      this.now = null;
    }

    all() {
      const [min, max] = this.range('x');
      this.u.batch(() => {
        this.u.setScale('x', {min, max});
        const [low, high] = this.range('y');
        this.u.setScale('y', {min: low, max: high});
      });
      this.leave();
    }

    zoom(factor) {
      this.u.batch(() => {
        for (const k of ['x', 'y']) {
          const {min, max} = this.u.scales[k];
          const to = v => this.log[k] ? Math.log(v) : v, from = v => this.log[k] ? Math.exp(v) : v;
          const middle = (to(min) + to(max)) / 2, half = (to(max) - to(min)) / 2 * factor;
          const [low, high] = this.range(k);
          const next = [Math.max(from(middle - half), low), Math.min(from(middle + half), high)];
          this.u.setScale(k, next[1] > next[0] ? {min: next[0], max: next[1]} : {min: low, max: high});
        }
      });
      this.leave();
    }

    press(e) {
      const act = {'+': () => this.zoom(0.5), '=': () => this.zoom(0.5), '-': () => this.zoom(2), '0': () => this.all(),
        'Escape': () => this.leave(), 'ArrowLeft': () => this.step(-1), 'ArrowRight': () => this.step(1)}[e.key];
      if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      act();
    }

    step(by) {
      const {x, y} = this.u.scales;
      const rows = this.rows.filter(r => this.shown[r.s] && r.x >= x.min && r.x <= x.max && this.at(r) >= y.min && this.at(r) <= y.max);
      if (rows.length === 0) return;
      const at = this.now ? rows.indexOf(this.now) + by : by > 0 ? 0 : rows.length - 1;
      this.tell(rows[Math.min(rows.length - 1, Math.max(0, at))]);
      this.said.textContent = this.tip.textContent;
    }
  }

  const plots = [];
  for (const data of document.querySelectorAll('figure script.data')) {
    plots.push(new Plot(data.closest('figure'), JSON.parse(data.textContent)));
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    theme = null;
    for (const p of plots) p.u.redraw(false);
  });
})();

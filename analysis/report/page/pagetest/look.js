(() => {
  const faults = [];
  const wide = document.documentElement.clientWidth;
  const say = s => { if (faults.length < 30) faults.push(s); };
  const name = e => {
    const text = e.textContent.trim().replace(/\s+/g, ' ');
    return e.tagName.toLowerCase() + (e.className && e.className.baseVal === undefined ? '.' + e.className : '') + ' "' + (text.length > 50 ? text.slice(0, 50) + '…' : text) + '"';
  };
  if (document.scrollingElement.scrollWidth > wide) say(`the page is ${document.scrollingElement.scrollWidth} wide in a view of ${wide}`);

  const scroller = e => {
    for (; e && e !== document.body; e = e.parentElement) {
      const o = getComputedStyle(e).overflowX;
      if (o === 'auto' || o === 'scroll') return e;
    }
    return null;
  };
  // Every line of every text that can be seen, as far as what it scrolls in shows it.
  const boxes = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest('script, style, .skip, .tip')) continue;
    if (!e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true})) continue;
    const within = scroller(e), frame = within && within.getBoundingClientRect();
    const style = getComputedStyle(e);
    const picture = e.closest('svg');
    if (!within && !picture && (style.overflowX === 'hidden' || style.overflowX === 'clip') && e.scrollWidth > e.clientWidth + 1) say('cut: ' + name(e));
    let rects;
    if (picture) {
      const r = e.getBoundingClientRect(), p = picture.getBoundingClientRect();
      if (r.left < p.left - 1 || r.right > p.right + 1 || r.top < p.top - 1 || r.bottom > p.bottom + 1) say('outside its picture: ' + name(e));
      rects = [r];
    } else {
      const range = document.createRange();
      range.selectNodeContents(node);
      rects = range.getClientRects();
    }
    for (const r of rects) {
      if (r.width < 1 || r.height < 1) continue;
      if (!within && (r.left < -0.5 || r.right > wide + 0.5)) say('outside the page: ' + name(e));
      const box = {e, left: r.left + 0.5, right: r.right - 0.5, top: r.top + r.height * 0.2, bottom: r.bottom - r.height * 0.2};
      if (frame) {
        box.left = Math.max(box.left, frame.left);
        box.right = Math.min(box.right, frame.right);
      }
      if (box.left < box.right) boxes.push(box);
    }
  }
  if (boxes.length === 0) say('no text at all');
  boxes.sort((a, b) => a.top - b.top);
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length && boxes[j].top < boxes[i].bottom; j++) {
      const a = boxes[i], b = boxes[j];
      if (a.left < b.right && b.left < a.right && a.e !== b.e) say('overlap: ' + name(a.e) + ' and ' + name(b.e));
    }
  }

  // What is drawn on a canvas does not reach its edge: there it would be cut.
  for (const c of document.querySelectorAll('canvas')) {
    if (!c.checkVisibility() || !c.width || !c.height) continue;
    const w = c.width, h = c.height;
    const copy = new OffscreenCanvas(w, h), pixels = copy.getContext('2d', {willReadFrequently: true});
    pixels.drawImage(c, 0, 0);
    for (const [side, x, y, dx, dy] of [['left', 0, 0, 1, h], ['right', w - 1, 0, 1, h], ['top', 0, 0, w, 1], ['bottom', 0, h - 1, w, 1]]) {
      if (pixels.getImageData(x, y, dx, dy).data.some((v, i) => i % 4 === 3 && v > 0)) say('drawn up to the ' + side + ' edge of the plot in ' + name(c.closest('figure') || c));
    }
    if (!pixels.getImageData(0, 0, w, h).data.some(v => v > 0)) say('an empty plot');
  }
  for (const f of document.querySelectorAll('figure')) {
    const shown = [...f.querySelectorAll('.picture svg, .plot canvas, .bars')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height > 20);
    if (shown.length !== 1) say(shown.length + ' pictures are seen in figure ' + f.id);
  }
  for (const r of document.querySelectorAll('tr')) { // a column that is squeezed makes its rows high
    const height = r.getBoundingClientRect().height;
    if (height > 300 && r.checkVisibility({contentVisibilityAuto: true})) say('a row ' + Math.round(height) + ' high: ' + name(r));
  }
  return faults;
})()

// What a page looks like to a reader, asked in the browser; each function returns what is wrong, as texts.

function shown(node) {
  // The part of an element's or text's rectangles that no scrolling ancestor hides.
  const range = document.createRange();
  range.selectNodeContents(node);
  let rects = [...range.getClientRects()].map(r => [r.left, r.top, r.right, r.bottom]);
  for (let at = node.parentElement; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.visibility === 'hidden' || style.clipPath !== 'none') return [];
    if (style.overflowX === 'visible' || at === document.documentElement) continue;
    const clip = at.getBoundingClientRect();
    rects = rects.map(r => [Math.max(r[0], clip.left), Math.max(r[1], clip.top),
                            Math.min(r[2], clip.right), Math.min(r[3], clip.bottom)]);
  }
  return rects.filter(r => r[2] - r[0] > 1 && r[3] - r[1] > 1 && r[2] > 0);
}

function texts() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode())
    if (walker.currentNode.data.trim() && !walker.currentNode.parentElement.closest('svg, style'))
      found.push(walker.currentNode);
  return found;
}

function brokenWords() {
  // Labels that are one word and stand on two lines.
  return texts().filter(node => node.parentElement.matches('dt') && !/\s/.test(node.data.trim()) &&
                                shown(node).length > 1).map(node => node.data.trim());
}

function overlapping() {
  const boxes = texts().flatMap(node => shown(node).map(rect => [node, rect]));
  boxes.sort((a, b) => a[1][1] - b[1][1]);
  const wrong = [];
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j][1][1] < boxes[i][1][3]; j++) {
      const [one, a] = boxes[i], [other, b] = boxes[j];
      const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
      const high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
      if (one !== other && wide > 1 && high > 4) wrong.push(`${one.data.trim()} / ${other.data.trim()}`);
    }
  return wrong;
}

function overflowing() {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  return wide > 0 ? [`${wide} px wider than the window`] : [];
}

function luminance(colour) {
  const parts = colour.match(/[\d.]+/g).map(Number);
  const linear = parts.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2];
}

function paleTexts() {
  // WCAG 2.2, 1.4.3: 4.5 to 1.
  const wrong = new Set();
  for (const node of texts()) {
    let back = node.parentElement;
    while (back && /(, 0\)|transparent)$/.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
    const [a, b] = [getComputedStyle(node.parentElement).color,
                    back ? getComputedStyle(back).backgroundColor : 'rgb(255, 255, 255)'].map(luminance);
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) wrong.add(`${contrast.toFixed(2)}: ${node.data.trim()}`);
  }
  return [...wrong];
}

function unnamed() {
  // Landmarks, headings in order, header cells with a scope, a name for everything that takes the focus.
  const wrong = [];
  for (const part of ['main', 'header', 'footer', 'nav'])
    if (document.querySelectorAll(part).length !== 1) wrong.push(`not one ${part}`);
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
  let level = 1;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const its = Number(heading.tagName[1]);
    if (its > level + 1) wrong.push(`${heading.textContent} skips a level`);
    level = its;
  }
  for (const cell of document.querySelectorAll('th')) if (!cell.scope) wrong.push(`${cell.textContent}: no scope`);
  for (const table of document.querySelectorAll('table')) if (!table.caption) wrong.push('a table without caption');
  for (const one of document.querySelectorAll('[tabindex="0"], [role="img"], nav, section')) {
    const by = one.getAttribute('aria-labelledby');
    const name = by ? document.getElementById(by)?.textContent : one.getAttribute('aria-label');
    if (!name || !name.trim()) wrong.push(`${one.tagName} without a name`);
  }
  const places = [...document.querySelectorAll('section, [role="region"]')];
  const names = places.map(one => one.getAttribute('aria-label') || one.querySelector('h2')?.textContent);
  if (new Set(names).size !== names.length) wrong.push(`landmarks of one name: ${names}`);
  for (const link of document.querySelectorAll('a[href^="#"]'))
    if (!document.getElementById(link.hash.slice(1))) wrong.push(`${link.hash} leads nowhere`);
  return wrong;
}

function focused() {
  const at = document.activeElement, rect = at.getBoundingClientRect(), style = getComputedStyle(at);
  const seen = rect.right > 0 && rect.left < innerWidth && rect.bottom > 0 && rect.top < innerHeight;
  return [at.tagName === 'BODY' ? '' : (at.getAttribute('aria-label') || at.textContent).trim(),
          seen && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
}

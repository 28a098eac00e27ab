// A lasso that looks at the points once, when it is closed. Plotly's own looks at all of them with every movement, which
// takes seconds each where 50 000 points are drawn without a graphics card, and leaves an outline that hides them from
// the pointer.

// `choose(inside)` when it is closed, `clear()` on a double click and on Escape.
function lassoOn(node, choose, clear) {
  let way = null; // corners in pixels of the node
  let line = null; // what is drawn of it
  return {
    begin(at) {
      way = [at];
      line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      line.setAttribute("class", "cpc-lasso");
      line.append(document.createElementNS("http://www.w3.org/2000/svg", "polygon"));
      node.append(line);
    },
    move(at) {
      way.push(at);
      line.firstChild.setAttribute("points", way.map((corner) => corner.join()).join(" "));
    },
    end() {
      const { xaxis, yaxis } = node._fullLayout;
      choose(insideOf(way.map(([x, y]) => [xaxis.p2d(x - xaxis._offset), yaxis.p2d(y - yaxis._offset)])));
    },
    drop: () => line.remove(),
    twice: clear,
    escape: clear,
  };
}

// Whether a point lies within a polygon: a ray from it crosses the edge an odd number of times.
function insideOf(corners) {
  const xs = corners.map(([x]) => x);
  const ys = corners.map(([, y]) => y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return (x, y) => {
    if (x < left || x > right || y < low || y > high) return false;
    let odd = false;
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      const crosses = ys[i] > y !== ys[j] > y;
      if (crosses && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) odd = !odd;
    }
    return odd;
  };
}

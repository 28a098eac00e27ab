// Which of a map's points lie where; points of hidden groups lie nowhere.

function eachShown(node, look) {
  for (const trace of node._fullData) {
    if (trace.visible !== true || !trace.customdata) continue;
    const { x, y, customdata } = trace;
    for (let row = 0; row < x.length; row++) look(x[row], y[row], customdata[row], trace);
  }
}

// The ids of the shown points for which `inside(x, y)`, in the map's own coordinates, is true.
function idsInside(node, inside) {
  const ids = [];
  eachShown(node, (x, y, id) => inside(x, y) && ids.push(id));
  return ids;
}

// The shown point nearest to a place in pixels of the node, as near as plotly's own hovering asks for; the one drawn on
// top where several lie at one place.
function nearest(node, [left, top]) {
  const { xaxis, yaxis, hoverdistance } = node._fullLayout;
  let point = null;
  let least = hoverdistance;
  eachShown(node, (x, y, customdata, data) => {
    const away = Math.hypot(xaxis._offset + xaxis.d2p(x) - left, yaxis._offset + yaxis.d2p(y) - top);
    if (away > least) return;
    least = away;
    point = { customdata, data };
  });
  return point;
}

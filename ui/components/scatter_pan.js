// Moving a map: the picture is shifted as a whole while the hand moves, and drawn once at the end. Plotly draws all points
// with every movement, which takes up to seconds each where 50 000 are drawn without a graphics card.

function panOn(node) {
  let from, by;
  // The axes carry neither lines nor numbers, so the points and the names over them are all that moves.
  const shift = (way) => {
    for (const layer of node.querySelectorAll(".gl-container, .cpc-names")) layer.style.transform = way;
  };
  return {
    begin(at) {
      from = at;
    },
    move(at) {
      by = [at[0] - from[0], at[1] - from[1]];
      shift(`translate(${by[0]}px, ${by[1]}px)`);
    },
    end() {
      const { xaxis, yaxis } = node._fullLayout;
      Plotly.relayout(node, {
        "xaxis.range": [xaxis.p2d(-by[0]), xaxis.p2d(xaxis._length - by[0])],
        "yaxis.range": [yaxis.p2d(yaxis._length - by[1]), yaxis.p2d(-by[1])],
      });
    },
    drop: () => shift(""),
    twice: () => Plotly.relayout(node, { "xaxis.autorange": true, "yaxis.autorange": true }),
  };
}

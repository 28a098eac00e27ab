// When a chart is drawn: at most once per frame, with the newest data, and only near what is seen. In a browser tab that
// nobody sees there are no frames, and on a busy processor drawing takes time from training.

const AHEAD = 300; // pixels from what is seen at which a chart is drawn, so that it is there when one comes

// Calls `draw` when the node comes near, changes its size while it is near, and after `later()`.
function drawNear(node, draw) {
  let frame = 0;
  let near = false;
  const now = () => {
    frame = 0;
    draw();
  };
  const later = () => {
    if (near) frame ||= requestAnimationFrame(now);
  };
  const sizes = new ResizeObserver(later);
  const view = new IntersectionObserver(
    (entries) => {
      near = entries.at(-1).isIntersecting;
      later();
    },
    // Streamlit scrolls a box within the window, and there may be more boxes within that one: each has a margin.
    { rootMargin: `${AHEAD}px`, scrollMargin: `${AHEAD}px` },
  );
  sizes.observe(node);
  view.observe(node);
  const stop = () => {
    cancelAnimationFrame(frame);
    sizes.disconnect();
    view.disconnect();
  };
  return { later, stop };
}

// A square to draw on with mouse, pen or finger. Python hears of the drawing, as a PNG, when its button is pressed.

const PIXELS = 256;

export default function ({ parentElement, data, setTriggerValue }) {
  const canvas = parentElement.querySelector("canvas");
  const [clear, done] = parentElement.querySelectorAll("button");
  const pen = canvas.getContext("2d");
  const blank = () => {
    pen.fillStyle = data.paper;
    pen.fillRect(0, 0, PIXELS, PIXELS);
  };
  if (canvas.dataset.paper !== data.paper) {
    canvas.dataset.paper = data.paper;
    blank();
  }
  Object.assign(pen, { lineWidth: 26, lineCap: "round", lineJoin: "round", strokeStyle: data.ink });
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * PIXELS, ((event.clientY - box.top) / box.height) * PIXELS];
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...at(event));
    pen.lineTo(...at(event));
    pen.stroke();
  };
  canvas.onpointermove = (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    pen.lineTo(...at(event));
    pen.stroke();
  };
  clear.onclick = blank;
  done.onclick = () => setTriggerValue("drawing", canvas.toDataURL("image/png"));
}

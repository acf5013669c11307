// Two small plots of the last minute: the share of each class, stacked, and the age of the frames.

const MOST_MS = 60_000, LEAST_MS = 8_000, EVERY_MS = 200;

export class History {
  constructor() { this.samples = []; }

  add(now, shares, age) {
    const last = this.samples.at(-1);
    if (last && now - last.at < EVERY_MS) return;
    this.samples.push({ at: now, shares, age });
    while (this.samples[0].at < now - MOST_MS) this.samples.shift();
  }

  span(now) { // of the plots: they are full from the start, and grow to a minute
    return Math.min(MOST_MS, Math.max(LEAST_MS, now - (this.samples[0]?.at ?? now)));
  }

  greatestAge() { return Math.max(1, ...this.samples.map((sample) => sample.age ?? 0)); }
}

function prepared(canvas) {
  const scale = devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null; // it is not shown
  const wide = Math.round(width * scale), high = Math.round(height * scale);
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

export function drawShares(canvas, history, classes, now) {
  const sheet = prepared(canvas);
  if (!sheet || history.samples.length < 2) return;
  const { pen, width, height } = sheet, { samples } = history, span = history.span(now);
  const x = (sample) => width * (1 - (now - sample.at) / span);
  const below = samples.map(() => 0);
  for (const { name, color } of classes) {
    if (!samples.some((sample) => sample.shares[name])) continue;
    pen.beginPath();
    samples.forEach((sample, index) => pen.lineTo(x(sample), height * (1 - below[index])));
    for (let index = samples.length - 1; index >= 0; index -= 1) {
      below[index] += samples[index].shares[name] ?? 0;
      pen.lineTo(x(samples[index]), height * (1 - below[index]));
    }
    pen.fillStyle = color;
    pen.fill();
  }
}

export function drawAges(canvas, history, now) {
  const sheet = prepared(canvas);
  if (!sheet || history.samples.length < 2) return;
  const { pen, width, height } = sheet, most = history.greatestAge() * 1.1, { color } = getComputedStyle(canvas);
  const span = history.span(now), x = (sample) => width * (1 - (now - sample.at) / span);
  pen.beginPath();
  for (const sample of history.samples) {
    pen.lineTo(x(sample), height - 1 - (height - 2) * Math.min(1, (sample.age ?? 0) / most));
  }
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.strokeStyle = color;
  pen.stroke();
  for (const sample of [history.samples.at(-1), history.samples[0]]) pen.lineTo(x(sample), height);
  pen.globalAlpha = 0.14;
  pen.fillStyle = color;
  pen.fill();
  pen.globalAlpha = 1;
}

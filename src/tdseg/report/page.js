"use strict";
// Values under the pointer on every plot; plots of time and moments lead to their place in the video, and follow it.
{
  const root = document.documentElement;
  addEventListener("error", (event) => { root.dataset.error = event.message; });

  const video = document.querySelector("video");
  const frames = video ? Number(video.dataset.frames) : 0; // of the source
  const perFrame = video ? Number(video.dataset.seconds) : 0; // seconds of the film
  const seek = (frame) => { video.currentTime = (frame + 0.5) * perFrame; };
  const heads = [];

  const make = (parent, name) => {
    const element = document.createElement("div");
    element.className = name;
    element.hidden = true;
    return parent.appendChild(element);
  };

  const line = (parent, text, color) => {
    const row = parent.appendChild(document.createElement("div"));
    if (color) {
      const spot = row.appendChild(document.createElement("i"));
      spot.className = "swatch";
      spot.style.background = color;
    }
    row.append(text);
  };

  const describe = (tip, plot, index) => {
    tip.replaceChildren();
    line(tip, plot.axis === "frame" ? `frame ${plot.x[index]}` : `${plot.x[index]} ${plot.axis}`);
    for (const { name, color, values } of plot.series) {
      if (values[index] !== null && values[index] !== 0) line(tip, `${name}  ${values[index]} ${plot.unit}`, color);
    }
  };

  for (const element of document.querySelectorAll("[data-plot]")) {
    const plot = JSON.parse(element.dataset.plot);
    const field = element.querySelector(".field");
    const cursor = make(field, "cursor"), tip = make(field, "tip");
    const nearest = (event) => {
      const box = field.getBoundingClientRect();
      const at = 100 * (event.clientX - box.left) / box.width;
      return plot.at.reduce((best, place, index) => Math.abs(place - at) < Math.abs(plot.at[best] - at) ? index : best, 0);
    };
    field.addEventListener("pointermove", (event) => {
      const index = nearest(event);
      describe(tip, plot, index);
      cursor.hidden = tip.hidden = false;
      cursor.style.left = `${plot.at[index]}%`;
      tip.style.left = plot.at[index] < 50 ? `calc(${plot.at[index]}% + 10px)` : "auto";
      tip.style.right = plot.at[index] < 50 ? "auto" : `calc(${100 - plot.at[index]}% + 10px)`;
    });
    field.addEventListener("pointerleave", () => { cursor.hidden = tip.hidden = true; });
    if (video && element.hasAttribute("data-time")) {
      heads.push(make(field, "head"));
      field.addEventListener("click", (event) => seek(plot.at[nearest(event)] / 100 * (frames - 1)));
    }
  }

  if (video) {
    // A bar below the film: the browser's own controls lie on the lower panels. Without scripts they stay.
    video.controls = false;
    const bar = document.createElement("div"), button = document.createElement("button");
    const slider = document.createElement("input"), place = document.createElement("output");
    bar.className = "player";
    button.type = "button";
    Object.assign(slider, { type: "range", min: 0, max: frames - 1, step: 1, value: 0 });
    slider.setAttribute("aria-label", "frame");
    bar.append(button, slider, place);
    video.parentElement.after(bar);

    const toggle = () => { if (video.paused) video.play(); else video.pause(); };
    const follow = () => {
      const frame = Math.min(Math.floor(video.currentTime / perFrame), frames - 1);
      for (const head of heads) {
        head.hidden = false;
        head.style.left = `${100 * frame / Math.max(frames - 1, 1)}%`;
      }
      if (!slider.matches(":active")) slider.value = frame;
      place.textContent = `frame ${frame}`;
      button.textContent = video.paused ? "\u25b6\ufe0e" : "\u2759\ufe0e\u2759\ufe0e";
      button.setAttribute("aria-label", video.paused ? "play" : "pause");
    };
    const play = () => { follow(); if (!video.paused) requestAnimationFrame(play); };
    for (const name of ["seeked", "timeupdate", "pause"]) video.addEventListener(name, follow);
    video.addEventListener("play", play);
    video.addEventListener("click", toggle);
    button.addEventListener("click", toggle);
    slider.addEventListener("input", () => { video.pause(); seek(Number(slider.value)); });
    follow();
    for (const moment of document.querySelectorAll("button[data-frame]")) {
      moment.addEventListener("click", () => {
        video.pause();
        seek(Number(moment.dataset.frame));
        video.scrollIntoView({ behavior: "smooth", block: "center" });
      });
    }
  }
  root.dataset.ready = String(document.querySelectorAll("[data-plot]").length);
}
